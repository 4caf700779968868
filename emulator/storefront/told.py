"""What a page tells Segue: events named and shaped as in Segment's e-commerce specification, version 2."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from emulator.storefront.assortment import CURRENCY, Collection, Product
from emulator.storefront.cart import Cart, Line

Told: TypeAlias = Mapping[str, Any]
"""A call of the tracker: its `method` and its `arguments`."""


def track(event: str, **properties: Any) -> Told:
    return {"method": "track", "arguments": [event, properties]}


def product_viewed(product: Product) -> Told:
    return track("Product Viewed", **_product(product))


def product_list_viewed(collection: Collection) -> Told:
    return track(
        "Product List Viewed",
        list_id=collection.id,
        category=collection.name,
        products=_positioned(collection.products),
    )


def product_clicked(product: Product, position: int) -> Told:
    return track("Product Clicked", **_product(product), position=position)


def products_searched(query: str) -> Told:
    return track("Products Searched", query=query)


def promotion_viewed(slot: str, variant: str, headline: str) -> Told:
    return track("Promotion Viewed", promotion_id=variant, name=headline, position=slot)


def promotion_clicked(slot: str, variant: str) -> Told:
    return track("Promotion Clicked", promotion_id=variant, position=slot)


def product_added(product: Product) -> Told:
    return track("Product Added", **_product(product), quantity=1)


def product_removed(product: Product) -> Told:
    return track("Product Removed", **_product(product))


def cart_viewed(cart: Cart) -> Told:
    return track("Cart Viewed", products=_lines(cart.lines))


def checkout_started(cart: Cart) -> Told:
    return track("Checkout Started", **_order(cart))


def coupon_applied(coupon: str, percent: int) -> Told:
    return track("Coupon Applied", coupon_id=coupon, coupon_name=coupon, discount=percent)


def coupon_denied(coupon: str) -> Told:
    return track("Coupon Denied", coupon_id=coupon, reason="unknown")


def coupon_removed(coupon: str) -> Told:
    return track("Coupon Removed", coupon_id=coupon, coupon_name=coupon)


def order_completed(order: str, cart: Cart) -> Told:
    return track("Order Completed", order_id=order, **_order(cart))


def brochure_downloaded(title: str) -> Told:
    return track("Brochure Downloaded", title=title)


def newsletter_subscribed() -> Told:
    return track("Newsletter Subscribed", list="studio-letter")


def identified(customer: str, email: str) -> Told:
    return {"method": "identify", "arguments": [customer, {"email": email, "newsletter": True}]}


def consented(purposes: Mapping[str, bool], version: str) -> Told:
    return {"method": "consent", "arguments": [purposes, {"version": version}]}


def _product(product: Product) -> dict[str, Any]:
    return {
        "product_id": product.id,
        "name": product.name,
        "category": product.category,
        "variant": product.shade,
        "price": product.price,
        "currency": CURRENCY,
        "on_sale": product.on_sale,
    }


def _positioned(products: Iterable[Product]) -> list[dict[str, Any]]:
    return [_product(product) | {"position": position} for position, product in enumerate(products, start=1)]


def _lines(lines: Iterable[Line]) -> list[dict[str, Any]]:
    return [_product(line.product) | {"quantity": line.quantity} for line in lines]


def _order(cart: Cart) -> dict[str, Any]:
    return {
        "total": cart.total,
        "revenue": cart.total,
        "value": cart.value,
        "discount": cart.discount,
        "coupon": cart.coupon,
        "currency": CURRENCY,
        "products": _lines(cart.lines),
    }
