"""What the magazine changes in Wagtail's own desk."""

from typing import Any

from django.core.cache import cache
from wagtail import hooks

UNUSED = {"images", "documents", "help"}
"""The desk cannot do without these apps, but no page shows what is uploaded to them."""


@hooks.register("construct_main_menu")  # type: ignore[untyped-decorator]
def hide_unused(_request: Any, items: list[Any]) -> None:
    items[:] = [item for item in items if item.name not in UNUSED]


@hooks.register("after_publish_page")  # type: ignore[untyped-decorator]
@hooks.register("after_unpublish_page")  # type: ignore[untyped-decorator]
def forget_pages(_request: Any, _page: Any) -> None:
    """What was published is seen at once: no page is kept as it was."""
    cache.clear()
