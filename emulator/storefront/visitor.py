"""A request's visitor: who it is, what is in its cart, and what it allowed, all from its own cookies."""

import re
from typing import Self

import msgspec
from starlette.requests import Request

from emulator.storefront import cart as carts
from emulator.storefront import consent, notes
from emulator.storefront.cart import Cart

ANONYMOUS_ID = "segue_anonymous_id"
"""Set by the tracker, and only once the visitor has agreed."""

LAST_MESSAGE = "last_message"
"""Set by the shop's own script: the message that the next page should know of."""

CART = "cart"
CHOICE = "choice"
CUSTOMER = "customer"
NOTE = "note"

COOKIES = (ANONYMOUS_ID, LAST_MESSAGE, CART, CHOICE, CUSTOMER, NOTE)
"""All there are."""

_ID = re.compile(r"[\w.-]{1,100}", re.ASCII)


class Visitor(msgspec.Struct, frozen=True):
    """`anonymous_id`: None until the visitor may be recognised. `choice`: None until there is one."""

    anonymous_id: str | None
    last_message: str | None
    customer: str | None
    cart: Cart
    choice: frozenset[str] | None
    said: notes.Said | None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Nothing but the cookies says who it is: no address and no form shows one visitor to another."""
        cookies = request.cookies
        choice = consent.read(cookies.get(CHOICE))
        return cls(
            anonymous_id=_id(cookies.get(ANONYMOUS_ID, "")) if choice else None,
            last_message=_id(cookies.get(LAST_MESSAGE, "")),
            customer=_id(cookies.get(CUSTOMER, "")),
            cart=carts.read(cookies.get(CART, "")),
            choice=choice,
            said=notes.read(cookies[NOTE]) if NOTE in cookies else None,
        )


def _id(cookie: str) -> str | None:
    return cookie if _ID.fullmatch(cookie) else None
