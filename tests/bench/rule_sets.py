"""The definitions that the evaluator is measured with: five rules, 81 that vary them, and ten or ten thousand alike."""

from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML

Definitions: TypeAlias = Mapping[str, Any]
"""`segments` and `scores`, as in a catalogue."""

FIVE = Path(__file__).with_name("five_rules.yaml")


def five() -> Definitions:
    found: Definitions = YAML(typ="safe", pure=True).load(FIVE)
    return found


def watched(within: str, pct: int = 75) -> Any:
    leaf = {"did": "video_progress", "where": {"pct": {"ge": pct}}}
    return {"together": {"within": within, "of": [leaf, {"did": "add_to_cart"}]}}


def compared(within: str, more_than: int) -> Any:
    views = {"of": "product_view", "distinct": "product_id", "per": "category", "is": {"gt": more_than}}
    return {"together": {"within": within, "of": [{"aggregate": views}, {"did": "add_to_cart"}]}}


def left(wait: str, within: str, categories: int) -> Any:
    views = {"of": "product_view", "distinct": "category", "within": within, "is": {"ge": categories}}
    return {"all": [{"absent": {"after": "add_to_cart", "without": "purchase", "for": wait}}, {"aggregate": views}]}


def often(name: str, times: int, within: str, **where: Any) -> Any:
    return {"did": name, "count": {"ge": times}, "within": within, **({"where": where} if where else {})}


def engaged(points: float) -> Any:
    return {"score": "engagement", "is": {"ge": points}}


def eighty_one() -> Definitions:
    """The five rules with other windows and thresholds."""
    conditions = [
        *(watched(within, pct) for within, pct in product(("3m", "5m", "10m", "20m", "30m", "1h"), (25, 50, 75))),
        *(compared(within, more) for within, more in product(("3m", "5m", "10m", "15m", "20m", "30m"), (2, 3, 4))),
        *(left(*each) for each in product(("10m", "30m", "45m"), ("30m", "60m", "90m"), (2, 3))),
        *(often("purchase", times, within) for times, within in product((1, 2, 3), ("1d", "7d", "30d"))),
        *(engaged(points) for points in range(20, 200, 10)),
    ]
    return _named(conditions)


def alike(number: int) -> Definitions:
    """So many rules, a fifth of them of each shape, which ask for a little more each; few visitors pass any."""
    conditions = [
        condition
        for step in range(number // 5)
        for condition in (
            engaged(100 + step / 20),
            often("purchase", 3, f"{1_440 + step}m"),
            often("add_to_cart", 6, f"{3_600 + step}s"),
            often("video_progress", 8, f"{3_600 + step}s", pct={"ge": 75}),
            {
                "aggregate": {
                    "of": "product_view",
                    "distinct": "product_id",
                    "per": "category",
                    "is": {"ge": 10},
                    "within": f"{300 + step}s",
                }
            },
        )
    ]
    return _named(conditions)


def _named(conditions: list[Any]) -> Definitions:
    segments = {f"rule-{number}": {"name": f"Rule {number}", "when": when} for number, when in enumerate(conditions)}
    return {"segments": segments, "scores": five()["scores"]}


RULE_SETS: Mapping[str, Callable[[], Definitions]] = {
    "five": five,
    "eighty-one": eighty_one,
    "ten": lambda: alike(10),
    "ten-thousand": lambda: alike(10_000),
}
