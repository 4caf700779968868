"""What the magazine begins with: its pages, and an editor."""

import json
import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from wagtail.models import Page, Site

from emulator.cms.models import JournalPage

EDITOR = "editor"

_HERO = {
    "kicker": "The summer studio",
    "headline": "New arrivals this week",
    "words": "Twenty pieces, drawn slowly and made well. We asked the people who cut them why.",
    "action": "See the trousers",
    "link": "#trousers",
    "picture": "bruna-wrap",
}
_DISCOUNT = {
    "kicker": "Just for you",
    "headline": "10 % off in the category you are looking at",
    "words": "You have looked closely. Use the code CATEGORY10 at the till.",
    "action": "Back to the trousers",
    "link": "#trousers",
    "picture": "fell-cord",
}
_SHELF = {
    "heading": "Trousers, read closely",
    "words": "Five ways to be comfortable. Open one to see how it is made.",
    "category": "trousers",
}
_STORY = {
    "kicker": "The long read",
    "heading": "A pocket nobody sees",
    "text": (
        "<p>Every Marlow dress begins with a pocket. It is cut first, because it decides how the skirt will fall, "
        "and it is sewn last, because by then one knows where a hand wants to go.</p>"
        "<p><b>Eleven minutes</b> is what it takes. <i>Nobody has ever asked for it,</i> says the cutter, "
        "<i>and nobody has ever brought a dress back.</i></p>"
    ),
    "picture": "marlow-midi",
}
_LINEN = {
    "kicker": "Material",
    "heading": "Linen is a slow friend",
    "text": (
        "<p>It creases on the first day and forgives on the tenth. We wash ours twice before it is cut, in rain water "
        "where there is rain, so that what you try on in June still fits in August.</p>"
    ),
    "picture": "nori-linen",
}


def begin() -> str | None:
    """Make the pages and the editor, if there are none; the editor's password, which is kept nowhere."""
    if not JournalPage.objects.exists():
        with transaction.atomic():
            _pages()
    if get_user_model().objects.exists():
        return None
    password = secrets.token_urlsafe(12)
    get_user_model().objects.create_superuser(EDITOR, "", password)
    return password


def _pages() -> None:
    root = Page.get_first_root_node()
    root.get_children().delete()
    discount = {"segments": ["category-browser"], "content": _DISCOUNT}
    hero = {"variants": [discount], "slot": "journal-hero", "default": _HERO}
    home = _page("The journal", "home", ("hero", hero), ("shelf", _SHELF), ("story", _STORY))
    root = Page.get_first_root_node()
    root.add_child(instance=home)
    story = _page("On linen", "linen", ("story", _LINEN))
    story.show_in_menus = True
    home.add_child(instance=story)
    Site.objects.update_or_create(is_default_site=True, defaults={"hostname": "localhost", "root_page": home})


def _page(title: str, slug: str, *blocks: tuple[str, dict[str, Any]]) -> JournalPage:
    body = [{"type": kind, "value": value} for kind, value in blocks]
    return JournalPage(title=title, slug=slug, body=json.dumps(body))
