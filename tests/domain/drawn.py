"""Pages whose examples are executed: definitions in fenced `yaml`, each followed by drawings of who is a member when.

A drawing is a fenced `timeline`, of the example's only segment or of the one it names (`timeline buyer`). It goes
downwards, a line for each instant: the edge of the membership, the instant, what happened then if anything did, and
after `#` whatever there is to say.

    ┌ 4m  Product Added {price: 5}   # a member from here on,
    │ 6m  Page Viewed                # here too,
    └ 10m                            # no longer from here on

Instants count from some Monday's midnight in UTC (`1h30m`, `0`), or are ISO 8601 text. After an event come its
properties (of `Identified`, the traits) and, behind `with`, the event's other fields; `received` is an instant. Nobody
is a member where nothing is drawn; a last line `…` says that it goes on after it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any, NamedTuple

from emulator.catalog import load
from emulator.yaml_file import read
from segue.catalogs import compiled
from segue.domain.catalog import Catalog
from segue.domain.event import Event
from segue.domain.time import duration, instant
from segue.ports import PublishedCatalog
from tests.engine import Engine
from tests.oracle import Oracle

MONDAY = 1_767_571_200_000
"""2026-01-05T00:00:00Z, where drawings begin to count."""

EDGES = {"┌": True, "│": True, "└": False, "": False}
"""Whether one is a member from the line on; before a `┌` one is not, before the others as the line above says."""

_FENCE = re.compile(r"^( *)```(\w+) ?(.*?)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"(?P<edge>[┌│└]?)\s*(?P<instant>\S+)(?:\s+(?P<event>[^#]*[^#\s]))?\s*(?:#.*)?")
_EVENT = re.compile(r"(?P<name>[^{]+?)\s*(?P<says>\{.*?\})?(?:\s+with (?P<fields>\{.*\}))?")


class Drawing(NamedTuple):
    """What happened, and from when on one is a member, and is not; drawn up to `until` (None: for ever)."""

    segment: str
    events: Sequence[Event]
    edges: Mapping[int, bool]
    until: int | None

    def member(self, at: int) -> bool:
        """Whether the drawing says so of the instant."""
        return next((inside for since, inside in sorted(self.edges.items(), reverse=True) if since <= at), False)


@dataclass(frozen=True)
class Example:
    """Definitions as a page has them, at a line of it, and the drawings that follow them."""

    line: int
    text: str
    drawings: Sequence[tuple[str, str]]

    def file(self) -> str:
        """The definitions as a file of a catalogue: a condition alone is the `when` of a segment."""
        if self.text.partition(":")[0] in Catalog.model_fields:
            return self.text
        segment = self.text if self.text.startswith("when:") else f"when:\n{indent(self.text, '  ')}"
        return f"segments:\n  example:\n    name: Example\n{indent(segment, '    ')}"


def examples(page: str) -> Iterator[Example]:
    """Every fenced `yaml` of a page, with the drawings up to the next one."""
    fences = [
        (page.count("\n", 0, found.start()) + 1, found[2], found[3], re.sub(f"^{found[1]}", "", found[4], flags=re.M))
        for found in _FENCE.finditer(page)
    ]
    starts = [index for index, fence in enumerate(fences) if fence[1] == "yaml"]
    for start, end in zip(starts, [*starts[1:], len(fences)], strict=True):
        line, _, _, text = fences[start]
        yield Example(line, text, [(of, drawn) for _, kind, of, drawn in fences[start + 1 : end] if kind == "timeline"])


def catalogue(folder: Path, *files: str) -> Catalog:
    """The catalogue that these files make, read and checked as any other. Raises `Broken`."""
    for number, text in enumerate(files):
        (folder / f"{number}.yaml").write_text(text, encoding="utf-8")
    return compiled(PublishedCatalog(1, load(folder))).catalog


def value(folder: Path, text: str) -> Any:
    """The value of a piece of YAML."""
    file = folder / "value.yaml"
    file.write_text(text, encoding="utf-8")
    return read(file).value


def drawing(folder: Path, segment: str, text: str) -> Drawing:
    """What a drawing shows."""
    events: list[Event] = []
    edges: dict[int, bool] = {}
    lines = text.splitlines()
    open_ended = bool(lines) and lines[-1].strip() in ("…", "│ …")
    inside = False
    at = 0
    for line in lines[:-1] if open_ended else lines:
        found = _LINE.fullmatch(line.strip())
        assert found, f"expected an edge, an instant and perhaps an event, found {line!r}"
        at = moment(found["instant"])
        assert at >= max(edges, default=at), f"expected a later instant, found {line!r}"
        assert inside is (found["edge"] in ("│", "└")), f"expected an edge that goes on from the line above: {line!r}"
        inside = edges[at] = EDGES[found["edge"]]
        if found["event"]:
            events.append(_event(folder, len(events), at, found["event"]))
    return Drawing(segment, events, edges, at if open_ended else None)


def moment(text: str) -> int:
    """The epoch milliseconds of a drawing's instant."""
    spans = re.findall(r"\d+[a-z]+", text)
    if text == "0" or "".join(spans) == text:
        return MONDAY + sum(map(duration, spans))
    found = instant(text)
    assert found is not None, f"expected an instant such as 1h30m or 2026-03-29T01:00Z, found {text!r}"
    return found


def _event(folder: Path, number: int, at: int, text: str) -> Event:
    found = _EVENT.fullmatch(text)
    assert found, f"expected an event's name and perhaps its properties, found {text!r}"
    says = value(folder, found["says"] or "{}")
    fields = value(folder, found["fields"] or "{}")
    received = fields.pop("received", None)
    return Event(
        message_id=f"m{number}",
        name=found["name"],
        occurred_at=at,
        received_at=moment(received) if received else at,
        **{"traits" if found["name"] == "Identified" else "properties": says, **fields},
    )


def options(catalog: Catalog) -> dict[str, Any]:
    """What a catalogue has for its segments to refer to."""
    return {
        "lists": {name: list_.members for name, list_ in catalog.lists.items()},
        "granted_unsaid": catalog.settings.granted_unsaid,
        "scores": catalog.scores,
        "computed": catalog.computed,
        "models": catalog.models,
        "session_gap": catalog.settings.session_gap,
    }


def differences(catalog: Catalog, drawn: Drawing) -> list[str]:
    """Where engine or oracle say something else than the drawing, at every instant at which anything can change."""
    oracle, engine = Oracle(catalog.segments, **options(catalog)), Engine(catalog.segments, **options(catalog))
    edges = {*drawn.edges, *oracle.breakpoints(drawn.events, drawn.segment)}
    asked = sorted({at for edge in edges for at in (edge - 1, edge) if drawn.until is None or at <= drawn.until})
    return [
        f"{name} says {said} at {at - MONDAY} ms from the beginning ({at})"
        for at in asked
        for name, evaluator in (("oracle", oracle), ("engine", engine))
        if (said := evaluator.member(drawn.events, drawn.segment, at)) is not drawn.member(at)
    ]
