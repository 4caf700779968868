"""A visitor's cart: products and how many of each, with perhaps a coupon; it lives in the visitor's own cookie."""

import msgspec

from emulator.storefront.assortment import Product, coupons, products

MOST_OF_ONE = 9
LONGEST_COOKIE = 2_000


class Line(msgspec.Struct, frozen=True):
    """So many of a product."""

    product: Product
    quantity: int

    @property
    def total(self) -> int:
        return self.product.price * self.quantity


class Cart(msgspec.Struct, frozen=True):
    """What a visitor wants to buy; euros."""

    lines: tuple[Line, ...] = ()
    coupon: str | None = None

    @property
    def count(self) -> int:
        return sum(line.quantity for line in self.lines)

    @property
    def value(self) -> int:
        """Before the coupon."""
        return sum(line.total for line in self.lines)

    @property
    def discount(self) -> float:
        return round(self.value * coupons().get(self.coupon or "", 0) / 100, 2)

    @property
    def total(self) -> float:
        return round(self.value - self.discount, 2)

    def holds(self, product: Product) -> bool:
        return any(line.product == product for line in self.lines)

    def with_one_more(self, product: Product) -> "Cart":
        """One more of a product, unless that is more than anybody may have."""
        if not self.holds(product):
            return msgspec.structs.replace(self, lines=(*self.lines, Line(product, 1)))
        lines = tuple(
            Line(line.product, min(MOST_OF_ONE, line.quantity + (line.product == product))) for line in self.lines
        )
        return msgspec.structs.replace(self, lines=lines)

    def without(self, product: Product) -> "Cart":
        """None of a product."""
        return msgspec.structs.replace(self, lines=tuple(line for line in self.lines if line.product != product))

    def with_coupon(self, coupon: str | None) -> "Cart":
        return msgspec.structs.replace(self, coupon=coupon)


def written(cart: Cart) -> str:
    """The cart as a cookie's value."""
    return ".".join([cart.coupon or "", *(f"{line.product.id}*{line.quantity}" for line in cart.lines)])


def read(cookie: str) -> Cart:
    """The cart of a cookie; whatever in it is not of this shop is left out."""
    coupon, *parts = cookie[:LONGEST_COOKIE].split(".")
    wanted = {}
    for part in parts:
        id_, _, quantity = part.partition("*")
        if id_ in products() and quantity.isascii() and quantity.isdecimal() and len(quantity) == 1 and quantity != "0":
            wanted[id_] = int(quantity)
    lines = tuple(Line(products()[id_], quantity) for id_, quantity in wanted.items())
    return Cart(lines, coupon if coupon in coupons() else None)
