"""`all any none not at_least segment`: conditions over conditions, and other segments."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from segue.domain.rules.finding import Finding
from segue.domain.rules.intervals import Spans, at_least, complement, contains, intersection, union
from segue.domain.rules.measurements import Measurements, Node, View
from segue.domain.rules.model import Model, Refused
from segue.domain.rules.wording import number

if TYPE_CHECKING:
    Condition = Any  # at run time `definition.py` says what it is, for it knows every kind


class All(Model):
    """Every one of these conditions is true."""

    all: list["Condition"] = Field(min_length=1)


class Any_(Model):  # noqa: N801  # `Any` is taken
    """Some of these conditions is true."""

    any: list["Condition"] = Field(min_length=1)


class None_(Model):  # noqa: N801  # `None` is taken
    """None of these conditions is true."""

    none: list["Condition"] = Field(min_length=1)


class Not(Model):
    """The condition is not true; of a value that is missing no comparison is, so that `not` includes the missing."""

    not_: "Condition" = Field(alias="not")


class AtLeastOf(Model):
    count: int = Field(ge=1)
    """How many of them, at least."""
    of: list["Condition"] = Field(min_length=1)
    """The conditions."""

    @model_validator(mode="after")
    def _possible(self) -> "AtLeastOf":
        if self.count > len(self.of):
            raise Refused(f"expected at most {len(self.of)}, the number of conditions", "count")
        return self


class AtLeast(Model):
    """So many of these conditions are true: `{at_least: {count: 2, of: [...]}}`."""

    at_least: AtLeastOf


class InSegment(Model):
    """A member of another segment, which is looked at as of then."""

    segment: str


def compile_all(condition: All, measurements: Measurements) -> Node:
    return every(measurements.nodes(condition.all, "all"), "all of")


def compile_any(condition: Any_, measurements: Measurements) -> Node:
    nodes = measurements.nodes(condition.any, "any")
    return _over(nodes, "at least one of", lambda _view, parts: union(span for part in parts for span in part))


def compile_none(condition: None_, measurements: Measurements) -> Node:
    return _none(measurements.nodes(condition.none, "none"), "none of")


def compile_not(condition: Not, measurements: Measurements) -> Node:
    return _none([measurements.node(condition.not_, "not")], "not")


def compile_at_least(condition: AtLeast, measurements: Measurements) -> Node:
    count = condition.at_least.count
    nodes = measurements.nodes(condition.at_least.of, "at_least.of")
    return _over(nodes, f"at least {number(count)} of", lambda _view, parts: at_least(count, parts))


def compile_segment(condition: InSegment, _measurements: Measurements) -> Node:
    name = condition.segment
    return Node(
        lambda view: list(view.memberships[name]),
        refers=frozenset({name}),
        describe=lambda view: _in_segment(name, contains(view.memberships[name], view.start)),
    )


def _in_segment(name: str, member: bool) -> Finding:
    return Finding(says=f"in the segment `{name}`", found="is" if member else "is not", figure=member)


def every(nodes: Sequence[Node], says: str) -> Node:
    """True where all of them are: the cheaper ones are asked first, and the rest only while something is left."""
    cheapest_first = sorted(nodes, key=lambda node: node.cost)

    def spans(view: View) -> Spans:
        found = cheapest_first[0].spans(view)
        for node in cheapest_first[1:]:
            if not found:
                break
            found = intersection(found, node.spans(view))
        return found

    return replace(_over(nodes, says, lambda _view, _parts: []), spans=spans)


def _none(nodes: Sequence[Node], says: str) -> Node:
    return _over(
        nodes, says, lambda view, parts: complement(union(span for part in parts for span in part), view.start)
    )


def _over(nodes: Sequence[Node], says: str, combine: Callable[[View, list[Spans]], Spans]) -> Node:
    return Node(
        lambda view: combine(view, [node.spans(view) for node in nodes]),
        frozenset().union(*(node.reads for node in nodes)),
        frozenset().union(*(node.refers for node in nodes)),
        any(node.recurs for node in nodes),
        sum(node.cost for node in nodes),
        parts=tuple(nodes),
        describe=lambda _view: Finding(says=says),
    )
