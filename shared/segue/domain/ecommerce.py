"""Segment's e-commerce specification, as far as events that say the same by different words become one."""

from collections.abc import Mapping

from segue.domain.event import Json

SECOND_NAMES: Mapping[str, str] = {
    "Viewed Product Category": "Product List Viewed",
    "Viewed Promotion": "Promotion Viewed",
    "Clicked Promotion": "Promotion Clicked",
    "Viewed Product": "Product Viewed",
    "Clicked Product": "Product Clicked",
    "Added Product": "Product Added",
    "Removed Product": "Product Removed",
    "Started Order": "Checkout Started",
    "Viewed Checkout Step": "Checkout Step Viewed",
    "Completed Checkout Step": "Checkout Step Completed",
    "Updated Order": "Order Updated",
    "Completed Order": "Order Completed",
}
"""The names of the first version of the specification, and what the second calls the same."""

LENGTH_OF_A_CURRENCY = 3


def current_name(name: str) -> str:
    """An event's name as the second version has it; any other name as it is."""
    return SECOND_NAMES.get(name, name)


def with_currency(properties: dict[str, Json]) -> dict[str, Json]:
    """The properties with `currency` in upper case, as ISO 4217 has it. What cannot be a currency stays as it is."""
    currency = properties.get("currency")
    if not isinstance(currency, str) or currency.isupper():
        return properties
    if len(currency) != LENGTH_OF_A_CURRENCY or not (currency.isascii() and currency.isalpha()):
        return properties
    return properties | {"currency": currency.upper()}
