"""A YAML 1.2 file read strictly, as the plain values JSON has, with the line of every part."""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode
from ruamel.yaml.reader import ReaderError

from segue.domain.errors import Rejected
from segue.domain.event import Json
from segue.domain.part import written

DEEPEST = 100
"""Levels of values in values."""

_OTHER_YAML = re.compile(r"^%YAML (?!1\.2\s)", re.MULTILINE)

Steps: TypeAlias = tuple[str | int, ...]


class Place(NamedTuple):
    """A line of a file; 0 is the file as a whole."""

    file: Path
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else str(self.file)


class Problem(NamedTuple):
    """What is wrong, where, and the path to it inside the values."""

    place: Place
    path: str
    message: str

    def __str__(self) -> str:
        return ": ".join(filter(None, [str(self.place), self.path, self.message]))


class Broken(Rejected):
    """What was read is no good; `problems` are all that were found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class YamlFile(NamedTuple):
    """The value of a file, and the place of each of its parts by the path that messages show."""

    whole: Place
    value: Json
    places: Mapping[str, Place]


def read(path: Path) -> YamlFile:
    """The file's only document. `NO`, `on`, `10:30` and dates are text. Raises `Broken`."""
    whole = Place(path)
    text = _text(whole)
    if _OTHER_YAML.search(text):
        raise Broken([Problem(whole, "", "expected YAML 1.2, found another version's directive")])
    try:
        yaml = _yaml()
        node = yaml.compose(text)
        places = {written(steps): Place(path, line) for steps, line in _lines(node, ())}
        value = yaml.constructor.construct_document(node) if node else None
    except YAMLError as error:
        raise Broken([Problem(Place(path, _line(error, text)), "", _message(error))]) from None
    except RecursionError:
        raise Broken([Problem(whole, "", f"expected at most {DEEPEST} levels, and no value inside itself")]) from None
    problems = [Problem(place_of(part, places, whole), part, message) for part, message in _foreign(value, ())]
    if problems:
        raise Broken(problems)
    return YamlFile(whole, value, places)


def place_of(path: str, places: Mapping[str, Place], whole: Place) -> Place:
    """The place of the innermost part on the path that is written somewhere; the whole if none is."""
    while path and path not in places:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return places.get(path, whole)


def _text(whole: Place) -> str:
    try:
        return whole.file.read_text(encoding="utf-8")
    except OSError as error:
        raise Broken([Problem(whole, "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise Broken([Problem(whole, "", "expected UTF-8 text")]) from None


class _Constructor(SafeConstructor):
    """The types of JSON alone: YAML's instants stay the text they are written as."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    yaml.version = "1.2"
    return yaml


def _lines(node: Node | None, path: Steps) -> Iterator[tuple[Steps, int]]:
    if len(path) > DEEPEST:
        raise RecursionError
    match node:
        case MappingNode(value=pairs):
            for key, value in pairs:
                yield (*path, str(key.value)), key.start_mark.line + 1
                yield from _lines(value, (*path, str(key.value)))
        case SequenceNode(value=items):
            for index, item in enumerate(items):
                yield (*path, index), item.start_mark.line + 1
                yield from _lines(item, (*path, index))


def _foreign(value: Any, path: Steps) -> Iterator[tuple[str, str]]:
    """What the value holds that JSON cannot say."""
    match value:
        case dict():
            for key, part in value.items():
                if not isinstance(key, str):
                    yield written((*path, str(key))), f"expected a text as key, found {key!r}; put it in quotes"
                yield from _foreign(part, (*path, str(key)))
        case list():
            for index, part in enumerate(value):
                yield from _foreign(part, (*path, index))
        case str() if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            yield written(path), "expected Unicode text, found half of a surrogate pair"
        case bool() | None | str():
            pass
        case int() if not -(2**63) <= value < 2**63:
            yield written(path), f"expected a whole number of at most 64 bits, found {value}"
        case float() if not math.isfinite(value):
            yield written(path), f"expected a number, found {value}"
        case int() | float():
            pass
        case _:
            yield written(path), f"expected text, a number, true, false, null, a list or a mapping, found {value!r:.60}"


def _line(error: YAMLError, text: str) -> int:
    if isinstance(error, ReaderError):
        return text.count("\n", 0, error.position) + 1
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    return mark.line + 1 if mark else 0


def _message(error: YAMLError) -> str:
    if isinstance(error, MarkedYAMLError) and error.problem:
        return str(error.problem)
    return str(error).splitlines()[0]
