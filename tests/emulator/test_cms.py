"""What fills a personalised block of the magazine, and what `--cms` says where Wagtail is not installed."""

import socket

import pytest

from emulator import beside
from emulator.cms import asked
from emulator.cms.asked import NOTHING, Filling, Told
from emulator.cms.decision import Shown, Variant, shown
from segue.domain.errors import Unavailable

DEFAULT = {"headline": "For everybody", "kicker": "", "link": "/"}
DISCOUNT = {"headline": "10 % off", "kicker": "", "link": "/offers"}
WELCOME = {"headline": "Welcome", "kicker": "", "link": "/new"}
VARIANTS = [Variant(["category-browser", "bargain-hunter"], DISCOUNT), Variant(["new-visitor"], WELCOME)]
USUAL = Shown(DEFAULT, "default")


def told(filling: Filling | None = None, **segments: bool) -> Told:
    return Told({name.replace("_", "-"): inside for name, inside in segments.items()}, filling)


def test_the_first_variant_with_a_segment_that_holds_is_shown() -> None:
    everything = told(category_browser=False, bargain_hunter=True, new_visitor=True)
    assert shown(VARIANTS, DEFAULT, everything) == Shown(DISCOUNT, "for-bargain-hunter", "bargain-hunter")


def test_who_is_in_no_segment_of_a_variant_sees_the_default() -> None:
    nothing = told(category_browser=False, bargain_hunter=False, new_visitor=False)
    assert shown(VARIANTS, DEFAULT, nothing) == USUAL


def test_a_variant_is_not_passed_over_while_it_is_not_known_whether_it_fits() -> None:
    assert shown(VARIANTS, DEFAULT, told(bargain_hunter=False, new_visitor=True)) == USUAL
    assert shown(VARIANTS, DEFAULT, NOTHING) == USUAL


def test_after_the_variants_the_slot_fills_the_block_and_leaves_what_it_does_not_say() -> None:
    filling = Filling("luxury", {"headline": "First for you", "kicker": "", "block": "hero", "price": 3})
    assert shown([], DEFAULT, told(filling)) == Shown({**DEFAULT, "headline": "First for you"}, "luxury")
    assert shown(VARIANTS[1:], DEFAULT, told(filling, new_visitor=True)).variant == "for-new-visitor"


def test_who_sees_the_default_in_an_experiment_takes_part_in_it() -> None:
    exposure = ("Experiment Viewed", {"experiment_id": "hero", "variation_id": "usual"})
    assert shown([], DEFAULT, told(Filling("default", {}, [exposure]))) == Shown(DEFAULT, "default", tells=[exposure])


def test_who_does_not_answer_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asked.connect("http://{}:{}".format(*silent.getsockname()), "a-key")
        assert asked.told("visitor", None, ["category-browser"], "homepage-hero") == NOTHING


def test_where_something_is_not_installed_the_command_says_what_to_install() -> None:
    with pytest.raises(Unavailable, match=r"needs not_a_package, not installed here; try: pip install 'segue\[cms\]'"):
        beside.require(["wagtail", "not_a_package"])
