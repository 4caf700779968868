"""What the magazine changes in Wagtail's own desk."""

from typing import Any

from wagtail import hooks

UNUSED = {"images", "documents", "help"}
"""The desk cannot do without these apps, but no page shows what is uploaded to them."""


@hooks.register("construct_main_menu")  # type: ignore[untyped-decorator]
def hide_unused(_request: Any, items: list[Any]) -> None:
    items[:] = [item for item in items if item.name not in UNUSED]
