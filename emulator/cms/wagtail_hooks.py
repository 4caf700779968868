"""What the magazine changes in Wagtail's own desk."""

from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver
from wagtail import hooks
from wagtail.models import PageLogEntry

UNUSED = {"images", "documents", "help"}
"""The desk cannot do without these apps, but no page shows what is uploaded to them."""


@hooks.register("construct_main_menu")  # type: ignore[untyped-decorator]
def hide_unused(_request: Any, items: list[Any]) -> None:
    items[:] = [item for item in items if item.name not in UNUSED]


@receiver(post_save, sender=PageLogEntry)  # type: ignore[untyped-decorator]
def forget_pages(**_said: Any) -> None:
    """Whatever is done to a page, by whom and in whichever view, is in its log, and is seen at once."""
    transaction.on_commit(cache.clear)
