"""Clock correction, instants and durations."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.domain.errors import Invalid
from segue.domain.time import DAY, duration, event_instant, instant, occurred_at

CLOCK = json.loads((Path(__file__).parents[1] / "cases" / "clock.json").read_text())["cases"]


@pytest.mark.parametrize("case", CLOCK, ids=lambda case: case["name"])
def test_an_event_happened_when_the_table_of_clock_corrections_says(case: dict[str, Any]) -> None:
    received_at, expected = instant(case["received_at"]), instant(case["occurred_at"])
    assert received_at is not None
    claimed, sent = event_instant(case["timestamp"]), event_instant(case["sent_at"])
    assert occurred_at(claimed, sent, received_at, duration(case.get("max_age", "30d"))) == expected


@given(
    timestamp=st.none() | st.integers(),
    sent_at=st.none() | st.integers(),
    received_at=st.integers(0, 4_000_000_000_000),
)
def test_no_event_happened_after_it_was_received(timestamp: int | None, sent_at: int | None, received_at: int) -> None:
    assert occurred_at(timestamp, sent_at, received_at, 30 * DAY) <= received_at


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01", 0),
        ("2024-02-29", 1_709_164_800_000),
        ("2024-02-29T10:30", 1_709_202_600_000),
        ("2024-02-29 10:30:00", 1_709_202_600_000),
        ("2024-02-29T10:30:00Z", 1_709_202_600_000),
        ("2024-02-29T10:30:00.5+02:00", 1_709_195_400_500),
        ("2024-02-29T10:30:00.123999999Z", 1_709_202_600_123),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("0001-01-01", -62_135_596_800_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ],
)
def test_iso_8601_text_is_read_to_the_millisecond(text: str, milliseconds: int) -> None:
    assert instant(text) == milliseconds


@pytest.mark.parametrize(
    "unreadable",
    [
        "",
        "2024",
        "2024-02",
        "2024-02-30",
        "2023-02-29",
        "20240229",
        "2024-W09-4",
        "2024-02-29x10:30",
        "1709202600000",
        "1712010112345",
        "2024-02-29T10",
        "2024-02-29Z",
        "2024-02-29T10:30z",
        "2024-02-29T24:00",
        "2024-02-29T10:30:60Z",
        "2024-02-29T10:30+25:00",
        " 2024-02-29",
        "29/02/2024",
        "\u0662\u0660\u0662\u0664-02-29",
        "2024-02-29T10:30\x00",
        "now",
        None,
        True,
        [],
        {},
        float("inf"),
        float("nan"),
        253_402_300_800_000,
        -62_135_596_800_001,
        10**400,
    ],
)
def test_what_is_no_instant_is_none(unreadable: object) -> None:
    assert instant(unreadable) is None


@pytest.mark.parametrize(
    ("number", "milliseconds"), [(0, 0), (-1, -1), (1.9, 1), (-0.5, -1), (1_709_202_600_000, 1_709_202_600_000)]
)
def test_a_number_is_epoch_milliseconds_cut_to_whole_ones(number: float, milliseconds: int) -> None:
    assert instant(number) == milliseconds


@pytest.mark.parametrize("number", [0, -1, 99_999_999_999, 1_715_338_790])
def test_an_event_before_march_1973_is_a_mistake(number: int) -> None:
    assert event_instant(number) is None
    assert event_instant(100_000_000_000) == 100_000_000_000


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1ms", 1),
        ("30s", 30_000),
        ("10m", 600_000),
        ("24h", 86_400_000),
        ("1d", 86_400_000),
        ("2w", 1_209_600_000),
        ("36500d", 3_153_600_000_000),
    ],
)
def test_a_duration_is_a_whole_number_and_a_unit(text: str, milliseconds: int) -> None:
    assert duration(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "m",
        "0m",
        "-1m",
        "1.5h",
        "1 h",
        "1h ",
        "1h30m",
        "010m",
        "10M",
        "1y",
        "1mo",
        "1month",
        "\u0661m",
        "10m\n",
        "36501d",
        "9" * 5000 + "m",
        10,
        None,
        True,
    ],
)
def test_anything_else_is_refused_with_what_was_expected(text: object) -> None:
    with pytest.raises(Invalid, match="expected a duration such as 10m or 24h"):
        duration(text)
