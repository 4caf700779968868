"""A catalogue as a folder of YAML files: read strictly, checked as a whole, and ready to be published."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from emulator.yaml_file import Broken, Place, Problem, YamlFile, place_of, read
from segue.domain import catalog, part
from segue.domain.errors import Invalid
from segue.domain.event import Json
from segue.domain.rules import definition


class _Entry(NamedTuple):
    """One definition of a section, and where it begins."""

    section: str
    id: str
    value: Json
    place: Place

    @property
    def path(self) -> str:
        return f"{self.section}.{self.id}"


def load(folder: Path) -> bytes:
    """The folder's catalogue as it is published: JSON, the same bytes for the same definitions.

    Each `*.yaml` file holds one or more of the sections; what several files say of one section is put together.
    Raises `Broken` with all the problems there are: those of the files, or else those of what they define.
    """
    files = _files(folder)
    documents = _together([entry for file in files for entry in _entries(file)])
    places = {path: place for file in files for path, place in file.places.items()}
    problems = [Problem(place_of(path, places, Place(folder)), path, message) for path, message in _problems(documents)]
    if problems:
        raise Broken(sorted(problems))
    return msgspec.json.encode(documents, order="sorted")


def with_segments(path: Path, live: Mapping[str, Json]) -> tuple[Mapping[str, Json], list[str]]:
    """A live catalogue's documents with the segments of a file in place of those of the same ids, and these ids.

    Raises `Broken` with all the problems of the file.
    """
    file = _sectioned(read(path))
    wrong = [section for section in file.value if section != "segments"]
    if wrong or not file.value.get("segments"):
        section = wrong[0] if wrong else ""
        message = "expected segments: alone" if wrong else "expected at least one segment under segments:"
        raise Broken([Problem(file.places.get(section, file.whole), section, message)])
    documents = {**live, "segments": {**live.get("segments", {}), **file.value["segments"]}}
    problems = [
        Problem(place_of(part, file.places, file.whole), part, message) for part, message in _problems(documents)
    ]
    if problems:
        raise Broken(sorted(problems))
    return documents, [*file.value["segments"]]


def _files(folder: Path) -> Sequence[YamlFile]:
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise Broken([Problem(Place(folder), "", "expected a folder with *.yaml files, found none")])
    files: list[YamlFile] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            files.append(_sectioned(read(path)))
        except Broken as error:
            problems += error.problems
    if problems:
        raise Broken(problems)
    return files


def _sectioned(file: YamlFile) -> YamlFile:
    if not isinstance(file.value, dict):
        raise Broken([Problem(file.whole, "", "expected sections such as segments: at the top of the file")])
    wrong = [section for section, entries in file.value.items() if not isinstance(entries, dict)]
    if wrong:
        raise Broken([Problem(file.places[section], section, "expected a mapping of ids") for section in wrong])
    return file


def _entries(file: YamlFile) -> Iterator[_Entry]:
    for section, entries in file.value.items():
        for id_, value in entries.items():
            yield _Entry(section, id_, value, place_of(f"{section}.{id_}", file.places, file.whole))


def _together(entries: Sequence[_Entry]) -> Mapping[str, Mapping[str, Json]]:
    documents: dict[str, dict[str, Json]] = {}
    first: dict[str, Place] = {}
    problems = []
    for entry in entries:
        if entry.path in first:
            problems.append(Problem(entry.place, entry.path, f"is defined already at {first[entry.path]}"))
        first.setdefault(entry.path, entry.place)
        documents.setdefault(entry.section, {})[entry.id] = entry.value
    if problems:
        raise Broken(problems)
    return documents


def _problems(documents: Mapping[str, Mapping[str, Json]]) -> Sequence[part.Problem]:
    """What is wrong with each section and each segment; if nothing is, what is wrong with the segments together."""
    segments = documents.get("segments", {})
    found = [*catalog.problems(documents)]
    found += [flaw for id_, segment in segments.items() for flaw in _flaws(f"segments.{id_}", segment)]
    return found or _flaws_together(documents)


def _flaws(path: str, segment: Json) -> Sequence[part.Problem]:
    return [_flaw(error, path) for error in definition.problems(segment)] if isinstance(segment, dict) else []


def _flaws_together(documents: Mapping[str, Json]) -> Sequence[part.Problem]:
    try:
        catalog.parse(documents).program()
    except Invalid as error:
        return [_flaw(error)]
    return []


def _flaw(error: Invalid, within: str = "") -> part.Problem:
    return part.Problem(".".join(filter(None, [within, error.path])), str(error).removeprefix(f"{error.path}: "))
