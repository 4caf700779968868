"""What says the same by different words is one event."""

from typing import Any

import pytest

from segue.domain.ecommerce import SECOND_NAMES, current_name, with_currency


def test_each_name_of_the_first_specification_has_one_of_the_second() -> None:
    assert len(set(SECOND_NAMES.values())) == len(SECOND_NAMES)
    assert [current_name(name) for name in SECOND_NAMES] == list(SECOND_NAMES.values())


@pytest.mark.parametrize("name", ["Product Viewed", "viewed product", "Viewed Product ", "Bought"])
def test_any_other_name_is_left_alone(name: str) -> None:
    assert current_name(name) == name


@pytest.mark.parametrize(("currency", "read"), [("eur", "EUR"), ("Usd", "USD"), ("EUR", "EUR")])
def test_a_currency_is_in_capitals(currency: str, read: str) -> None:
    assert with_currency({"currency": currency, "total": 1}) == {"currency": read, "total": 1}


@pytest.mark.parametrize("currency", [None, 1, "", "eu", "euro", "\u00e9\u00e9\u00e9", "e1r", {}])
def test_what_cannot_be_a_currency_stays_as_it_is(currency: Any) -> None:
    assert with_currency({"currency": currency}) == {"currency": currency}


def test_a_missing_currency_is_not_made_up() -> None:
    assert with_currency({"revenue": 1}) == {"revenue": 1}
