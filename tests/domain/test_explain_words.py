"""Explanations in words: of every kind of condition, and of the first catalogue's segments."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from segue.domain import rules
from segue.domain.errors import NotFound
from segue.domain.event import Event
from segue.domain.rules.definition import KINDS
from segue.domain.rules.kinds.score import Score
from segue.domain.time import DAY, HOUR, MINUTE, SECOND
from tests.domain.test_first_catalogue import START, Did, added, coupon, ordered, viewed, watched
from tests.domain.test_laws import FIRST_CATALOG

LISTS = {"vip": {"user_id:42"}}
SCORES = {"engagement": Score.model_validate({"events": [{"did": "A", "points": 10}], "half_life": "7d"})}

MODELS = {
    "shoppers": {
        "features": {"engagement": {"mean": 5, "scale": 10}},
        "centroids": {"small": {"engagement": 0}, "large": {"engagement": 2}},
    }
}


class Said(NamedTuple):
    """A condition, what its line says (without the mark), and what is nearest if it does not hold."""

    condition: dict[str, Any]
    line: str
    nearest: str | None = None


A = Event(message_id="a", name="A", occurred_at=START, received_at=START, properties={"k": "x", "n": 2})
"""At 22:13:20 on 14 November 2023, a Tuesday."""
IDENTIFIED = Event(
    message_id="i",
    name="Identified",
    occurred_at=START,
    received_at=START,
    user_id="42",
    traits={"plan": "free", "born": "1990-11-14"},
    context={"location": {"country": "FR", "city": "Paris"}},
)
CONSENT = Event(
    message_id="c",
    name="Segment Consent Preference Updated",
    occurred_at=START,
    received_at=START,
    context={"consent": {"categoryPreferences": {"ads": False}}},
)

WHEN = "2023-11-14 22:13:20 UTC"

EXAMPLES = {
    "all": Said({"all": [{"did": "A"}, {"did": "B"}]}, "all of", "one more `B`"),
    "any": Said({"any": [{"did": "B"}, {"did": "A", "count": {"ge": 2}}]}, "at least one of", "one more `A`"),
    "none": Said({"none": [{"did": "A"}]}, "none of", "not `A` at least once (found: 1)"),
    "not": Said(
        {"not": {"did": "A", "within": "1h"}},
        "not; from 2023-11-14 23:13:20 UTC",
        "not `A` at least once within 1 hour (found: 1), which ends by itself in 1:00:00",
    ),
    "at_least": Said({"at_least": {"count": 2, "of": [{"did": "A"}, {"did": "B"}]}}, "at least two of", "one more `B`"),
    "segment": Said({"segment": "other"}, "in the segment `other`: is not", "in the segment `other` (found: is not)"),
    "trait": Said(
        {"trait": "plan", "is": {"in": ["pro", "team"]}},
        f"the trait `plan` one of `pro`, `team`: `free` (at {WHEN})",
        "the trait `plan` one of `pro`, `team` (found: `free`)",
    ),
    "did": Said(
        {"did": "A", "where": {"k": "x", "n": {"gt": 1}}, "count": {"ge": 3}, "within": "10m"},
        f"`A` with `k` `x` and `n` more than 1 at least 3 times within 10 minutes: 1 (at {WHEN})",
        "two more `A` with `k` `x` and `n` more than 1 within 10:00",
    ),
    "aggregate": Said(
        {"aggregate": {"of": "A", "sum": "n", "per": "k", "within": "1d", "is": {"ge": 50}}},
        f"the sum of `n` of `A` at least 50 for one `k` within 1 day: 2 in `x` (at {WHEN})",
        "48 more `n` in `x` within 1 day 0:00:00",
    ),
    "together": Said(
        {"together": {"within": "10m", "of": [{"did": "A"}, {"did": "B"}]}},
        "together within 10 minutes, all of",
        "one more `B` within 10:00",
    ),
    "sequence": Said(
        {"sequence": {"steps": [{"did": "A"}, {"did": "B"}, {"did": "C"}], "within": "1h"}},
        f"`A`, then `B`, then `C` within 1 hour: 1 of 3 steps (at {WHEN})",
        "`B`, then `C` within 1:00:00",
    ),
    "absent": Said(
        {"absent": {"after": "A", "without": "B", "for": "30m", "within": "7d"}},
        f"`A`, and then no `B` for 30 minutes within 7 days: waiting since {WHEN} (at {WHEN}); "
        "from 2023-11-14 22:43:20 UTC",
        f"`A`, and then no `B` for 30 minutes within 7 days (found: waiting since {WHEN}), "
        "which comes by itself in 30:00",
    ),
    "first_time": Said(
        {"first_time": "*", "within": "24h"},
        f"the first event within 1 day: the first was at {WHEN} (at {WHEN}); until 2023-11-15 22:13:20 UTC",
    ),
    "compare": Said(
        {"compare": {"left": {"did": "B"}, "right": {"did": "A", "within": "1d"}, "op": "ge", "factor": 0.5}},
        "`B` at least 0.5 times `A` within 1 day: 0 against 1; from 2023-11-15 22:13:20 UTC",
        "`B` at least 0.5 times `A` within 1 day (found: 0 against 1), which comes by itself in 1 day 0:00:00",
    ),
    "stopped": Said(
        {"stopped": "A", "earlier": "30d", "recent": "7d"},
        f"`A` from 30 days to 7 days ago, and not since: the latest was at {WHEN} (at {WHEN}); "
        "from 2023-11-21 22:13:20 UTC",
        f"`A` from 30 days to 7 days ago, and not since (found: the latest was at {WHEN}), "
        "which comes by itself in 7 days 0:00:00",
    ),
    "restarted": Said(
        {"restarted": "A", "gap": "30d", "recent": "7d"},
        f"`A` within 7 days, 30 days or more after the one before: the latest was at {WHEN} (at {WHEN})",
        f"`A` within 7 days, 30 days or more after the one before (found: the latest was at {WHEN})",
    ),
    "regularly": Said(
        {"regularly": "A", "times": 3, "in": 2, "last": 5, "period": "week", "tz": "Europe/Paris"},
        f"`A` 3 times each in 2 of the last 5 weeks of Europe/Paris: in 0 (at {WHEN})",
        "`A` 3 times each in 2 of the last 5 weeks of Europe/Paris (found: in 0)",
    ),
    "time": Said(
        {"time": {"from": "09:00", "until": "17:00", "days": ["mon", "wed"], "tz": "Europe/Paris"}},
        "the time in Europe/Paris from 09:00 until 17:00 on mon, wed: the clocks show tue 23:13; "
        "from 2023-11-15 08:00:00 UTC",
        "the time in Europe/Paris from 09:00 until 17:00 on mon, wed (found: the clocks show tue 23:13), "
        "which comes by itself in 9:46:40",
    ),
    "date": Said(
        {"date": "born", "is": {"anniversary": True, "tz": "UTC"}},
        f"the date in the trait `born` its anniversary in UTC: `1990-11-14` (at {WHEN}); until 2023-11-15 00:00:00 UTC",
    ),
    "list": Said({"list": "vip"}, f"on the list `vip`: some identifier is (at {WHEN})"),
    "consent": Said(
        {"consent": "ads"},
        f"consent to `ads`: it was refused (at {WHEN})",
        "consent to `ads` (found: it was refused)",
    ),
    "sample": Said(
        {"sample": {"percent": 0.1, "seed": "s"}},
        "in the 0.1 % of visitors drawn with `s`: drawn 37.28 %",
        "in the 0.1 % of visitors drawn with `s` (found: drawn 37.28 %)",
    ),
    "geo": Said(
        {"geo": {"country": ["FR", "BE"], "city": "Paris"}},
        f'in country `FR` or `BE` and city `Paris`: {{"country": "FR", "city": "Paris"}} (at {WHEN})',
    ),
    "session": Said(
        {"session": "this.events", "of": "A", "is": {"ge": 3}},
        "the session's `this.events` of `A` at least 3: 1",
        "two more events in this session",
    ),
    "cluster": Said(
        {"cluster": {"model": "shoppers", "is": "large", "max_distance": 1}},
        "in the micro-segment `large` of `shoppers`, at most 1 away: `small`, 0.5 away",
        "in the micro-segment `large` of `shoppers`, at most 1 away (found: `small`, 0.5 away)",
    ),
    "score": Said(
        {"score": "engagement", "is": {"ge": 50}},
        "the score `engagement` at least 50: 10",
        "40 more points",
    ),
}


def explained(condition: dict[str, Any], events: Sequence[Event]) -> list[str]:
    other = {"name": "Other", "when": {"did": "B"}}
    segments = {"it": {"name": "It", "when": condition}, "other": other}
    program = rules.compile(segments, lists=LISTS, scores=SCORES, models=MODELS)
    state = rules.fold(program, rules.empty(), events)
    return rules.words(rules.explain(program, state, "it", state.instant))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_is_asked_and_what_was_found(kind: str) -> None:
    said = EXAMPLES[kind]
    lines = explained(said.condition, [A, IDENTIFIED, CONSENT])
    mark = "✗" if said.nearest else "✓"
    assert f"  {mark} {said.line}" in lines
    nearest = [line.removeprefix("Nearest: ").removesuffix(".") for line in lines if line.startswith("Nearest: ")]
    assert nearest == ([said.nearest] if said.nearest else [])


def test_a_computed_trait_that_measures_time_is_shown_as_a_clock_would() -> None:
    definition = {"name": "It", "when": {"trait": "since_a", "is": {"ge": "7d"}}}
    program = rules.compile({"it": definition}, computed={"since_a": {"time_since_last": "A"}})
    said = rules.explain(program, rules.fold(program, rules.empty(), [A]), "it", START + DAY + MINUTE)
    assert rules.words(said)[-1] == "  ✗ the trait `since_a` at least `7d`: 1 day 0:01:00; from 2023-11-21 22:13:20 UTC"


def test_what_holds_for_ever_by_the_clocks_of_every_week_has_no_end() -> None:
    days = [["mon", "tue", "wed", "thu", "fri"], ["sat", "sun"]]
    lines = explained({"any": [{"time": {"days": each, "tz": "UTC"}} for each in days]}, [A])
    assert lines[0].endswith(f"a member since {WHEN}, with no end in sight if nothing else happens.")
    assert lines[2] == "  ✓ at least one of"
    assert lines[3].endswith("; until 2023-11-18 00:00:00 UTC")


def test_a_step_that_can_no_longer_be_followed_does_not_count() -> None:
    """
    A    A..........      too long ago for a B within 10 minutes
    A    ......A....      and after this one there was a C
    """
    steps = [{"did": "A"}, {"did": "B", "gap": "10m", "without": "C"}]
    first, second, third = (
        replace(A, message_id=f"{at}", name=name, occurred_at=START + at, received_at=START + at)
        for name, at in (("A", 0), ("A", 20 * MINUTE), ("C", 21 * MINUTE))
    )
    lines = explained({"sequence": {"steps": steps}}, [first, second])
    assert lines[1] == "Nearest: `B` within 10:00."
    assert explained({"sequence": {"steps": steps}}, [first, second, third])[1] == "Nearest: `A`, then `B`."


# The first catalogue, drawn


def why(segment: str, at: int, *did: Did) -> list[str]:
    """The explanation at an instant after the start, of a visitor who did these things."""
    program = rules.compile(FIRST_CATALOG, scores=SCORES)
    state = rules.empty()
    for number, each in enumerate(did):
        instant = START + each.at
        event = Event(
            message_id=f"m{number}",
            name=each.name,
            occurred_at=instant,
            received_at=instant,
            properties=each.properties,
        )
        state = rules.fold(program, state, [event])
    return rules.words(rules.explain(program, state, segment, START + at))


def test_one_more_product_in_a_category_within_what_is_left_of_the_window() -> None:
    """
    viewed  a....b......c in trousers      a leaves the window at 5:00
    added   ..............+ 0:50           4:10 are left
    """
    views = [viewed(at * SECOND, product, "trousers") for at, product in ((0, "a"), (10, "b"), (40, "c"))]
    assert why("category-browser", 50 * SECOND, *views, added(50 * SECOND)) == [
        "`category-browser` at 2023-11-14 22:14:10 UTC: not a member.",
        "Nearest: one more `product_id` in `trousers` within 4:10.",
        "Conditions:",
        "  ✗ together within 5 minutes, all of",
        "    ✗ the number of different `product_id` of `Product Viewed` more than 3 for one `category` "
        "within 5 minutes: 3 in `trousers` (at 2023-11-14 22:13:20, 2023-11-14 22:13:30, 2023-11-14 22:14:00 UTC)",
        "    ✓ `Product Added` at least once within 5 minutes: 1 (at 2023-11-14 22:14:10 UTC); "
        "until 2023-11-14 22:19:10 UTC",
    ]


def test_what_holds_beside_it_bounds_the_time_for_what_is_lacking() -> None:
    """
    watched  ...+ 0:30          leaves at 10:30
    now      ........ 4:00      6:30 are left for an add
    """
    lines = why("high-purchase-intent", 4 * MINUTE, watched(30 * SECOND, 0.8))
    assert lines[1] == "Nearest: one more `Product Added` within 6:30."


def test_a_membership_that_stays_says_so_and_until_when() -> None:
    assert why("high-purchase-intent", HOUR, watched(0, 0.8), added(MINUTE)) == [
        "`high-purchase-intent` at 2023-11-14 23:13:20 UTC: a member since 2023-11-14 22:14:20 UTC, "
        "until 2023-11-15 22:23:20 UTC if nothing else happens.",
        "The conditions no longer hold, but membership stays for 1 day.",
        "Conditions:",
        "  ✗ together within 10 minutes, all of",
        "    ✗ `Video Content Playing` with `progress` more than 0.75 at least once within 10 minutes: 0",
        "    ✗ `Product Added` at least once within 10 minutes: 0",
        "Ended by:",
        "  ✓ `Order Completed` at least once within 1 day: 0",
    ]


def test_what_ends_a_membership_is_named() -> None:
    lines = why("high-purchase-intent", 3 * MINUTE, watched(0, 0.8), added(MINUTE), ordered(2 * MINUTE))
    assert lines[0] == "`high-purchase-intent` at 2023-11-14 22:16:20 UTC: not a member."
    assert lines[1] == "What ends membership holds now."
    assert lines[2] == (
        "Nearest: not `Order Completed` at least once within 1 day (found: 1), which ends by itself in 23:59:00."
    )


def test_who_will_be_a_member_by_time_alone_is_told_when() -> None:
    lines = why("cart-abandoner", MINUTE, added(0))
    assert lines[1] == "If nothing else happens, a member from 2023-11-14 22:43:20 UTC on."


def test_of_several_ways_in_the_one_that_lacks_least_is_nearest() -> None:
    """One coupon of two, against one view of five."""
    lines = why("bargain-hunter", DAY, coupon(0), viewed(HOUR))
    assert lines[1] == "Nearest: one more `Coupon Applied` within 29 days 0:00:00."


def test_of_a_visitor_without_events_it_is_said_that_there_are_none() -> None:
    lines = why("completed-buyer", 0)
    assert lines[0] == "`completed-buyer` at 2023-11-14 22:13:20 UTC: not a member: there is no event of this visitor."
    assert lines[1] == "Nearest: one more `Order Completed`."


def test_a_segment_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(NotFound, match="there is no segment 'buyers'"):
        why("buyers", 0)


def test_who_has_to_wait_to_enter_is_told_until_when() -> None:
    program = rules.compile({"it": {"name": "It", "when": {"did": "A"}, "enter_after": "5m", "purposes": ["ads"]}})
    granted = Event(
        message_id="g",
        name="Segment Consent Preference Updated",
        occurred_at=START,
        received_at=START,
        context={"consent": {"categoryPreferences": {"ads": True}}},
    )
    state = rules.fold(program, rules.empty(), [A, granted])
    assert rules.words(rules.explain(program, state, "it", START)) == [
        f"`it` at {WHEN}: not a member.",
        "The conditions hold, but have to for 5 minutes.",
        "If nothing else happens, a member from 2023-11-14 22:18:20 UTC on.",
        "Conditions:",
        f"  ✓ `A` at least once: 1 (at {WHEN})",
        "Only with:",
        f"  ✓ consent to `ads`: it was granted (at {WHEN})",
    ]
    refusal = replace(CONSENT, occurred_at=START + HOUR, received_at=START + HOUR)
    said = rules.explain(program, rules.fold(program, state, [refusal]), "it", START + HOUR)
    assert said.nearest == said.purposes[0]
