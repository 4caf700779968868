"""What goes with every page: nothing of one visitor's page is kept for another, and pages run no strangers' scripts."""

from collections.abc import Callable
from typing import Any, TypeAlias

from django.conf import settings
from django.utils.cache import patch_cache_control, patch_vary_headers

Handler: TypeAlias = Callable[[Any], Any]


def personalised_pages_are_private(handler: Handler) -> Handler:
    """Forbids every cache, Django's own among them, to keep a page that was made for its visitor."""

    def handled(request: Any) -> Any:
        response = handler(request)
        if getattr(request, "is_personalised", False):
            patch_cache_control(response, private=True, no_store=True)
            patch_vary_headers(response, ["Cookie"])
        return response

    return handled


def public_pages_are_safe(handler: Handler) -> Handler:
    """Lets the public pages load and send to this site and to Segue alone. The admin has rules of its own."""
    segue = settings.SITE.segue
    policy = (
        f"default-src 'none'; script-src 'self' {segue}; connect-src 'self' {segue}; style-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    )

    def handled(request: Any) -> Any:
        response = handler(request)
        if not request.path.startswith("/admin/"):
            response.headers["Content-Security-Policy"] = policy
        return response

    return handled
