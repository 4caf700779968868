"""The demo shop: visitors who browse, watch, add, use coupons and order, the same for the same seed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeAlias

import msgspec

from segue.domain.time import DAY, MINUTE, SECOND

Call: TypeAlias = dict[str, Any]

CATEGORIES = {"dresses": 80, "shoes": 110, "coats": 260, "bags": 320, "shirts": 35}
"""Each category and the price around which its products lie."""

PRODUCTS_A_CATEGORY = 12
VIDEO_LENGTH_S = 60
LONGEST_PAUSE = 3 * MINUTE


class Product(msgspec.Struct, frozen=True):
    product_id: str
    category: str
    price: float
    on_sale: bool


class Visitor(msgspec.Struct, frozen=True):
    """A visitor and all of its calls, each with its own timestamp, in order of time."""

    anonymous_id: str
    calls: tuple[Call, ...]


class Habits(msgspec.Struct, frozen=True):
    """How a kind of visitor shops: mean number of products looked at, and how likely each step is."""

    share: int
    views: float
    loyalty: float
    watches: float = 0.0
    adds: float = 0.0
    coupons: float = 0.0
    orders: float = 0.0
    returns: float = 0.0
    sale_only: bool = False
    cheapest: float = 0.0


KINDS = (
    Habits(share=40, views=2, loyalty=0.5),
    Habits(share=20, views=5, loyalty=0.9, watches=0.5, adds=0.6, orders=0.1),
    Habits(share=15, views=6, loyalty=0.3, watches=0.2, adds=0.9, orders=0.05),
    Habits(share=10, views=7, loyalty=0.5, adds=0.6, coupons=0.8, orders=0.5, returns=0.7, sale_only=True),
    Habits(share=10, views=4, loyalty=0.6, watches=0.3, adds=0.8, orders=0.8, returns=0.6),
    Habits(share=5, views=5, loyalty=0.7, watches=0.4, adds=0.9, orders=0.8, returns=1.0, cheapest=200),
)


def visitors(seed: int, count: int, now: int) -> Iterator[Visitor]:
    """Visitors of the last hour up to `now` (epoch ms); some are on the site at this moment, some came back after days.

    The same for the same arguments.
    """
    for number in range(count):
        chance = Random(f"{seed}:{number}")  # noqa: S311 (visits to repeat, no secrets)
        (habits,) = chance.choices(KINDS, [kind.share for kind in KINDS])
        calls: list[Call] = []
        if chance.random() < habits.returns:
            for days in sorted(chance.uniform(1, 25) for _ in range(chance.randint(1, 3))):
                calls[:0] = _visit(chance, habits, now - round(days * DAY))
        calls += _visit(chance, habits, now - round(max(0.0, chance.uniform(-10, 55)) * MINUTE))
        anonymous_id = f"visitor-{seed}-{number:04}"
        yield Visitor(
            anonymous_id,
            tuple(
                {**call, "anonymousId": anonymous_id, "messageId": f"{anonymous_id}-{index}"}
                for index, call in enumerate(calls)
            ),
        )


def assortment() -> tuple[Product, ...]:
    """The shop's products: in each category from half to one and a half times its usual price, every fourth on sale."""
    return tuple(
        Product(
            f"{category}-{number}",
            category,
            round(usual * (0.5 + number / PRODUCTS_A_CATEGORY), 2),
            on_sale=number % 4 == 0,
        )
        for category, usual in CATEGORIES.items()
        for number in range(1, PRODUCTS_A_CATEGORY + 1)
    )


def _visit(chance: Random, habits: Habits, end: int) -> list[Call]:
    """One visit whose last call happened at `end`."""
    steps = list(_steps(chance, habits))
    pauses = [0, *(min(LONGEST_PAUSE, round(chance.expovariate(1 / 20) * SECOND) + SECOND) for _ in steps[1:])]
    instant = end - sum(pauses)
    calls = []
    for pause, step in zip(pauses, steps, strict=True):
        instant += pause
        calls.append(
            {**step, "timestamp": datetime.fromtimestamp(instant / 1000, UTC).isoformat(timespec="milliseconds")}
        )
    return calls


def _steps(chance: Random, habits: Habits) -> Iterator[Call]:
    """What happens in a visit: the home page, products and a video, then perhaps the cart, a coupon and an order."""
    yield {"type": "page", "name": "Home", "properties": {"path": "/"}}
    products = [
        product
        for product in assortment()
        if product.price >= habits.cheapest and (product.on_sale or not habits.sale_only)
    ]
    favourite = chance.choice(products).category
    seen = []
    for _ in range(1 + round(chance.expovariate(1 / habits.views))):
        loyal = [product for product in products if product.category == favourite]
        product = chance.choice(loyal if chance.random() < habits.loyalty else products)
        seen.append(product)
        yield _track("Product Viewed", _properties(product))
    wanted = seen[-1]
    if chance.random() < habits.watches:
        yield from _video(chance, wanted)
    if chance.random() < habits.adds:
        yield _track("Product Added", {**_properties(wanted), "quantity": 1})
        if chance.random() < habits.coupons:
            yield _track("Coupon Applied", {"coupon_id": "SUMMER10", "coupon_name": "Summer", "discount": 10})
        if chance.random() < habits.orders:
            yield _track("Order Completed", {"revenue": wanted.price, "products": [_properties(wanted)]})


def _video(chance: Random, product: Product) -> Iterator[Call]:
    """The product's video, a call at each quarter until the visitor has seen enough."""
    for quarter in range(1, chance.randint(1, 4) + 1):
        yield _track(
            "Video Content Playing",
            {
                "asset_id": f"video-{product.product_id}",
                "position": quarter * VIDEO_LENGTH_S / 4,
                "total_length": VIDEO_LENGTH_S,
            },
        )


def _properties(product: Product) -> dict[str, Any]:
    return msgspec.to_builtins(product)  # type: ignore[no-any-return]


def _track(name: str, properties: dict[str, Any]) -> Call:
    return {"type": "track", "event": name, "properties": properties}
