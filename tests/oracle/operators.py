"""Operators: whether a value passes a test, with what is missing and what is an array as the rules have it."""

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final

import re2  # type: ignore[import-untyped]  # the package has no types

from tests.oracle.values import MISSING, elements, identity, instant, is_number, look_up, normal, written

Literal = Any
Comparison = Callable[[Any, Literal], bool]

SEMVER: Final = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)


def precedence(value: object) -> Any | None:
    """A SemVer 2.0 version's place in the order of versions; None for anything else."""
    found = SEMVER.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return None
    before_release = [
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in (found[4] or "").split(".") if part
    ]
    return [int(found[1]), int(found[2]), int(found[3])], not before_release, before_release


def sign(value: Any, literal: Literal) -> int | None:
    """-1, 0 or 1 as the value stands to the literal; None where they have no order."""
    if isinstance(value, str) and isinstance(literal, str):
        left, right = normal(value), normal(literal)
        return (left > right) - (left < right)
    if is_number(value) and is_number(literal):
        exact = Fraction in (type(value), type(literal))
        number, other = (written(value), written(literal)) if exact else (value, literal)
        return (number > other) - (number < other)
    return None


def ordered(by: Callable[[Any], Any], *signs: int) -> Comparison:
    """Compares what `by` reads from both sides; false where it cannot read one."""

    def compare(value: Any, literal: Literal) -> bool:
        left, right = by(value), by(literal)
        return left is not None and right is not None and (left > right) - (left < right) in signs

    return compare


def equal(value: Any, literal: Literal) -> bool:
    """Whether both are the same value of the same type; an object or an array equals nothing."""
    if isinstance(value, dict | list) or isinstance(literal, dict | list):
        return False
    order = sign(value, literal)
    return identity(value) == identity(literal) if order is None else order == 0


def textual(compare: Callable[[str, str], bool]) -> Comparison:
    """A comparison of text with text, in composed form; false for everything else."""
    return lambda value, literal: (
        isinstance(value, str) and isinstance(literal, str) and compare(normal(value), normal(literal))
    )


POSITIVE: Final[Mapping[str, Comparison]] = {
    "eq": equal,
    "gt": lambda value, literal: sign(value, literal) == 1,
    "ge": lambda value, literal: sign(value, literal) in (0, 1),
    "lt": lambda value, literal: sign(value, literal) == -1,
    "le": lambda value, literal: sign(value, literal) in (-1, 0),
    "between": lambda value, literal: sign(value, literal[0]) in (0, 1) and sign(value, literal[1]) in (-1, 0),
    "in": lambda value, literal: any(equal(value, one) for one in literal),
    "contains": textual(lambda text, part: part in text),
    "starts_with": textual(str.startswith),
    "ends_with": textual(str.endswith),
    "matches": textual(lambda text, pattern: re2.search(pattern, text) is not None),
    "before": ordered(instant, -1),
    "after": ordered(instant, 1),
    "semver_eq": ordered(precedence, 0),
    "semver_ne": ordered(precedence, -1, 1),
    "semver_gt": ordered(precedence, 1),
    "semver_ge": ordered(precedence, 0, 1),
    "semver_lt": ordered(precedence, -1),
    "semver_le": ordered(precedence, -1, 0),
}
"""True or false of one value that is no array."""

OPPOSITE: Final = {"ne": "eq", "not_in": "in", "not_contains": "contains"}

LISTED: Final[Mapping[str, Callable[[list[bool]], bool]]] = {
    "any_of": any,
    "all_of": all,
    "none_of": lambda occurrences: not any(occurrences),
}
"""Which of the listed values have to occur in the array."""


def passes(test: Any, value: Any, root: Any) -> bool:
    """Whether the value passes a test such as `{gt: 5}`; a bare literal means `eq`, `ref` leads from the root."""
    if not isinstance(test, dict):
        test = {"eq": test}
    ((operator, operand),) = ((name, operand) for name, operand in test.items() if name != "ignore_case")
    if operator == "missing":
        return value is MISSING
    if value is MISSING:
        return False
    if operator == "exists":
        return True
    if operator == "any":
        objects = [element for element in value if isinstance(element, dict)] if isinstance(value, list) else []
        return any(where_holds(operand, element) for element in objects)
    literals = [operand]
    if isinstance(operand, dict):
        referred = look_up(root, operand["ref"])
        if referred is MISSING:
            return False
        literals = elements(referred)
    return compares(operator, value, literals, ignore_case=test.get("ignore_case", False))


def compares(operator: str, value: Any, literals: list[Literal], *, ignore_case: bool) -> bool:
    """Whether a value that is there passes, some element of it if it is an array, against some of the literals."""
    if operator in OPPOSITE:
        return not compares(OPPOSITE[operator], value, literals, ignore_case=ignore_case)
    if ignore_case:
        value = lowered(value)
        literals = [f"(?i){normal(one)}" if operator == "matches" else lowered(one) for one in literals]
    if operator in LISTED:
        occurrences = [any(equal(one, item) for one in elements(value)) for item in literals[0]]
        return LISTED[operator](occurrences)
    return any(POSITIVE[operator](element, literal) for element in elements(value) for literal in literals)


def lowered(value: Any) -> Any:
    """Lower-case of the composed form, for every text in the value."""
    if isinstance(value, str):
        return normal(value).lower()
    return [lowered(element) for element in value] if isinstance(value, list) else value


def where_holds(where: Mapping[str, Any], root: Any) -> bool:
    """Whether every path of a `where` passes its test on this object."""
    return all(passes(test, look_up(root, path), root) for path, test in where.items())
