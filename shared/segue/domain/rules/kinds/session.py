"""`session`: something of this session, or of the last one, compares."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from segue.domain.event import Event, Json
from segue.domain.rules import courses, wording
from segue.domain.rules import evidence as ev
from segue.domain.rules.courses import Course, staged
from segue.domain.rules.evidence import Entry, Seen, Window, content_key
from segue.domain.rules.finding import Finding, lacking, share
from segue.domain.rules.kinds.trait import in_time
from segue.domain.rules.measurements import Measurements, Node, View, leaf
from segue.domain.rules.model import FigureIs, Model, Refused, Text, Where
from segue.domain.rules.operators import MISSING, Missing, matcher, split, value_at, where
from segue.domain.rules.sessions import Session, lately, of_time
from segue.domain.rules.wording import comparison, left, number, quoted

PAGE_VIEWED: Final = "Page Viewed"

SAID: Final[Mapping[str, tuple[str, ...]]] = {
    "entry_page": ("properties.path", "context.page.path"),
    "referrer": ("context.page.referrer", "properties.referrer"),
    "referral": ("context.referrer",),
    "campaign": ("context.campaign",),
    "browser": ("context.browser",),
    "device": ("context.device",),
    "os": ("context.os",),
    "bot": ("context.bot",),
    "locale": ("context.locale",),
    "timezone": ("context.timezone",),
    "country": ("context.location.country",),
    "region": ("context.location.region",),
    "city": ("context.location.city",),
}
"""Where a message says it; of a session the first message counts that does. The entry page is that of the first page
view."""

MEASURED: Final = ("duration", "events", "pages", "distinct")

NAMES: Final = {
    "duration": "in this session",
    "events": "events in this session",
    "pages": "pages in this session",
    "distinct": "values in this session",
}


def _check(path: str) -> str:
    session, _, rest = path.partition(".")
    field, _, inner = rest.partition(".")
    if session not in ("this", "last"):
        raise Refused(f"expected this or last and a field, such as this.duration, found {path!r:.60}")
    if field not in (*MEASURED, *SAID):
        raise Refused(f"expected one of {' '.join((*MEASURED, *SAID))}, found {field!r:.60}")
    if bool(inner) != (field == "distinct") and field in MEASURED:
        raise Refused(f"expected distinct with a property, and the other figures without, found {path!r:.60}")
    return path


SessionPath = Annotated[
    str,
    AfterValidator(_check),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": rf"^(this|last)\.(duration|events|pages|distinct\..+|({'|'.join(SAID)})(\..+)?)$",
        }
    ),
]


class SessionIs(Model):
    """This session, or the last: `{session: this.duration, is: {gt: 5m}}`; once it has ended, this one is missing."""

    session: SessionPath
    """`this.` or `last.`, and `duration`, `events`, `pages`, `distinct.category`, `entry_page`, `campaign.source` …"""
    of: Text | None = None
    """Of these events only, for `events` and `distinct`."""
    where: Where | None = None
    """What the properties of these events have to be like."""
    is_: FigureIs = Field(alias="is")
    """What it has to be; `duration` compares with durations."""

    @model_validator(mode="after")
    def _narrowed(self) -> "SessionIs":
        field = split(self.session)[1]
        if self.of is not None and field not in ("events", "distinct"):
            raise Refused("expected with events and distinct only", "of")
        if self.where is not None and self.of is None:
            raise Refused("expected with of only", "where")
        return self


def compile_session(definition: SessionIs, measurements: Measurements) -> Node:
    """Raises Invalid if the duration is compared with a text that is none."""
    session, field, *path = split(definition.session)
    gap = measurements.session_gap
    far = measurements.max_age + measurements.lateness + gap
    is_ = in_time(definition.is_) if field == "duration" else definition.is_
    test = matcher(is_)
    said, tells = _told(definition, field, tuple(path))

    def collect(event: Event, visible_at: int) -> list[Entry]:
        return [(event.occurred_at, visible_at, None, (0, tells(event)))]

    key = measurements.measured(["session", gap, said], "*", collect, "sessions", Window(far=far), gap)

    def value(one: Session | None) -> Json | Missing:
        return MISSING if one is None else READS.get(field, _said)(one, tuple(path))

    def course(view: View) -> Course:
        entries = lately(view.entries(key), gap) if view.settled else view.entries(key)

        def seen_course(seen: Seen) -> Course:
            found = of_time(filter(seen, entries), gap)
            return [(instant, value(this if session == "this" else last)) for instant, this, last in found]

        return staged(entries, view.start, seen_course, MISSING)

    def describe(view: View) -> Finding:
        found = courses.value_at_start(course(view))
        return _described(definition, field, is_, None if found is MISSING else found)

    return leaf(
        content_key(["session", key, definition.session, is_]),
        lambda view: courses.where(course(view), lambda found: test(found, {}), ()),
        {key: far},
        cost=8,
        describe=describe,
    )


def _described(definition: SessionIs, field: str, is_: dict[str, Json], figure: Json) -> Finding:
    """The figure in words; more of it only helps this session."""
    shown = left if field == "duration" else number
    of = f" of {wording.event(definition.of, definition.where)}" if definition.of else ""
    passes = matcher(is_)(MISSING if figure is None else figure, {})
    grows = field in MEASURED and definition.session.startswith("this") and not passes
    lack = lacking(is_, figure, whole=True) if grows else None
    return Finding(
        says=f"the session's `{definition.session}`{of} {comparison(definition.is_)}",
        found="nothing" if figure is None else left(figure) if field == "duration" else quoted(figure),
        figure=figure,
        wanted=definition.is_,
        lacks=None if lack is None else f"{shown(int(lack))} more {NAMES[field]}",
        distance=0 if passes else share(lack, figure),
    )


def _said(session: Session, path: tuple[str, ...]) -> Json | Missing:
    return value_at(session.told[3], path) if session.told else MISSING


READS: Final[Mapping[str, Callable[[Session, tuple[str, ...]], Json | Missing]]] = {
    "duration": lambda session, _: session.last - session.first,
    "events": lambda session, _: session.told,
    "pages": lambda session, _: session.told,
    "distinct": lambda session, _: len(session.told),
}
"""What is read of a session for a figure; of any other field what its first message says."""


def _told(definition: SessionIs, field: str, path: tuple[str, ...]) -> tuple[object, Callable[[Event], Any]]:
    """What is told of a message, and a name for it."""
    if field in SAID:
        return field, _saying(field)
    name = PAGE_VIEWED if field == "pages" else definition.of
    selects = where(definition.where) if definition.where else None

    def selected(event: Event) -> bool:
        return (name in (None, "*") or event.name == name) and (selects is None or selects(event.properties))

    content = [name or "*", definition.where]
    if field == "distinct":
        return [*content, path], lambda event: ev.groups_at(event.properties, path) if selected(event) else []
    return content, lambda event: int(selected(event))


def _saying(field: str) -> Callable[[Event], Any]:
    paths = [(root, tuple(rest)) for root, *rest in map(split, SAID[field])]

    def tells(event: Event) -> Any:
        if field == "entry_page" and event.name != PAGE_VIEWED:
            return None
        roots = {"properties": event.properties, "context": event.context}
        found = (value_at(roots[root], rest) for root, rest in paths)
        value = next((one for one in found if one is not MISSING), MISSING)
        return None if value is MISSING else [event.occurred_at, event.received_at, event.message_id, value]

    return tells
