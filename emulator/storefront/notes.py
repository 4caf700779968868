"""What an action leaves for the next page: a sentence for the visitor, and what the page tells Segue of it.

It travels in a cookie that the page's script takes away once it has told: who leaves a page before that loses nothing.
A visitor can change it, and then tells untruths about itself alone.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from emulator.storefront import cart as carts
from emulator.storefront import told
from emulator.storefront.assortment import coupons, products
from emulator.storefront.consent import PURPOSES, VERSION
from emulator.storefront.told import Told
from segue.domain.errors import Invalid

LONGEST = 3_000


class Note(msgspec.Struct, frozen=True):
    """What was done, and the values that it takes to tell it again."""

    kind: str
    values: dict[str, str] = {}


class Said(NamedTuple):
    """A note as the next page shows and tells it."""

    sentence: str
    told: Sequence[Told] = ()


def written(note: Note) -> str:
    """The note as a cookie's value."""
    return base64.urlsafe_b64encode(msgspec.json.encode(note)).decode().rstrip("=")


def read(cookie: str) -> Said | None:
    """What a cookie's note says; None if it is none of this shop's."""
    try:
        decoded = base64.urlsafe_b64decode(cookie[:LONGEST] + "=" * (-len(cookie) % 4))
        note = msgspec.json.decode(decoded, type=Note)
        return _SAID[note.kind](note.values)
    except (binascii.Error, ValueError, KeyError, Invalid):
        return None


def _added(values: Mapping[str, str]) -> Said:
    product = products()[values["product"]]
    return Said(f"{product.name} is in your cart.", [told.product_added(product)])


def _removed(values: Mapping[str, str]) -> Said:
    product = products()[values["product"]]
    return Said(f"{product.name} is out of your cart.", [told.product_removed(product)])


def _coupon_applied(values: Mapping[str, str]) -> Said:
    coupon = values["coupon"]
    percent = coupons()[coupon]
    return Said(f"{coupon} takes {percent} % off.", [told.coupon_applied(coupon, percent)])


def _coupon_denied(values: Mapping[str, str]) -> Said:
    coupon = values["coupon"]
    return Said(f"There is no coupon {coupon}.", [told.coupon_denied(coupon)])


def _coupon_removed(values: Mapping[str, str]) -> Said:
    coupon = values["coupon"]
    return Said(f"{coupon} is taken off again.", [told.coupon_removed(coupon)])


def _ordered(values: Mapping[str, str]) -> Said:
    cart = carts.read(values["cart"])
    return Said("", [told.order_completed(values["order"], cart)])


def _subscribed(values: Mapping[str, str]) -> Said:
    identified = told.identified(values["customer"], values["email"])
    return Said("Thank you. The next letter from the studio is yours.", [identified, told.newsletter_subscribed()])


def _chosen(values: Mapping[str, str]) -> Said:
    allowed = values["allowed"].split(".")
    purposes = {purpose.id: purpose.id in allowed for purpose in PURPOSES}
    return Said("Your choice is kept.", [told.consented(purposes, VERSION)])


_SAID: Mapping[str, Callable[[Mapping[str, str]], Said]] = {
    "added": _added,
    "removed": _removed,
    "coupon-applied": _coupon_applied,
    "coupon-denied": _coupon_denied,
    "coupon-removed": _coupon_removed,
    "ordered": _ordered,
    "subscribed": _subscribed,
    "chosen": _chosen,
}
