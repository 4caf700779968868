"""Operators in SQL: those, and on those values, for which SQL and the engine cannot differ; `Beyond` for the rest.

A test is made for a single JSON value. Rows on which SQL might differ (arrays, integers beyond 2^53) are *odd*: the
twin has the engine fold the profiles that have them.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlglot import exp

from segue.domain.batch.dialects import call, literal
from segue.domain.event import Json
from segue.domain.rules.operators import is_number, operation, split, text

LARGEST_EXACT: Final = 2**53
"""Integers up to here are doubles without loss."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_ -]+")


class Beyond(Exception):
    """A part of a definition that SQL does not say for certain; the message names it."""


Comparison = Callable[[exp.Expr, exp.Expr], exp.Expr]

ORDERS: Final[Mapping[str, type[exp.Binary]]] = {"gt": exp.GT, "ge": exp.GTE, "lt": exp.LT, "le": exp.LTE}
TEXTS: Final[Mapping[str, str]] = {
    "contains": "CONTAINS",
    "starts_with": "STARTS_WITH",
    "ends_with": "ENDS_WITH",
}


def json_path(path: str) -> str:
    """A dotted path as a JSONPath. Raises `Beyond` where a name would have to be escaped."""
    names = split(path)
    if not all(_PLAIN_NAME.fullmatch(name) for name in names):
        raise Beyond(f"the path {path!r}")
    return "$" + "".join(f'."{name}"' for name in names)


def test(matcher: Json, value: exp.Expr) -> exp.Expr:
    """Whether a JSON value (NULL if there is none) that is no array satisfies a matcher; never NULL."""
    name, operand = operation(matcher) if isinstance(matcher, dict) else ("eq", matcher)
    if isinstance(matcher, dict) and matcher.get("ignore_case"):
        raise Beyond("ignore_case")
    if name not in TESTS or (isinstance(operand, dict)):
        raise Beyond(f"the operator {name}" if name not in TESTS else "ref")
    return exp.func("COALESCE", TESTS[name](value, operand), exp.false())


def figure_test(matcher: Mapping[str, Any], value: exp.Expr) -> exp.Expr:
    """Whether a number (NULL if there is none) satisfies a matcher; NULL if there is none."""
    name, operand = operation(matcher)
    if name == "exists":
        return exp.func("COALESCE", exp.not_(exp.Is(this=value, expression=exp.null())), exp.false())
    if name == "missing":
        return exp.Is(this=value, expression=exp.null())
    if name not in FIGURE_TESTS or not all(map(_exact, operand if isinstance(operand, list) else [operand])):
        raise Beyond(f"the operator {name} on a figure")
    return FIGURE_TESTS[name](value, operand)


def _exact(operand: Json) -> bool:
    return is_number(operand) and abs(operand) <= LARGEST_EXACT


def _equals(value: exp.Expr, operand: Json) -> exp.Expr:
    if isinstance(operand, str):
        return exp.and_(call("is_text", value), exp.EQ(this=call("text", value), expression=literal(text(operand))))
    if isinstance(operand, bool):
        return call("is_literal", value, literal("true" if operand else "false"))
    return _on_number(value, operand, exp.EQ)


def _on_number(value: exp.Expr, operand: Json, comparison: type[exp.Binary]) -> exp.Expr:
    if not _exact(operand):
        raise Beyond(f"the number {operand!r}")
    compared = comparison(this=call("number", value), expression=literal(float(operand)))
    return exp.and_(call("is_number", value), compared)


def _ordered(comparison: type[exp.Binary]) -> Callable[[exp.Expr, Json], exp.Expr]:
    def holds(value: exp.Expr, operand: Json) -> exp.Expr:
        if not isinstance(operand, str):
            return _on_number(value, operand, comparison)
        compared = comparison(this=call("text", value), expression=literal(text(operand)))
        return exp.and_(call("is_text", value), compared)

    return holds


def _text_function(name: str) -> Callable[[exp.Expr, Json], exp.Expr]:
    return lambda value, operand: exp.and_(
        call("is_text", value), exp.func(name, call("text", value), literal(text(operand)), dialect="duckdb")
    )


def _some(value: exp.Expr, operands: Sequence[Json]) -> exp.Expr:
    return exp.or_(*(_equals(value, operand) for operand in operands))


def _every(value: exp.Expr, operands: Sequence[Json]) -> exp.Expr:
    return exp.and_(*(_equals(value, operand) for operand in operands))


def _present_and_not(
    holds: Callable[[exp.Expr, Json], exp.Expr],
) -> Callable[[exp.Expr, Json], exp.Expr]:
    return lambda value, operand: exp.and_(
        call("is_there", value), exp.not_(exp.func("COALESCE", holds(value, operand), exp.false()))
    )


def _between(value: exp.Expr, ends: Sequence[Json]) -> exp.Expr:
    return exp.and_(_ordered(exp.GTE)(value, ends[0]), _ordered(exp.LTE)(value, ends[1]))


TESTS: Final[Mapping[str, Callable[[exp.Expr, Any], exp.Expr]]] = {
    "eq": _equals,
    "ne": _present_and_not(_equals),
    **{name: _ordered(comparison) for name, comparison in ORDERS.items()},
    "between": _between,
    "in": _some,
    "not_in": _present_and_not(_some),
    "any_of": _some,
    "all_of": _every,
    "none_of": _present_and_not(_some),
    **{name: _text_function(function) for name, function in TEXTS.items()},
    "not_contains": _present_and_not(_text_function(TEXTS["contains"])),
    "exists": lambda value, _true: call("is_there", value),
    "missing": lambda value, _true: exp.not_(call("is_there", value)),
}
"""The operators that SQL says of a value that is no array."""


def _compared(comparison: type[exp.Binary]) -> Callable[[exp.Expr, Json], exp.Expr]:
    return lambda value, operand: comparison(this=value.copy(), expression=literal(operand))


FIGURE_TESTS: Final[Mapping[str, Callable[[exp.Expr, Any], exp.Expr]]] = {
    "eq": _compared(exp.EQ),
    "ne": _compared(exp.NEQ),
    **{name: _compared(comparison) for name, comparison in ORDERS.items()},
    "between": lambda value, ends: exp.and_(_compared(exp.GTE)(value, ends[0]), _compared(exp.LTE)(value, ends[1])),
    "in": lambda value, some: exp.or_(*(_compared(exp.EQ)(value, one) for one in some)),
    "not_in": lambda value, some: exp.and_(*(_compared(exp.NEQ)(value, one) for one in some)),
}
"""The operators that SQL says of a figure."""
