"""Recorded logs become Segment calls; their dirt is counted and never fatal."""

import gzip
from collections import Counter
from pathlib import Path

import pytest

from emulator import eshop, recording, rees46, segment
from emulator.recording import Call, Dirt
from segue.domain.errors import Invalid
from tests.shared_data import ESHOP, REES46, needs

VIEW = "2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,72d7"
CART = "2019-10-01 00:00:05 UTC,cart,3900821,2053013552326770905,appliances.kettle,aqua,33.20,554748717,9333"
PURCHASE = "2019-10-01 00:00:09 UTC,purchase,3900821,2053013552326770905,appliances.kettle,aqua,33.20,554748717,9333"
CLICK = "2008;4;1;2;29;1;1;A13;1;5;1;28;2;1"


def read_rees46(*rows: str) -> tuple[list[Call], Dirt]:
    dirt = Dirt()
    return list(rees46.calls([f"{row}\n".encode() for row in (rees46.HEADER, *rows)], dirt)), dirt


def read_eshop(*rows: str) -> tuple[list[Call], Dirt]:
    dirt = Dirt()
    return list(eshop.calls([f"{row}\n".encode() for row in (eshop.HEADER, *rows)], dirt)), dirt


def read(path: Path) -> tuple[list[Call], Dirt]:
    dirt = Dirt()
    with path.open("rb") as file:
        return list(recording.calls(file, path, recording.recognised(path), dirt)), dirt


def test_a_view_is_a_product_viewed_without_the_empty_category() -> None:
    (call,), dirt = read_rees46(VIEW)
    assert (call["type"], call["event"], call["userId"]) == ("track", "Product Viewed", "541312140")
    assert call["timestamp"] == "2019-10-01T00:00:00+00:00"
    assert call["properties"] == {
        "product_id": "44600062",
        "category_id": "2103807459595387724",
        "brand": "shiseido",
        "price": 35.79,
        "session": "72d7",
    }
    assert not dirt


def test_a_cart_is_a_product_added_and_a_purchase_an_order_of_one_product() -> None:
    (added, ordered), _ = read_rees46(CART, PURCHASE)
    product = {
        "product_id": "3900821",
        "category_id": "2053013552326770905",
        "category": "appliances.kettle",
        "brand": "aqua",
        "price": 33.2,
    }
    assert (added["event"], added["properties"]) == ("Product Added", {**product, "session": "9333"})
    assert ordered["event"] == "Order Completed"
    assert ordered["properties"] == {"revenue": 33.2, "products": [product], "session": "9333"}


def test_a_copy_of_a_row_has_the_same_message_id_and_is_counted() -> None:
    calls, dirt = read_rees46(VIEW, CART, CART)
    assert [call["messageId"] == calls[1]["messageId"] for call in calls] == [False, True, True]
    assert dirt == {"copy of a row": 1}


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (VIEW[:-10], "cut row"),
        ("", "cut row"),
        (VIEW.replace("view", "wink"), "unreadable row"),
        (VIEW.replace("35.79", "12 EUR"), "unreadable row"),
        (VIEW.replace("2019-10-01", "2019-13-01"), "unreadable row"),
    ],
)
def test_a_row_that_says_nothing_usable_is_counted_and_the_next_one_read(row: str, kind: str) -> None:
    calls, dirt = read_rees46(row, CART)
    assert [call["event"] for call in calls] == ["Product Added"]
    assert dirt == {kind: 1}


def test_a_click_of_the_clothing_shop_is_a_view_with_names_for_its_codes() -> None:
    (call,), dirt = read_eshop(CLICK)
    assert (call["anonymousId"], call["timestamp"]) == ("session-1", "2008-04-01T00:00:02+00:00")
    properties = call["properties"]
    assert (properties["product_id"], properties["category"], properties["colour"]) == ("A13", "trousers", "beige")
    assert (properties["price"], properties["on_sale"], properties["location"]) == (28, False, "bottom middle")
    assert not dirt


def test_lines_that_are_no_segment_calls_are_counted() -> None:
    dirt = Dirt()
    lines = [b'{"type":"track"}\n', b"\n", b"{broken\n", b"[1]\n", b'{"type":"page"}']
    assert list(segment.calls(lines, dirt)) == [{"type": "track"}, {"type": "page"}]
    assert dirt == {"line that is no JSON": 1, "line that is no object": 1}


def test_a_log_is_recognised_by_how_it_begins(tmp_path: Path) -> None:
    for name, beginning in recording.BEGINNINGS.items():
        log = tmp_path / name
        log.write_text(f"{beginning}\n", encoding="utf-8")
        assert recording.recognised(log) == name
    strange = tmp_path / "strange.csv"
    strange.write_text("a,b,c\n", encoding="utf-8")
    with pytest.raises(Invalid, match=r"strange\.csv: expected a log \(rees46 or eshop or segment\)"):
        recording.recognised(strange)


def test_a_packed_log_that_was_cut_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = gzip.compress("\n".join([rees46.HEADER, *([VIEW] * 5_000)]).encode(), mtime=0)
    log = tmp_path / "log.csv.gz"
    log.write_bytes(whole[: len(whole) // 2])
    calls, dirt = read(log)
    assert len(calls) > 0
    assert dirt["cut file"] == 1


@needs(REES46)
def test_the_dirt_of_the_rees46_log_is_what_its_description_says() -> None:
    calls, dirt = read(REES46)
    assert Counter(call["event"] for call in calls) == {
        "Product Viewed": 17_055,
        "Product Added": 165,
        "Order Completed": 214,
    }
    assert dirt == {
        "cut row": 1,
        "copy of a row": 5,
        "price of 0": 19,
        "row of a session shared by two users": 1,
    }
    assert len({call["messageId"] for call in calls}) == len(calls) - 5
    assert len({call["userId"] for call in calls}) == 4_504
    revenue = sum(round(call["properties"].get("revenue", 0) * 100) for call in calls)
    assert revenue == 5_944_263


@needs(ESHOP)
def test_the_dirt_of_the_clothing_shops_log_is_what_its_description_says() -> None:
    calls, dirt = read(ESHOP)
    assert dirt == {"model filed under another category": 1}
    assert Counter(call["properties"]["category"] for call in calls) == {
        "trousers": 49_742,
        "skirts": 38_408,
        "blouses": 38_577,
        "sale": 38_747,
    }
    assert len({call["anonymousId"] for call in calls}) == 24_026
    assert len({call["messageId"] for call in calls}) == 165_474
