"""The magazine's pages."""

from typing import Any

from django.conf import settings
from wagtail.admin.panels import FieldPanel
from wagtail.fields import StreamField
from wagtail.models import Page

from emulator.cms import catalog
from emulator.cms.blocks import PersonalisedBlock, ShelfBlock, StoryBlock


class Body(StreamField):
    """A page's blocks. A migration does not repeat what they consist of: they are JSON to the database."""

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, path, _, _ = super().deconstruct()
        return name, path, [[]], {}


class JournalPage(Page):
    """A page of the magazine; the home page is one, too."""

    body = Body([
        ("hero", PersonalisedBlock()),
        ("shelf", ShelfBlock()),
        ("story", StoryBlock()),
    ])  # fmt: skip

    content_panels = (*Page.content_panels, FieldPanel("body"))
    template = "cms/page.html"

    def get_context(self, request: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(request, *args, **kwargs)
        stories = self.get_site().root_page.get_children().live().public().in_menu()
        return context | {"site": settings.SITE, "stories": stories}

    @property
    def preview_modes(self) -> list[tuple[str, str]]:
        """As a stranger sees the page, and as somebody in each segment does that its variants are for."""
        heroes = [block.value for block in self.body if block.block_type == "hero"]
        used = {segment for hero in heroes for variant in hero["variants"] for segment in variant["segments"]}
        return [("", "A stranger"), *((id_, name) for id_, name in catalog.segments() if id_ in used)]

    def serve_preview(self, request: Any, mode_name: str) -> Any:
        request.previewed_as = mode_name
        return super().serve_preview(request, mode_name)
