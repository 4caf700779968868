"""A trace as lines for people: what led to what, when it began, and how long it took."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was done, from `start` to `end` (ns since 1970). `parent` is empty for the first of a trace."""

    trace: str
    id: str
    parent: str
    service: str
    name: str
    kind: str
    start: int
    end: int
    failed: bool
    attributes: Mapping[str, object]

    @property
    def function(self) -> object:
        """The function's name, if this is a call of one."""
        return self.attributes.get("faas.name")


MS = 1_000_000
"""Nanoseconds."""


FURTHER = {
    "http.response.status_code": "{}",
    "messaging.destination.name": "{}",
    "db.collection.name": "{}",
    "segue.destination": "{}",
    "segue.streams": "to {} open pages",
}
"""What is shown of a span besides its name, and how."""


def tree(spans: Sequence[Span]) -> Iterator[str]:
    """One line a span, below the one that it is a part of, the earliest first."""
    first, last = min(span.start for span in spans), max(span.end for span in spans)
    calls = sum(span.function is not None for span in spans)
    yield f"trace {spans[0].trace}: {calls} calls, {len(spans)} spans, {(last - first) / MS:.1f} ms"
    yield f"{'begins':>10} {'takes':>10}"
    parts = _parts(spans)
    for span, branch in _branches(parts, parts.get("", ()), ""):
        yield f"{(span.start - first) / MS:7.1f} ms {(span.end - span.start) / MS:7.1f} ms  {branch}{_words(span)}"


def _parts(spans: Sequence[Span]) -> Mapping[str, Sequence[Span]]:
    """The parts of each span, by its id; of none, those whose whole is not known."""
    known = {span.id for span in spans}
    parts: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: span.start):
        parts.setdefault(span.parent if span.parent in known else "", []).append(span)
    return parts


def _branches(parts: Mapping[str, Sequence[Span]], siblings: Sequence[Span], trunk: str) -> Iterator[tuple[Span, str]]:
    for span in siblings:
        is_last = span is siblings[-1]
        yield span, f"{trunk}{'└─ ' if is_last else '├─ '}"
        yield from _branches(parts, parts.get(span.id, ()), f"{trunk}{'   ' if is_last else '│  '}")


def _words(span: Span) -> str:
    """What was done, and to what: of a call first the function."""
    told = span.attributes
    name = told.get("cloudevents.event_type", span.name if span.name != span.function else "")
    words = [f"{span.function}:", name] if span.function else [name]
    words += [shown.format(told[each]) for each, shown in FURTHER.items() if each in told]
    words += [f"({told.get('error.type', 'failed')})"] if span.failed else []
    return " ".join(str(word) for word in words if word)
