"""What editors put on a page: a hero for everybody, or for whom it fits; products; stories."""

import re
from collections.abc import Mapping
from typing import Any

from django.core.validators import RegexValidator
from django.forms import CheckboxSelectMultiple
from wagtail import blocks

from emulator.cms import asked, catalog, visitor
from emulator.cms.decision import Shown, Variant, shown
from emulator.storefront.assortment import CATEGORIES, products

LINK = re.compile(r"(/|#|https?://)\S*")
"""Where a link may lead to, whoever wrote it; a script is no address."""


def _products() -> list[tuple[str, str]]:
    return [(product.id, product.name) for product in products().values()]


class HeroBlock(blocks.StructBlock):
    """A banner: a few words, a link and a picture."""

    headline = blocks.CharBlock(max_length=80)
    kicker = blocks.CharBlock(max_length=40, required=False, help_text="A word or two above the headline.")
    words = blocks.CharBlock(max_length=200, required=False)
    action = blocks.CharBlock(max_length=40, help_text="What the button says.")
    link = blocks.CharBlock(
        max_length=300,
        validators=[
            RegexValidator(rf"^{LINK.pattern}$", "A path such as /stories, a place such as #bags, or an address.")
        ],
        help_text="Where the button leads to.",
    )
    picture = blocks.ChoiceBlock(choices=_products)

    class Meta:
        icon = "image"
        label_format = "{headline}"


class _AsWritten:
    """A choice of ids, which are text: what was chosen is read without asking Segue what there is to choose from.

    Wagtail looks each value up among the choices, in case they are no text, for every page that is shown.
    """

    def normalize_choice(self, value: str) -> str:
        return value


class SegmentsBlock(_AsWritten, blocks.MultipleChoiceBlock):
    """Segments of Segue."""


class SlotBlock(_AsWritten, blocks.ChoiceBlock):
    """A slot of Segue."""


class VariantBlock(blocks.StructBlock):
    """A hero for somebody."""

    segments = SegmentsBlock(
        choices=catalog.segments, label="For visitors who are in any of", widget=CheckboxSelectMultiple
    )
    content = HeroBlock(label="They see")

    class Meta:
        icon = "group"
        label_format = "{segments}: {content}"


class PersonalisedBlock(blocks.StructBlock):
    """A hero that is chosen for its visitor. It reads from top to bottom: the first that fits is shown."""

    variants = blocks.ListBlock(VariantBlock(), default=[], label="First, your variants, in this order")
    slot = SlotBlock(
        choices=catalog.slots,
        required=False,
        label="Then, what Segue has for the visitor in the slot",
        help_text="With its experiments, schedules and limits. Without a slot, the default follows.",
    )
    default = HeroBlock(label="Everybody else sees")

    class Meta:
        icon = "user"
        label = "Personalised hero"
        template = "cms/hero.html"

    def get_context(self, value: Any, parent_context: Mapping[str, Any] | None = None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(value, parent_context=parent_context)
        return context | {"shown": _shown(value, context["request"])}


def _shown(value: Any, request: Any) -> Shown:
    variants = [Variant(each["segments"], each["content"]) for each in value["variants"]]
    told = asked.NOTHING
    if (previewed := getattr(request, "previewed_as", None)) is not None:
        told = asked.Told({segment: segment == previewed for each in variants for segment in each.segments}, None)
    elif id_ := visitor.anonymous_id(request):
        named = list(dict.fromkeys(segment for each in variants for segment in each.segments))
        told = asked.told(id_, visitor.last_message(request), named, value["slot"])
    found = shown(variants, value["default"], told)
    return found if LINK.fullmatch(found.content["link"]) else Shown(value["default"], "default")


class ShelfBlock(blocks.StructBlock):
    """The products of a category, to be looked at and put into the bag."""

    heading = blocks.CharBlock(max_length=80)
    words = blocks.CharBlock(max_length=200, required=False)
    category = blocks.ChoiceBlock(choices=[(category.id, category.name) for category in CATEGORIES])

    class Meta:
        icon = "list-ul"
        template = "cms/shelf.html"

    def get_context(self, value: Any, parent_context: Mapping[str, Any] | None = None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(value, parent_context=parent_context)
        return context | {"products": [each for each in products().values() if each.category == value["category"]]}


class StoryBlock(blocks.StructBlock):
    """A text beside a picture."""

    kicker = blocks.CharBlock(max_length=40, required=False)
    heading = blocks.CharBlock(max_length=80)
    text = blocks.RichTextBlock(features=["bold", "italic", "link"])
    picture = blocks.ChoiceBlock(choices=_products)

    class Meta:
        icon = "pilcrow"
        template = "cms/story.html"
