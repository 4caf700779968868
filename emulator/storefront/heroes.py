"""How the shop shows what fills its hero: the words and the pictures that go with each headline."""

from collections.abc import Mapping
from typing import NamedTuple

from emulator.storefront.cart import Cart
from emulator.storefront.cms import Shown


class _Look(NamedTuple):
    kicker: str
    words: str
    action: str
    pictures: tuple[str, str]


class Hero(NamedTuple):
    """A hero as the page draws it; `pictures` are two products'."""

    variant: str
    segment: str | None
    headline: str
    link: str
    kicker: str
    words: str
    action: str
    pictures: tuple[str, str]


_USUAL = _Look(
    "The summer studio", "Twenty pieces, drawn slowly and made well.", "See what is new", ("marlow-midi", "bay-bucket")
)

LOOKS: Mapping[str, _Look] = {
    "complete-your-order": _Look(
        "Almost yours", "It is packed in your size, and delivery is free today.", "Go to the cart", ("", "tilde-tote")
    ),
    "discount-banner": _Look(
        "Just for you", "Use the code CATEGORY10 in the cart.", "See the offer", ("bruna-wrap", "ines-sun")
    ),
    "still-thinking": _Look("Take your time", "Your cart is as you left it.", "Go to the cart", ("", "coast-sneaker")),
    "luxury-collection": _Look(
        "The fine edit", "Small editions, shown to you a week early.", "Come in", ("luna-clutch", "holt-boot")
    ),
    "sale": _Look("Last sizes", "Everything reduced, nothing hidden.", "See the sale", ("tess-slip", "mira-sandal")),
    "welcome": _Look(
        "Good to meet you", "Twenty pieces, drawn slowly and made well.", "Start with the favourites",
        ("marlow-midi", "tilde-tote"),
    ),
}  # fmt: skip
"""By the variant that was decided; whatever else there is looks as usual. No name: what is in the cart."""

HEADLINE = "New arrivals this week"
LINK = "/collections/new"


def hero(shown: Shown, cart: Cart) -> Hero:
    """The hero for a decision; without one, the shop's own."""
    look = LOOKS.get(shown.variant or "", _USUAL)
    in_cart = cart.lines[-1].product.id if cart.lines else _USUAL.pictures[0]
    content = shown.content or {}
    first, second = look.pictures
    return Hero(
        shown.variant or "none",
        shown.segment,
        str(content.get("headline", HEADLINE)),
        str(content.get("link", LINK)),
        look.kicker,
        look.words,
        look.action,
        (first or in_cart, second),
    )
