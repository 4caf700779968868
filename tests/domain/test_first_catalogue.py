"""Each segment of the first catalogue, drawn: whom it holds, from which instant on, and until when.

In a drawing `[===)` is the membership: its first instant is in, the instant at `)` is out. Every line is asked of the
engine and of the oracle, one millisecond before each edge and at it.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from emulator.catalog import load
from segue.catalogs import compiled
from segue.domain.catalog import Catalog
from segue.domain.event import Event
from segue.domain.time import DAY, HOUR, MINUTE
from segue.ports import PublishedCatalog
from tests.domain.drawn import options
from tests.engine import Engine
from tests.oracle import Oracle

START = 1_700_000_000_000
FOLDER = Path(__file__).resolve().parents[2] / "infra" / "catalog"

Member = Callable[[Sequence[Event], str, int], bool]


@cache
def catalog() -> Catalog:
    return compiled(PublishedCatalog(1, load(FOLDER))).catalog


def segments() -> dict[str, dict[str, Any]]:
    return catalog().segments


@pytest.fixture(params=[Engine, Oracle])
def member(request: pytest.FixtureRequest) -> Member:
    answers: Member = request.param(segments(), **options(catalog())).member
    return answers


class Did(NamedTuple):
    """Something a visitor did, so many milliseconds after the start."""

    at: int
    name: str
    properties: dict[str, Any]


def viewed(at: int, product: str = "p", category: str = "dresses", on_sale: bool = False) -> Did:
    return Did(at, "Product Viewed", {"product_id": product, "category": category, "on_sale": on_sale})


def watched(at: int, progress: float) -> Did:
    return Did(at, "Video Content Playing", {"progress": progress})


def added(at: int) -> Did:
    return Did(at, "Product Added", {"product_id": "p"})


def ordered(at: int, revenue: float = 50) -> Did:
    return Did(at, "Order Completed", {"revenue": revenue})


def removed(at: int) -> Did:
    return Did(at, "Product Removed", {"product_id": "p"})


def coupon(at: int) -> Did:
    return Did(at, "Coupon Applied", {"coupon": "TEN"})


def page(at: int) -> Did:
    return Did(at, "Page Viewed", {"name": "Home"})


def events(visit: Sequence[Did]) -> list[Event]:
    return [
        Event(
            message_id=f"m{number}",
            name=did.name,
            occurred_at=START + did.at,
            received_at=START + did.at,
            properties=did.properties,
        )
        for number, did in enumerate(visit)
    ]


class Line(NamedTuple):
    """A fact, what a visitor did, and when the visitor is then in the segment."""

    fact: str
    segment: str
    visit: Sequence[Did]
    inside: Sequence[tuple[int, int]] = ()


SALE = [viewed(minute * MINUTE, f"p{minute}", on_sale=minute >= 3) for minute in range(6)]

LINES = [
    # 0      4m      10m              10m+24h
    # video  add     video leaves     24 h later
    #        [========================)
    Line(
        "most of a video and an add within 10 minutes last until 24 h after both were in the window",
        "high-purchase-intent",
        [watched(0, 0.76), added(4 * MINUTE)],
        [(4 * MINUTE, 10 * MINUTE + DAY)],
    ),
    Line(
        "the add may come first",
        "high-purchase-intent",
        [added(0), watched(9 * MINUTE, 0.9)],
        [(9 * MINUTE, 10 * MINUTE + DAY)],
    ),
    # 0      4m      1h
    # video  add     order
    #        [=======)
    Line(
        "an order ends the intent",
        "high-purchase-intent",
        [watched(0, 0.76), added(4 * MINUTE), ordered(HOUR)],
        [(4 * MINUTE, HOUR)],
    ),
    Line("exactly 75 % is not enough", "high-purchase-intent", [watched(0, 0.75), added(MINUTE)]),
    Line("exactly 10 minutes apart is too far", "high-purchase-intent", [watched(0, 0.9), added(10 * MINUTE)]),
    # 0   1m  2m  3m  4m  5m
    # p1  p2  p3  p4  add p1 leaves
    #                 [===)
    Line(
        "four products of a category and an add within 5 minutes",
        "category-browser",
        [*(viewed(minute * MINUTE, f"p{minute}") for minute in range(4)), added(4 * MINUTE)],
        [(4 * MINUTE, 5 * MINUTE)],
    ),
    Line(
        "a product viewed twice is one product",
        "category-browser",
        [*(viewed(minute * MINUTE, f"p{minute % 3}") for minute in range(4)), added(4 * MINUTE)],
    ),
    Line(
        "products of two categories do not add up",
        "category-browser",
        [
            *(viewed(minute * MINUTE, f"p{minute}", "dresses" if minute < 3 else "shoes") for minute in range(4)),
            added(4 * MINUTE),
        ],
    ),
    # 0        1h     2h   24h
    # dresses  shoes  add  dresses leave
    #                 [====)
    Line(
        "two categories and an add last until one of the categories is a day old",
        "high-interest-shopper",
        [viewed(0), viewed(HOUR, category="shoes"), added(2 * HOUR)],
        [(2 * HOUR, DAY)],
    ),
    # 0    10h             24h
    # add  dresses, shoes  add is a day old
    #      [===============)
    Line(
        "the add may come first, and counts for a day",
        "high-interest-shopper",
        [added(0), viewed(10 * HOUR), viewed(10 * HOUR, category="shoes")],
        [(10 * HOUR, DAY)],
    ),
    # 0               1h     2h   5h     6h   24h
    # dresses, shoes  order  add  order  add  categories leave
    #                        [====)      [====)
    Line(
        "only an order since the latest add counts",
        "high-interest-shopper",
        [viewed(0), viewed(0, category="shoes"), ordered(HOUR), added(2 * HOUR), ordered(5 * HOUR), added(6 * HOUR)],
        [(2 * HOUR, 5 * HOUR), (6 * HOUR, DAY)],
    ),
    Line("one category is not enough", "high-interest-shopper", [viewed(0), viewed(0, "q"), added(HOUR)]),
    # 0    30m  7d
    # add  [====)
    Line("a cart is abandoned 30 minutes after the add", "cart-abandoner", [added(0)], [(30 * MINUTE, 7 * DAY)]),
    # 0    20m  50m  7d+20m
    # add  add  [====)
    Line(
        "a new add restarts the wait",
        "cart-abandoner",
        [added(0), added(20 * MINUTE)],
        [(50 * MINUTE, 7 * DAY + 20 * MINUTE)],
    ),
    # 0    30m  40m   70m  7d+40m
    # add  [====add   [====)
    Line(
        "an add to an abandoned cart takes it up again",
        "cart-abandoner",
        [added(0), added(40 * MINUTE)],
        [(30 * MINUTE, 40 * MINUTE), (70 * MINUTE, 7 * DAY + 40 * MINUTE)],
    ),
    # 0    30m  1h
    # add  [====order
    Line("an order empties the cart", "cart-abandoner", [added(0), ordered(HOUR)], [(30 * MINUTE, HOUR)]),
    Line("an order in time leaves nothing behind", "cart-abandoner", [added(0), ordered(29 * MINUTE)]),
    # 0      30d
    # order
    # [======)
    Line("an order makes a buyer for 30 days", "completed-buyer", [ordered(0)], [(0, 30 * DAY)]),
    Line("an add makes no buyer", "completed-buyer", [added(0)]),
    # 0      10d    30d
    # order  order  first leaves
    #        [======)
    Line(
        "two orders are frequent while both are at most 30 days old",
        "frequent-buyer",
        [ordered(0), ordered(10 * DAY)],
        [(10 * DAY, 30 * DAY)],
    ),
    Line("orders exactly 30 days apart are not", "frequent-buyer", [ordered(0), ordered(30 * DAY)]),
    # 0       1d      30d
    # coupon  coupon  first leaves
    #         [=======)
    Line(
        "two coupons within 30 days",
        "bargain-hunter",
        [coupon(0), coupon(DAY)],
        [(DAY, 30 * DAY)],
    ),
    # 0     1m    2m    3m   4m   30d
    # sale  sale  sale  new  new  first leaves, four are too few
    #                        [====)
    Line(
        "three of five views on sale are 60 %",
        "bargain-hunter",
        [viewed(minute * MINUTE, on_sale=minute < 3) for minute in range(5)],
        [(4 * MINUTE, 30 * DAY)],
    ),
    # 0    1m   2m   3m    4m    5m    30d          30d+1m
    # new  new  new  sale  sale  sale  first leaves second leaves
    #                                  [============)
    Line("a share can rise by time alone", "bargain-hunter", SALE, [(30 * DAY, 30 * DAY + MINUTE)]),
    Line("four views are too few", "bargain-hunter", [viewed(minute, on_sale=True) for minute in range(4)]),
    # 0      10d    180d
    # 150    250    first leaves
    #        [======)
    Line(
        "two orders of 200 on average",
        "luxury-seeker",
        [ordered(0, 150), ordered(10 * DAY, 250)],
        [(10 * DAY, 180 * DAY)],
    ),
    Line("199.99 on average is not enough", "luxury-seeker", [ordered(0, 150), ordered(DAY, 249.98)]),
    Line("one order is not enough", "luxury-seeker", [ordered(0, 1_000)]),
    # 0     10h   24h
    # page  page
    # [===========)
    Line("a visitor is new for a day, whatever follows", "new-visitor", [page(0), page(10 * HOUR)], [(0, DAY)]),
    # 0     24h
    # page
    # [=====)
    Line("a page makes a casual browser for a day", "casual-browser", [page(0)], [(0, DAY)]),
    # 0        1h   10h   25h           34h
    # product  add  page  add is a day  page is a day old
    # [========)          [=============)
    Line(
        "an add interrupts for a day",
        "casual-browser",
        [viewed(0), added(HOUR), page(10 * HOUR)],
        [(0, HOUR), (25 * HOUR, 34 * HOUR)],
    ),
    Line("so does an order", "casual-browser", [page(0), ordered(HOUR)], [(0, HOUR)]),
    # 0        2m     5m    6m    35m   65m
    # dresses  shoes  page  page  page  30 minutes without anything
    #                       [===========)
    Line(
        "more than five minutes with two categories make an engaged reader for as long as the session goes on",
        "engaged-reader",
        [viewed(0), viewed(2 * MINUTE, category="shoes"), *map(page, (5 * MINUTE, 6 * MINUTE, 35 * MINUTE))],
        [(6 * MINUTE, 65 * MINUTE)],
    ),
    # 0        20m   40m    1h10m
    # dresses  page  shoes  the session has ended
    #                [======)
    Line(
        "the second category may come last",
        "engaged-reader",
        [viewed(0), page(20 * MINUTE), viewed(40 * MINUTE, category="shoes")],
        [(40 * MINUTE, 70 * MINUTE)],
    ),
    Line(
        "exactly five minutes are not enough",
        "engaged-reader",
        [viewed(0), viewed(5 * MINUTE, category="shoes")],
    ),
    Line(
        "a category of the session before does not count",
        "engaged-reader",
        [viewed(0), viewed(30 * MINUTE, category="shoes"), page(40 * MINUTE)],
    ),
    # 0        7d     14d
    # 2 orders        7 days later 25 of 50 are left
    # [1ms)
    Line("two orders are worth 50 for a moment", "highly-engaged", [ordered(0), ordered(0)], [(0, 1)]),
    # 0         7d
    # 4 orders  50 of 100 are left
    # [=========]
    Line(
        "four orders are worth 50 a week later",
        "highly-engaged",
        [ordered(0), ordered(0), ordered(0), ordered(0)],
        [(0, 7 * DAY + 1)],
    ),
    # 0         7d         14d
    # 4 orders  an order   37.5 of 75 are left
    # [====================)
    Line(
        "an order a week later adds to what is left",
        "highly-engaged",
        [ordered(0), ordered(0), ordered(0), ordered(0), ordered(7 * DAY), ordered(7 * DAY)],
        [(0, 14 * DAY + 1)],
    ),
    Line(
        "two orders and a product taken out again are not enough", "highly-engaged", [ordered(0), added(0), removed(0)]
    ),
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.segment}: {line.fact}")
def test_a_visitor_is_inside_exactly_as_drawn(member: Member, line: Line) -> None:
    edges = {0, *(edge for span in line.inside for edge in span), *(did.at for did in line.visit)}
    instants = sorted({instant for edge in edges for instant in (edge - 1, edge, edge + 1)})
    drawn = {at: any(start <= at < end for start, end in line.inside) for at in instants}
    assert {at: member(events(line.visit), line.segment, START + at) for at in instants} == drawn


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.segment}: {line.fact}")
def test_the_end_of_a_membership_is_known_when_the_last_event_is(line: Line) -> None:
    engine = Engine(segments(), **options(catalog()))
    last = START + line.visit[-1].at
    state = engine.folded([event] for event in events(line.visit))
    known = engine.timeline(state, last).memberships.get(line.segment, ())
    assert list(known) == [(START + start, START + end) for start, end in line.inside if START + end > last]


def test_every_segment_has_a_sentence_and_a_drawing() -> None:
    drawn = {line.segment for line in LINES if line.inside}
    assert drawn == {id_ for id_, segment in segments().items() if segment["description"].endswith(".")}
