"""`score`: points for events, which fade with a half-life or leave a window, compare."""

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from segue.domain.rules import courses, decay
from segue.domain.rules.courses import Course, Number
from segue.domain.rules.evidence import Window, content_key
from segue.domain.rules.figures import from_micro, micro
from segue.domain.rules.finding import Finding, lacking, share
from segue.domain.rules.measurements import Measurements, Node, Reading, View, leaf
from segue.domain.rules.model import Duration, FigureIs, Model, Refused, Selector
from segue.domain.rules.operators import MISSING, matcher, numbers
from segue.domain.rules.wording import comparison, shown


def _points(value: Number) -> Number:
    if micro(value) == 0:
        raise Refused("expected points other than 0")
    return value


class Earns(Selector):
    """The events that earn so many points each; negative ones cost."""

    points: Annotated[float, Field(ge=-1e12, le=1e12), AfterValidator(_points)]
    """What each of them is worth."""


class Score(Model):
    """Points for events: with a half-life each event is worth half after it; with a window nothing once it has left.

    `bounds` limit what is read, not what is added up.
    """

    name: str = ""
    """What people call it."""
    description: str = ""
    """For people, too."""
    events: list[Earns] = Field(min_length=1, max_length=100)
    """What earns points."""
    half_life: Duration | None = None
    """After it an event is worth half."""
    within: Duration | None = None
    """The window in which an event is worth its points."""
    bounds: list[Annotated[float, Field(allow_inf_nan=False)]] | None = Field(default=None, min_length=2, max_length=2)
    """`[0, 100]`: what is read is never below the one or above the other."""

    @model_validator(mode="after")
    def _fades_or_leaves(self) -> "Score":
        if (self.half_life is None) == (self.within is None):
            raise Refused("expected exactly one of half_life within")
        if self.bounds is not None and self.bounds[0] >= self.bounds[1]:
            raise Refused("expected the lower one first", "bounds")
        return self


class ScoreIs(Model):
    """A score of this catalogue compares: `{score: engagement, is: {ge: 50}}`."""

    score: str
    """Its name among the `scores`."""
    is_: FigureIs = Field(alias="is")
    """The comparison."""


def compile_score(definition: ScoreIs, measurements: Measurements) -> Node:
    """Raises Invalid if there is no such score."""
    reading = measurements.score(definition.score)
    test, beside = matcher(definition.is_), numbers(definition.is_)

    def describe(view: View) -> Finding:
        points = courses.value_at_start(reading.course(view))
        figure = None if points is MISSING else points
        lack = None if test(points, {}) else lacking(definition.is_, figure)
        return Finding(
            says=f"the score `{definition.score}` {comparison(definition.is_)}",
            found="nothing" if figure is None else shown(figure),
            figure=figure,
            wanted=definition.is_,
            lacks=None if lack is None else f"{shown(lack)} more points",
            distance=share(lack, figure),
        )

    return leaf(
        content_key(["score", reading.key, definition.is_]),
        lambda view: courses.where(reading.course(view), lambda value: test(value, {}), beside),
        reading.reads,
        cost=4,
        describe=describe,
    )


def reading(score: Score, measurements: Measurements) -> Reading:
    """The score over time."""
    points = [micro(one.points) for one in score.events]
    bounds = (score.bounds[0], score.bounds[1]) if score.bounds else None
    course: Callable[[View], Course]
    if score.half_life is None:
        window = Window(far=score.within)
        keys = [measurements.events(one.did, one.where, window, "totals") for one in score.events]
        course = _leaving(keys, points, window, bounds)
    else:
        window = Window()
        keys = [
            measurements.events(one.did, one.where, window, "decayed", most=score.half_life) for one in score.events
        ]
        course = _fading(keys, points, score.half_life, bounds)
    content = ["score", keys, points, score.half_life, score.within, score.bounds]
    moves = score.half_life is not None
    return Reading(content_key(content), course, dict.fromkeys(keys, window.far), moves=moves)


def _leaving(
    keys: Sequence[str], points: Sequence[int], window: Window, bounds: tuple[Number, Number] | None
) -> Callable[[View], Course]:
    def course(view: View) -> Course:
        changes = [(view.start, 0)]
        for key, earned in zip(keys, points, strict=True):
            for begins, ends in map(window.active, view.entries(key)):
                if begins < ends and ends > view.start:
                    changes += [(max(begins, view.start), earned), (ends, -earned)]
        total, found = 0, []
        for instant, together in groupby(sorted(changes), itemgetter(0)):
            total += sum(earned for _, earned in together)
            found.append((instant, _within(bounds, from_micro(total))))
        return found

    return course


def _fading(
    keys: Sequence[str], points: Sequence[int], half_life: int, bounds: tuple[Number, Number] | None
) -> Callable[[View], Course]:
    def course(view: View) -> Course:
        settled = [view.totals.get(key, {}).get("") for key in keys]
        weights = [decay.settled(totals) for totals in settled]
        newest = max((totals[0] for totals in settled if totals), default=0)
        coming = [
            (max(*entry[:2], view.start), number, entry[0])
            for number, key in enumerate(keys)
            for entry in view.entries(key)
        ]
        found: list[tuple[int, courses.Value]] = []
        for instant, together in groupby([(view.start, -1, 0), *sorted(coming)], itemgetter(0)):
            for _, number, occurred_at in together:
                if number >= 0:
                    weights[number] = decay.added([weights[number], decay.weight(occurred_at, half_life)])
                    newest = max(newest, occurred_at)
            parts = zip(points, weights, strict=True)
            found.append((instant, decay.Decaying.of(parts, half_life, newest, bounds)))
        return found

    return course


def _within(bounds: tuple[Number, Number] | None, value: Number) -> Number:
    return value if bounds is None else min(max(value, bounds[0]), bounds[1])
