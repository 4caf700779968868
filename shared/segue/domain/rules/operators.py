"""The operators: one table from name to what it says of a value, what operand it takes, and how arrays and text behave.

A property is *missing* if it is absent or null; every operator but `missing` is false on it. A positive operator holds
on an array if some element satisfies it; a negative one is the exact opposite of its positive on a present value.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import re2  # type: ignore[import-untyped]  # google-re2 ships no types
import semver

from segue.domain.errors import Invalid
from segue.domain.event import Json
from segue.domain.time import duration, instant


class Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "missing"


MISSING: Final = Missing()
"""What a path finds where there is nothing, or null."""

Test = Callable[[Json | Missing, Mapping[str, Json]], bool]
"""Whether a value (of `MISSING`) satisfies a matcher; the second argument is the root that `ref` reads from."""

Compare = Callable[[Json, Any], bool]


def text(value: str) -> str:
    """Text as it is compared: Unicode NFC."""
    return value if value.isascii() else unicodedata.normalize("NFC", value)


def folded(value: str) -> str:
    """Text as it is compared under `ignore_case`: the lower-case of NFC."""
    return text(value).lower()


def is_number(value: Json) -> bool:
    """Whether a JSON value is a number; true and false are none."""
    kind = type(value)
    return kind is int or kind is float


def value_at(root: Json, path: tuple[str, ...]) -> Json | Missing:
    """The value a dotted path finds. Null, absent, and anything behind an array is `MISSING`."""
    for name in path:
        if not isinstance(root, dict):
            return MISSING
        root = root.get(name)
    return MISSING if root is None else root


def split(path: str) -> tuple[str, ...]:
    """The names of a dotted path."""
    return tuple(path.split("."))


def _equal(value: Json, operand: Json) -> bool:
    if isinstance(value, str):
        return isinstance(operand, str) and value == operand
    if isinstance(value, bool) or isinstance(operand, bool):
        return value is operand
    return is_number(value) and is_number(operand) and bool(value == operand)


def _ordered(order: Callable[[Any, Any], bool]) -> Compare:
    def compare(value: Json, operand: Json) -> bool:
        if isinstance(value, str):
            return isinstance(operand, str) and order(value, operand)
        return is_number(value) and is_number(operand) and order(value, operand)

    return compare


_at_most, _at_least = _ordered(lambda a, b: a <= b), _ordered(lambda a, b: a >= b)


def _on_text(compare: Callable[[str, str], bool]) -> Compare:
    return lambda value, operand: isinstance(value, str) and isinstance(operand, str) and compare(value, operand)


def _on_instants(order: Callable[[int, int], bool]) -> Compare:
    def compare(value: Json, operand: Json) -> bool:
        left, right = instant(value), instant(operand)
        return left is not None and right is not None and order(left, right)

    return compare


def _on_versions(holds: Callable[[int], bool]) -> Compare:
    def compare(value: Json, operand: Json) -> bool:
        left, right = version(value), version(operand)
        return left is not None and right is not None and holds(left.compare(right))

    return compare


def version(value: Json) -> semver.Version | None:
    """A SemVer 2.0 version without a leading v, or None."""
    try:
        return semver.Version.parse(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _scalar(operand: Json) -> Json:
    if isinstance(operand, str | int | float):
        return operand
    raise Invalid(f"expected text, a number, true or false, found {operand!r:.60}")


def _number_or_text(operand: Json) -> Json:
    if is_number(operand) or isinstance(operand, str):
        return operand
    raise Invalid(f"expected a number or text, found {operand!r:.60}")


def _text(operand: Json) -> Json:
    if isinstance(operand, str):
        return operand
    raise Invalid(f"expected text, found {operand!r:.60}")


def _range(operand: Json) -> Json:
    if not isinstance(operand, list) or len(operand) != 2:
        raise Invalid(f"expected [from, until], found {operand!r:.60}")
    low, high = (_number_or_text(end) for end in operand)
    if isinstance(low, str) != isinstance(high, str):
        raise Invalid(f"expected two numbers or two texts, found {operand!r:.60}")
    if low > high and not _are_durations(low, high):
        raise Invalid(f"expected the lower end first, found {operand!r:.60}")
    return operand


def _are_durations(low: Json, high: Json) -> bool:
    """Whether they are texts such as 9m and 1h, in their own order."""
    try:
        return duration(low) <= duration(high)
    except Invalid:
        return False


def _scalars(operand: Json) -> Json:
    if not isinstance(operand, list) or not operand:
        raise Invalid(f"expected a list with at least one value, found {operand!r:.60}")
    return [_scalar(element) for element in operand]


def _true(operand: Json) -> Json:
    if operand is True:
        return operand
    raise Invalid(
        f"expected true (say missing for exists: false, and exists for missing: false), found {operand!r:.60}"
    )


def _instant(operand: Json) -> Json:
    if instant(operand) is not None:
        return operand
    raise Invalid(f"expected an ISO 8601 instant or epoch milliseconds, found {operand!r:.60}")


def _version(operand: Json) -> Json:
    if version(operand) is not None:
        return operand
    raise Invalid(f"expected a SemVer 2.0 version such as 1.4.0, found {operand!r:.60}")


def check_pattern(operand: Json) -> Json:
    """The same RE2 pattern. Raises `Invalid` if it is none."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(_text(operand), options)
    except re2.error as error:
        why = error.args[0].decode() if isinstance(error.args[0], bytes) else error
        raise Invalid(f"expected an RE2 pattern, found {operand!r:.60} ({why})") from error
    return operand


@dataclass(frozen=True)
class Operator:
    """One operator: `holds(value, operand)` for one present element, and how it treats operands and arrays.

    `check` returns the operand or raises `Invalid`. `negates`: it is the opposite of `holds` over all elements.
    `whole`: an array is given to `holds` as one value, not element by element.
    """

    holds: Compare
    check: Callable[[Json], Json]
    negates: bool = False
    whole: bool = False
    takes_ref: bool = True


def elements(value: Json | Missing) -> Sequence[Json]:
    """The elements of an array; anything else is the only one."""
    return value if isinstance(value, list) else (value,)


def _occurs(operand: Json, value: Json) -> bool:
    return any(_equal(element, operand) for element in elements(value))


OPERATORS: Final[Mapping[str, Operator]] = {
    "eq": Operator(_equal, _scalar),
    "ne": Operator(_equal, _scalar, negates=True),
    "gt": Operator(_ordered(lambda a, b: a > b), _number_or_text),
    "ge": Operator(_at_least, _number_or_text),
    "lt": Operator(_ordered(lambda a, b: a < b), _number_or_text),
    "le": Operator(_at_most, _number_or_text),
    "between": Operator(lambda v, ends: _at_least(v, ends[0]) and _at_most(v, ends[1]), _range, takes_ref=False),
    "in": Operator(lambda v, listed: any(_equal(v, one) for one in listed), _scalars, takes_ref=False),
    "not_in": Operator(lambda v, listed: any(_equal(v, one) for one in listed), _scalars, True, takes_ref=False),
    "contains": Operator(_on_text(lambda v, part: part in v), _text),
    "not_contains": Operator(_on_text(lambda v, part: part in v), _text, negates=True),
    "starts_with": Operator(_on_text(str.startswith), _text),
    "ends_with": Operator(_on_text(str.endswith), _text),
    "matches": Operator(
        lambda v, pattern: isinstance(v, str) and bool(pattern.search(v)), check_pattern, takes_ref=False
    ),
    "exists": Operator(lambda _value, _true: True, _true, whole=True, takes_ref=False),
    "any_of": Operator(lambda v, some: any(_occurs(o, v) for o in some), _scalars, whole=True, takes_ref=False),
    "all_of": Operator(lambda v, every: all(_occurs(o, v) for o in every), _scalars, whole=True, takes_ref=False),
    "none_of": Operator(lambda v, none: not any(_occurs(o, v) for o in none), _scalars, whole=True, takes_ref=False),
    "before": Operator(_on_instants(lambda a, b: a < b), _instant),
    "after": Operator(_on_instants(lambda a, b: a > b), _instant),
    "semver_eq": Operator(_on_versions(lambda order: order == 0), _version),
    "semver_ne": Operator(_on_versions(lambda order: order != 0), _version),
    "semver_gt": Operator(_on_versions(lambda order: order > 0), _version),
    "semver_ge": Operator(_on_versions(lambda order: order >= 0), _version),
    "semver_lt": Operator(_on_versions(lambda order: order < 0), _version),
    "semver_le": Operator(_on_versions(lambda order: order <= 0), _version),
}
"""Every operator but `missing` (true where there is nothing) and `any` (objects of an array), which need no value."""

COUNTING: Final = ("eq", "ne", "gt", "ge", "lt", "le", "between", "in", "not_in")
"""The operators a count takes."""


def check(matcher: Json, *, nested: bool = True, refs: bool = True) -> None:
    """Raise `Invalid`, with the path inside the matcher, unless it is a literal or one operator with its operand.

    `nested` allows `any` (in `where` only); `refs` allows `{ref: path}` as an operand.
    """
    if not isinstance(matcher, dict):
        if matcher is None or isinstance(matcher, list):
            raise Invalid(f"expected a value or one operator with its operand, found {matcher!r:.60}")
        return
    names = [name for name in matcher if name != "ignore_case"]
    if len(names) != 1:
        raise Invalid(f"expected exactly one operator, found {sorted(map(str, names))!r:.80}")
    if not isinstance(matcher.get("ignore_case", False), bool):
        raise Invalid("expected true or false", "ignore_case")
    _check_operand(names[0], matcher[names[0]], nested, refs)


def _check_operand(name: str, operand: Json, nested: bool, refs: bool) -> None:
    try:
        if name == "missing":
            _true(operand)
        elif name == "any" and nested:
            check_where(operand)
        elif name not in OPERATORS:
            raise Invalid(f"unknown operator; expected one of {' '.join(sorted([*OPERATORS, 'missing']))}")
        elif isinstance(operand, dict):
            if not (refs and OPERATORS[name].takes_ref):
                raise Invalid(f"expected a value that is no ref, found {operand!r:.60}")
            if set(operand) != {"ref"} or not isinstance(operand["ref"], str) or not operand["ref"]:
                raise Invalid(f"expected a value or {{ref: path}}, found {operand!r:.60}")
        else:
            OPERATORS[name].check(operand)
    except Invalid as error:
        raise error.under(name) from error


def check_where(where: Json) -> None:
    """Raise `Invalid` unless it is a map from paths to matchers with at least one entry."""
    if not isinstance(where, dict) or not where:
        raise Invalid(f"expected a map from property paths to values or operators, found {where!r:.60}")
    for path, matcher in where.items():
        if not isinstance(path, str) or not path:
            raise Invalid(f"expected a property path, found {path!r:.60}")
        try:
            check(matcher)
        except Invalid as error:
            raise error.under(path) from error


def operation(matcher: Mapping[str, Json]) -> tuple[str, Json]:
    """The operator of a written-out matcher, and its operand."""
    return next((name, operand) for name, operand in matcher.items() if name != "ignore_case")


def refs(matcher: Mapping[str, Json]) -> list[str]:
    """The paths that a written-out matcher refers to."""
    operand = operation(matcher)[1]
    return [operand["ref"]] if isinstance(operand, dict) and "ref" in operand else []


def with_durations(matcher: Mapping[str, Json]) -> dict[str, Json]:
    """A written-out matcher of milliseconds, in which texts are durations. Raises `Invalid` with the path inside it."""
    name, operand = operation(matcher)
    try:
        if isinstance(operand, list):
            operand = [duration(one) if isinstance(one, str) else one for one in operand]
        elif isinstance(operand, str):
            operand = duration(operand)
    except Invalid as error:
        raise error.under(name) from error
    return {**matcher, name: operand}


def numbers(matcher: Mapping[str, Json]) -> list[int | float]:
    """The numbers that a written-out matcher compares with."""
    return [number for number in elements(operation(matcher)[1]) if is_number(number)]


def matcher(definition: Json) -> Test:
    """The test a valid matcher stands for."""
    if not isinstance(definition, dict):
        definition = {"eq": definition}
    name, operand = operation(definition)
    if name == "missing":
        return lambda value, _root: value is MISSING
    if name == "any":
        inner = where(operand)
        return lambda value, _root: isinstance(value, list) and any(isinstance(o, dict) and inner(o) for o in value)
    operator = OPERATORS[name]
    convert = folded if definition.get("ignore_case") else text
    if isinstance(operand, dict):
        return _against_ref(operator, split(operand["ref"]), convert)
    if name == "matches":
        options = re2.Options()
        options.case_sensitive = not definition.get("ignore_case")
        options.log_errors = False
        prepared: Any = re2.compile(text(operand), options)
        convert = text
    else:
        prepared = _converted(operand, convert)
    return _against(operator, prepared, convert)


def _against(operator: Operator, operand: Any, convert: Callable[[str], str]) -> Test:
    holds, negates = operator.holds, operator.negates

    def test(value: Json | Missing, _root: Mapping[str, Json]) -> bool:
        if value is MISSING:
            return False
        if type(value) is list:
            return _some(operator, value, operand, convert) != negates
        return holds(convert(value) if type(value) is str else value, operand) != negates

    return test


def _against_ref(operator: Operator, path: tuple[str, ...], convert: Callable[[str], str]) -> Test:
    def test(value: Json | Missing, root: Mapping[str, Json]) -> bool:
        other = value_at(root, path)
        if value is MISSING or other is MISSING:
            return False
        found = any(_some(operator, value, _converted(one, convert), convert) for one in elements(other))
        return found != operator.negates

    return test


def _some(operator: Operator, value: Json, operand: Any, convert: Callable[[str], str]) -> bool:
    if isinstance(value, list):
        converted = _converted(value, convert)
        if operator.whole:
            return operator.holds(converted, operand)
        return any(operator.holds(element, operand) for element in converted)
    return operator.holds(convert(value) if isinstance(value, str) else value, operand)


def _converted(value: Json, convert: Callable[[str], str]) -> Json:
    if isinstance(value, str):
        return convert(value)
    if isinstance(value, list):
        return [convert(element) if isinstance(element, str) else element for element in value]
    return value


def where(definition: Mapping[str, Json]) -> Callable[[Mapping[str, Json]], bool]:
    """The predicate on an event's properties (or an array's object) that a valid `where` stands for."""
    tests = [(split(path), matcher(one)) for path, one in definition.items()]
    if len(tests) == 1:
        [(path, test)] = tests
        return lambda root: test(value_at(root, path), root)
    return lambda root: all(test(value_at(root, path), root) for path, test in tests)
