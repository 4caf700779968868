"""`all any none not at_least`: conditions over conditions."""

from collections.abc import Callable, Sequence
from functools import reduce

from segue.domain.rules.intervals import Spans, at_least, complement, intersection, union
from segue.domain.rules.measurements import Node, View


def every(nodes: Sequence[Node]) -> Node:
    return _over(nodes, lambda _view, parts: reduce(intersection, parts))


def some(nodes: Sequence[Node]) -> Node:
    return _over(nodes, lambda _view, parts: union(span for part in parts for span in part))


def none(nodes: Sequence[Node]) -> Node:
    """None of them; of one node, its opposite."""
    return _over(nodes, lambda view, parts: complement(union(span for part in parts for span in part), view.start))


def several(count: int, nodes: Sequence[Node]) -> Node:
    return _over(nodes, lambda _view, parts: at_least(count, parts))


def _over(nodes: Sequence[Node], combine: Callable[[View, list[Spans]], Spans]) -> Node:
    return Node(
        lambda view: combine(view, [node.spans(view) for node in nodes]),
        frozenset().union(*(node.reads for node in nodes)),
        frozenset().union(*(node.refers for node in nodes)),
    )
