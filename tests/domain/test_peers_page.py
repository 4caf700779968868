"""The page on what others can ask: every form compiles, every condition without one has a reason, none is forgotten."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from emulator.yaml_file import Broken
from tests.domain.drawn import Example, catalogue, examples

PAGE = (Path(__file__).resolve().parents[2] / "infra" / "catalog" / "PEERS.md").read_text(encoding="utf-8")
PEERS = (
    "Apache Unomi",
    "Segment (Twilio Engage)",
    "PostHog",
    "Adobe Real-Time CDP (Experience Platform)",
    "Adobe Target",
    "Snowplow Signals",
    "Mautic",
    "GrowthBook",
)


class Row(NamedTuple):
    """A condition of a peer, the forms it has in the language, and what there is to say."""

    peer: str
    asks: str
    forms: tuple[str, ...]
    remark: str


def rows() -> list[Row]:
    found = []
    for part in PAGE.split("\n## ")[1:]:
        peer, _, text = part.partition("\n")
        for line in re.findall(r"^\| (.+) \|$", text, re.MULTILINE):
            asks, said, remark = (cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line))
            if asks not in ("asks", "---"):
                found.append(Row(peer, asks, tuple(re.findall(r"`(.+?)`(?= `|$)", said)) or (said,), remark))
    return found


ROWS = rows()
FORMS = [(row.peer, form) for row in ROWS for form in row.forms if form != "—"]
ASSUMED = next(examples(PAGE)).text


@pytest.mark.parametrize(("peer", "form"), FORMS, ids=[f"{peer}: {form}" for peer, form in FORMS])
def test_a_form_compiles(peer: str, form: str, tmp_path: Path) -> None:  # noqa: ARG001  # it is the test's name
    catalogue(tmp_path, ASSUMED, Example(0, form, ()).file())


def test_a_form_that_does_not_compile_would_be_found(tmp_path: Path) -> None:
    with pytest.raises(Broken):
        catalogue(tmp_path, ASSUMED, Example(0, "{did: A, times: 3}", ()).file())


def test_every_peer_is_there_with_its_conditions() -> None:
    assert tuple(dict.fromkeys(row.peer for row in ROWS)) == PEERS
    assert len({(row.peer, row.asks) for row in ROWS}) == len(ROWS)


def test_what_has_no_form_has_a_reason() -> None:
    assert [row for row in ROWS if row.forms == ("—",) and not row.remark.endswith(".")] == []


def test_a_form_is_written_as_one() -> None:
    assert [form for _, form in FORMS if not form.startswith("{")] == []
