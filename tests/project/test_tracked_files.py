"""What is committed belongs to the project, not to a machine it was written on."""

import re

from tests.project.files import tracked_texts

HOME = re.compile(r"/(?:home|Users)/[a-z][\w-]*/|/root/|[A-Z]:\\Users\\")
INDEX = re.compile(r"--(?:extra-)?index-url|--find-links|--trusted-host|\bPIP_(?:EXTRA_)?INDEX_URL")
UNDONE = re.compile(r"\b(?:TODO|FIXME|XXX)\b|NotImplementedError")


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    """Every tracked line with it, as path, number and text; this file, which spells the patterns, left out."""
    return [
        f"{path}:{number}: {line.strip()}"
        for path, text in tracked_texts().items()
        if path != "tests/project/test_tracked_files.py"
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_file_names_a_home_folder() -> None:
    assert lines_with(HOME) == []


def test_no_file_chooses_a_package_index() -> None:
    assert lines_with(INDEX) == []


def test_nothing_is_marked_as_left_undone() -> None:
    assert lines_with(UNDONE) == []
