"""Why a visitor is in a segment at an instant or not: what each condition finds, and which one comes nearest."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from segue.domain.errors import NotFound
from segue.domain.event import GROUP, Event, Json
from segue.domain.membership import Interval, covers
from segue.domain.rules.evidence import Entry, Evidence
from segue.domain.rules.finding import Finding
from segue.domain.rules.fold import HORIZON, timeline
from segue.domain.rules.intervals import FOREVER, contains
from segue.domain.rules.measurements import Node, View
from segue.domain.rules.program import CompiledSegment, Program
from segue.domain.rules.state import State
from segue.domain.rules.wording import left, length, moment

MOST_NAMED: Final = 20
"""How many of the events that count are named, the newest ones."""

MOST_SHOWN: Final = 3
"""How many of them are shown in words."""

Memory: TypeAlias = Literal["stays", "waits", "ended"]
"""`when` no longer holds and the membership stays; it holds, but not long enough; `until` holds."""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """An event that counts. `event` is its name (None: any); `message_id` is None where it is not known any more."""

    event: str | None
    at: int
    message_id: str | None


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One condition at an instant: a leaf, or a tree of `parts`.

    `true` is its truth, `needed` the one that helps membership. With no further event it changes at `changes_at`
    (epoch ms; None: never, or not within 32 days). The rest is what `Finding` says; `counted` are the newest events of
    those that count.
    """

    kind: str
    true: bool
    needed: bool
    changes_at: int | None
    says: str
    found: str = ""
    figure: Json = None
    wanted: Json = None
    lacks: str | None = None
    distance: float
    before: int | None = None
    counted: tuple[Counted, ...] = ()
    parts: tuple["Part", ...] = ()


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a visitor is (`member`) or is not in `segment` at the instant `at`, as far as known at the last evaluation.

    `since` and `until` bound the membership (`until` None: never, or not known ahead). Of a visitor who is no member,
    with no further event, `enters_at` says when they will be (None: likewise). `known`: there is any event of the
    visitor. `memory` says what the past has to do with it. `nearest` is, for one who is no member, the leaf that lacks
    least of being as it is needed, those that should hold before those that should not.
    """

    segment: str
    definition: str
    at: int
    known: bool
    member: bool
    since: int | None
    until: int | None
    enters_at: int | None
    approximate: bool
    stays: int
    enter_after: int
    memory: Memory | None
    when: Part
    unless: Part | None
    purposes: tuple[Part, ...]
    nearest: Part | None


def explain(program: Program, state: State, segment: str, t: int, history: Sequence[Event] = ()) -> Explanation:
    """Why the visitor is in the segment at t or not, with no further event; t before `state.instant` is that instant.

    `history` are the visitor's events as the archive has them: they name the messages that the state has forgotten.
    Raises `NotFound` if the program has no such segment.
    """
    compiled = next((one for one in program.order if one.id == segment), None)
    if compiled is None:
        raise NotFound(f"there is no segment {segment!r:.200}")
    t = max(t, state.instant)
    ahead = timeline(program, state, t)
    intervals = ahead.memberships.get(segment, ())
    span = covers(intervals, t)
    spans = {name: [(a, FOREVER if b is None else b) for a, b in each] for name, each in ahead.memberships.items()}
    view = View(t, t + HORIZON, True, state.streams, state.totals, {name: [] for name in program.segments} | spans)
    parts = _Parts(program, view, ahead.known_until, history)
    when = parts.of(compiled.when, needed=True)
    unless = parts.of(compiled.until, needed=False) if compiled.until else None
    purposes = tuple(parts.of(node, needed=True) for node in compiled.consented.parts) if compiled.consented else ()
    known = state.known_from is not None
    failing = [part for part in (when, unless, *purposes) if part is not None and part.true is not part.needed]
    return Explanation(
        segment=segment,
        definition=compiled.definition,
        at=t,
        known=known,
        member=span is not None,
        since=span[0] if span else None,
        until=_ends(span, ahead.known_until) if span else None,
        enters_at=intervals[0][0] if intervals and not span else None,
        approximate=segment in ahead.approximate,
        stays=compiled.stays,
        enter_after=compiled.enter_after,
        memory=_memory(compiled, known, span is not None, when.true, unless is not None and unless.true),
        when=when,
        unless=unless,
        purposes=purposes,
        nearest=None if span else _nearest(failing),
    )


def _ends(span: Interval, known_until: int | None) -> int | None:
    """When an interval ends, if that is known ahead."""
    return span[1] if span[1] is not None and (known_until is None or span[1] < known_until) else None


def _memory(segment: CompiledSegment, known: bool, member: bool, when: bool, until: bool) -> Memory | None:
    if member:
        return None if when else "stays"
    if until:
        return "ended"
    return "waits" if segment.enter_after and known and when else None


class _Parts:
    """The conditions of a program, looked at from the start of a view."""

    def __init__(self, program: Program, view: View, known_until: int | None, history: Sequence[Event]) -> None:
        self._program = program
        self._view = view
        self._known_until = view.horizon if known_until is None else min(known_until, view.horizon)
        self._history = history

    def of(self, node: Node, needed: bool) -> Part:
        """The condition, and what it is made of."""
        spans, at = node.spans(self._view), self._view.start
        edges = (edge for edge in chain.from_iterable(spans) if at < edge < FOREVER)
        changes_at = next(edges, None)
        if changes_at is not None and (node.recurs or node.refers) and changes_at >= self._known_until:
            changes_at = None
        finding = node.describe(self._view) if node.describe else Finding(says=node.kind)
        inner = needed is (node.kind not in ("not", "none"))
        return Part(
            kind=node.kind,
            true=contains(spans, at),
            needed=needed,
            changes_at=changes_at,
            says=finding.says,
            found=finding.found,
            figure=finding.figure,
            wanted=finding.wanted,
            lacks=finding.lacks,
            distance=finding.distance,
            before=finding.before,
            counted=self._counted(finding.counted),
            parts=tuple(self.of(part, inner) for part in node.parts),
        )

    def _counted(self, counted: Mapping[str, Sequence[Entry]]) -> tuple[Counted, ...]:
        named = [each for key, entries in counted.items() for each in self._named(self._program.evidence[key], entries)]
        return tuple(sorted(dict.fromkeys(named), key=lambda each: each.at)[-MOST_NAMED:])

    def _named(self, evidence: Evidence, entries: Sequence[Entry]) -> Iterator[Counted]:
        name = evidence.event if evidence.trait is None else "Grouped" if evidence.trait == GROUP else "Identified"
        messages = self._messages_of(evidence)
        for entry in entries:
            at_hand = messages.get(_content(entry))
            message = str(entry[3][1]) if type(entry[3]) is tuple else at_hand.pop(0) if at_hand else None
            yield Counted(event=None if name == "*" else name, at=entry[0], message_id=message)

    def _messages_of(self, evidence: Evidence) -> dict[object, list[str]]:
        """The messages of the history, by what the measurement keeps of them."""
        messages: dict[object, list[str]] = {}
        for event in self._history:
            if evidence.event in ("*", event.name):
                for entry in evidence.collect(event, event.occurred_at):
                    messages.setdefault(_content(entry), []).append(event.message_id)
        return messages


def _content(entry: Entry) -> object:
    payload = entry[3]
    return entry[0], entry[2], payload[1] if type(payload) is tuple else payload


def _nearest(failing: Sequence[Part]) -> Part | None:
    leaves = [leaf for part in failing for leaf in _failing_leaves(part, None)]
    return min(leaves, key=lambda leaf: (not leaf.needed, leaf.distance), default=None)


def _failing_leaves(part: Part, before: int | None) -> Iterator[Part]:
    """The leaves that keep a condition from being as it is needed.

    Each `before` what it needs beside itself (the other parts of `all` or `together`) is so no longer.
    """
    if not part.parts:
        yield replace(part, before=_first(part.before, before))
        return
    helping = [other.changes_at for other in part.parts if other.true is other.needed]
    if part.kind in ("all", "together"):
        before = _first(before, *helping)
    for other in part.parts:
        if other.true is not other.needed:
            yield from _failing_leaves(other, before)


def _first(*instants: int | None) -> int | None:
    return min((instant for instant in instants if instant is not None), default=None)


# In words


def words(explanation: Explanation) -> list[str]:
    """The explanation as lines of plain English: the verdict, what is nearest, and the conditions, indented."""
    lines = [_verdict(explanation), *_remarks(explanation)]
    if explanation.nearest is not None:
        lines.append(f"Nearest: {_nearest_in_words(explanation.nearest, explanation.at)}.")
    lines.append("Conditions:")
    lines += _tree(explanation.when, 1)
    if explanation.unless is not None:
        lines += ["Ended by:", *_tree(explanation.unless, 1)]
    if explanation.purposes:
        lines += ["Only with:", *(line for part in explanation.purposes for line in _tree(part, 1))]
    return lines


def _verdict(explanation: Explanation) -> str:
    about = f"`{explanation.segment}` at {moment(explanation.at)}"
    if not explanation.known:
        return f"{about}: not a member: there is no event of this visitor."
    if not explanation.member:
        return f"{about}: not a member."
    ends = "with no end in sight" if explanation.until is None else f"until {moment(explanation.until)}"
    return f"{about}: a member since {moment(explanation.since or 0)}, {ends} if nothing else happens."


def _remarks(explanation: Explanation) -> Iterator[str]:
    if explanation.memory == "stays":
        yield f"The conditions no longer hold, but membership stays for {length(explanation.stays)}."
    if explanation.memory == "ended":
        yield "What ends membership holds now."
    if explanation.memory == "waits":
        yield f"The conditions hold, but have to for {length(explanation.enter_after)}."
    if explanation.enters_at is not None:
        yield f"If nothing else happens, a member from {moment(explanation.enters_at)} on."
    if explanation.approximate:
        yield "Some of the evidence passed a cap: the answer is approximate."


def _nearest_in_words(part: Part, at: int) -> str:
    within = "" if part.before is None or part.before <= at else f" within {left(part.before - at)}"
    if part.needed and part.lacks:
        return f"{part.lacks}{within}"
    turns = "ends" if part.true else "comes"
    wait = "" if part.changes_at is None else f", which {turns} by itself in {left(part.changes_at - at)}"
    asked = part.says if part.needed else f"not {part.says}"
    return f"{asked} (found: {part.found}){wait}" if part.found else f"{asked}{wait}"


def _tree(part: Part, depth: int) -> Iterator[str]:
    mark = "✓" if part.true is part.needed else "✗"
    found = f": {part.found}" if part.found else ""
    events = ""
    if part.counted:
        instants = ", ".join(moment(event.at).removesuffix(" UTC") for event in part.counted[-MOST_SHOWN:])
        events = f" (at {instants} UTC)"
    changes = "" if part.changes_at is None else f"; {'until' if part.true else 'from'} {moment(part.changes_at)}"
    yield f"{'  ' * depth}{mark} {part.says}{found}{events}{changes}"
    for inner in part.parts:
        yield from _tree(inner, depth + 1)
