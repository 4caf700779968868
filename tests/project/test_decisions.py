"""A decision record says when it was taken, whether it stands, why, and what follows."""

import re
from pathlib import Path

import pytest

from tests.project.files import ROOT

RECORDS = sorted(path for path in (ROOT / "infra" / "decisions").iterdir() if path.name != "README.md")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_a_record_has_number_date_status_context_decision_and_consequences(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", record.name)
    assert text.startswith(f"# {record.name[:4]}. ")
    assert re.search(r"^- Date: \d{4}-\d{2}-\d{2}$", text, re.MULTILINE)
    assert re.search(r"^- Status: (accepted|superseded by \d{4})$", text, re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_records_are_numbered_without_a_gap_and_superseding_ones_exist() -> None:
    assert [record.name[:4] for record in RECORDS] == [f"{number:04}" for number in range(1, len(RECORDS) + 1)]
    successors = {
        number
        for record in RECORDS
        for number in re.findall(r"^- Status: superseded by (\d{4})$", record.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert successors <= {record.name[:4] for record in RECORDS}
