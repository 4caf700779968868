"""Every command that a page shows is one: `segue` knows it with its options, and so does gcloud."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from emulator.command import main
from tests.project.files import ROOT
from tests.release.test_gcloud import known, program, unknown

PAGES = [
    *(ROOT / name for name in ("README.md", "infra/SCALE.md", "infra/terraform/README.md", "infra/release/README.md")),
    *(ROOT / "infra" / "catalog").glob("*.md"),
]

__all__ = ["known", "program"]  # fixtures


def shown(page: Path, name: str) -> Iterator[Sequence[str]]:
    """The words after the program's name, of each command in a code span or in a block for a shell."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    for line in [*lines, *spans]:
        for command in re.split(r"\$\(|\||&&|;|\)(?=\s|$)", line):
            found = re.match(rf"\s*(?:[A-Z_]+=\S*\s+)*{name} (.+)", command)
            if found and not found[1].startswith("…"):
                yield shlex.split(found[1], comments=True)


def wrong(words: Sequence[str]) -> Iterator[str]:
    """What `segue` does not know of a command."""
    command: click.Command = main
    context = click.Context(main)
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        found = command.get_command(context, name)
        if found is None:
            yield name
            return
        command = found
    options = {each for parameter in command.params for each in (*parameter.opts, *parameter.secondary_opts)}
    for word in rest:
        if word.startswith("-") and word.partition("=")[0] not in options | {"--help", "--version"}:
            yield f"{command.name} {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_segue_knows_every_command_that_a_page_shows(page: Path) -> None:
    assert [(words, flaw) for words in shown(page, "segue") for flaw in wrong(words)] == []


def test_the_pages_show_what_an_operator_types() -> None:
    typed = {tuple(words[:2]) for words in shown(ROOT / "README.md", "segue")}
    assert {("catalog", "publish"), ("catalog", "status"), ("failed", "list"), ("failed", "replay")} <= typed
    assert list(wrong(["failed", "mend", "--now"])) == ["mend"]
    assert list(wrong(["failed", "list", "--now"])) == ["list --now"]


def test_gcloud_knows_every_command_that_the_readme_shows(known: Mapping[str, Any]) -> None:
    commands = [words for words in shown(ROOT / "README.md", "gcloud") if len(words) > 1]
    assert commands
    assert [(words, flaw) for words in commands for flaw in unknown(words, known)] == []
