"""What the shop sells: its products, the collections they are shown in, and its coupons."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from emulator.yaml_file import read

CURRENCY = "EUR"
FILE = Path(__file__).with_name("assortment.yaml")


class Product(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something to buy, prices in euros. `was`: the price before it went on sale. `film`: its video's name."""

    id: str
    name: str
    category: str
    price: int
    words: str
    material: str
    shade: str
    drawing: str
    colour: str
    ground: str
    was: int | None = None
    film: str | None = None
    is_new: bool = False
    is_favourite: bool = False

    @property
    def on_sale(self) -> bool:
        return self.was is not None


class Collection(NamedTuple):
    """Products under one heading; a category is one, too."""

    id: str
    name: str
    words: str
    holds: Callable[[Product], bool]
    """Whether a product is one of it."""

    @property
    def products(self) -> Sequence[Product]:
        return [product for product in products().values() if self.holds(product)]


class _Assortment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    products: list[Product]
    coupons: dict[str, int]


def _category(name: str, words: str) -> Collection:
    return Collection(name.lower(), name, words, lambda product: product.category == name.lower())


CATEGORIES = (
    _category("Dresses", "Cut to move, made to last."),
    _category("Trousers", "Room where you want it, a line where you need it."),
    _category("Shoes", "For pavements, platforms and dance floors."),
    _category("Bags", "Everything you carry, carried well."),
)

COLLECTIONS: Mapping[str, Collection] = {
    collection.id: collection
    for collection in (
        *CATEGORIES,
        Collection("new", "New arrivals", "Fresh from the studio this week.", lambda product: product.is_new),
        Collection("best-sellers", "Favourites", "What goes first.", lambda product: product.is_favourite),
        Collection("sale", "Sale", "The last ones of the season.", lambda product: product.on_sale),
        Collection(
            "offers", "Ten percent for you", "Take 10 % off with the code CATEGORY10 in the cart.", lambda _: True
        ),
        Collection("luxury", "The fine edit", "Our most careful pieces.", lambda product: product.price >= LUXURY),
    )
}

LUXURY = 160


@cache
def _assortment() -> _Assortment:
    return msgspec.convert(read(FILE).value, _Assortment)


@cache
def products() -> Mapping[str, Product]:
    """Every product by its id, in the shop's order."""
    return {product.id: product for product in _assortment().products}


def coupons() -> Mapping[str, int]:
    """Each coupon's code, and the percent it takes off."""
    return _assortment().coupons


def found(query: str) -> Sequence[Product]:
    """The products that have every word of the query somewhere in what is said of them; none for no word."""
    words = query.lower().split()
    return [product for product in products().values() if words and all(word in _said_of(product) for word in words)]


def _said_of(product: Product) -> str:
    return " ".join((product.name, product.category, product.shade, product.material, product.words)).lower()
