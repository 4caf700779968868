"""`sequence`: one event per step, each strictly later than the one before, all in one window.

Seen from an instant, only one thing about the chains matters: how late the latest of them begins, for that one leaves
the window last.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from pydantic import Field, model_validator

from segue.domain.rules.evidence import Entry, Seen, Window, as_seen, content_key
from segue.domain.rules.finding import Finding, counting, share
from segue.domain.rules.intervals import FOREVER, Spans, union
from segue.domain.rules.measurements import Measurements, Node, View, grouped, leaf
from segue.domain.rules.model import AnySelector, Duration, Model, Path, Refused, Selector
from segue.domain.rules.wording import event, within

Instants: TypeAlias = list[int]


class Step(Selector):
    """An event of a sequence."""

    gap: Duration | None = None
    """Less than that after the step before."""
    without: AnySelector | None = None
    """None of these between the step before and this one."""


class SequenceOf(Model):
    steps: list[Step] = Field(min_length=2, max_length=20)
    """The events, each strictly later than the one before."""
    within: Duration | None = None
    """The window that the whole chain lies in."""
    without: AnySelector | None = None
    """None of these between the first and the last step."""
    same: list[Path] = Field(default=[], min_length=1, max_length=5)
    """The steps agree on these properties."""

    @model_validator(mode="after")
    def _first_step_is_free(self) -> "SequenceOf":
        for name in ("gap", "without"):
            if getattr(self.steps[0], name) is not None:
                raise Refused("expected none on the first step", "steps", 0, name)
        return self


class SequenceLeaf(Model):
    """One after the other: `{sequence: {within: 1h, steps: [{did: A}, {did: B, gap: 10m}]}}`."""

    sequence: SequenceOf


def compile_sequence(definition: SequenceLeaf, measurements: Measurements) -> Node:
    part = definition.sequence
    window = Window(far=part.within)

    def measured(selector: Selector | None, same: Sequence[str]) -> str | None:
        if selector is None:
            return None
        return measurements.events(selector.did, selector.where, window, "latest", same=same)

    steps = [measured(step, part.same) for step in part.steps]
    betweens = [measured(step.without, ()) for step in part.steps]
    whole = measured(part.without, ())
    keys = list(dict.fromkeys(key for key in [*steps, *betweens, whole] if key is not None))

    def spans(view: View) -> Spans:
        def truth(seen: Seen) -> Spans:
            visible = {key: list(filter(seen, view.entries(key))) for key in keys}
            found = chains(
                part,
                [grouped(visible[key or ""]) for key in steps],
                [_instants(visible[key]) if key else [] for key in betweens],
                _instants(visible[whole]) if whole else [],
            )
            return union((last, window.active((begins, begins, None, None))[1]) for last, begins in found)

        return as_seen([entry for key in keys for entry in view.entries(key)], view.start, truth)

    names = [event(step.did, step.where) for step in part.steps]

    def describe(view: View) -> Finding:
        """How many of the steps, from the first on, have been taken and can still be followed by the next."""
        at = view.start
        lately = {key: counting(view.entries(key), window, at) for key in keys}
        taken = [grouped(lately[key or ""]) for key in steps]
        between = [_instants(view.entries(key)) if key else [] for key in betweens]
        outside = _instants(view.entries(whole)) if whole else []

        def open_until(count: int) -> int:
            """How long the chains of so many steps stay of use, at most; not beyond `at` if none is."""
            found = chains(part, taken[:count], between, outside)
            if count == len(steps):
                return FOREVER if any(found) else at
            gap = part.steps[count].gap or FOREVER
            followed = (
                min(window.active((begins, begins, None, None))[1], last + gap)
                for last, begins in found
                if _before(between[count], at + 1) <= last and _before(outside, at + 1) <= begins
            )
            return max(followed, default=at)

        reached = next((count for count in range(len(steps), 0, -1) if open_until(count) > at), 0)
        before = open_until(reached) if reached else FOREVER
        return Finding(
            says=", then ".join(names) + within(window),
            found=f"{reached} of {len(steps)} steps",
            figure=reached,
            wanted={"ge": len(steps)},
            lacks=", then ".join(names[reached:]) or None,
            distance=share(len(steps) - reached, reached),
            before=before if before < FOREVER else None,
            counted={key: lately[key] for key in steps if key},
        )

    key = content_key(["sequence", steps, betweens, whole, part.within, [step.gap for step in part.steps]])
    return leaf(key, spans, dict.fromkeys(keys, part.within), cost=8, describe=describe)


def chains(
    part: SequenceOf, steps: Sequence[dict[str | None, list[Entry]]], betweens: Sequence[Instants], whole: Instants
) -> Iterator[tuple[int, int]]:
    """Of each event that ends a chain: its instant, and that of the start of the chain that begins last."""
    for group in steps[0]:
        reached = {instant: instant for instant in _instants(steps[0][group])}
        for number in range(1, len(steps)):
            reached = _next(reached, _instants(steps[number].get(group, [])), part.steps[number].gap, betweens[number])
        yield from ((last, begins) for last, begins in reached.items() if _before(whole, last) <= begins)


def _next(reached: dict[int, int], instants: Instants, gap: int | None, between: Instants) -> dict[int, int]:
    """The chains one step longer, by the instant of their last event.

    A chain that ends later never begins earlier, so that only the last one before an instant can be the best.
    """
    ends = list(reached)
    found: dict[int, int] = {}
    for instant in instants:
        position = bisect_left(ends, instant)
        earliest = max(_before(between, instant), -1 if gap is None else instant - gap + 1)
        if position and ends[position - 1] >= earliest:
            found[instant] = reached[ends[position - 1]]
    return found


def _before(instants: Instants, limit: int) -> int:
    """The last instant strictly before the limit, or -1."""
    position = bisect_left(instants, limit)
    return instants[position - 1] if position else -1


def _instants(entries: Sequence[Entry]) -> Instants:
    return sorted({entry[0] for entry in entries})
