"""What the magazine answers besides pages."""

from typing import Any

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from httpx import HTTPError

from emulator.cms import visitor
from emulator.cms.calls import call
from emulator.cms.models import JournalPage
from emulator.storefront.assortment import products


def picture(request: Any, product: str) -> Any:
    """A product's picture, drawn as the shop draws it."""
    found = products().get(product)
    if found is None:
        raise Http404
    return render(request, f"pictures/{found.drawing}.svg", {"product": found}, "image/svg+xml", using="jinja2")


def hero(request: Any, page: str, hero: str) -> Any:
    """A personalised block of a published page, as its visitor gets it at this moment."""
    found = get_object_or_404(JournalPage.objects.live().public(), pk=page)
    block = next((block for block in found.body if block.id == hero and block.block_type == "hero"), None)
    if block is None:
        raise Http404
    return HttpResponse(block.render({"request": request, "page": found}))


def token(request: Any) -> Any:
    """What lets the visitor's browser, and nobody else's, listen for what changes: `token` and `expires_at`."""
    id_ = visitor.anonymous_id(request)
    if id_ is None:
        raise Http404
    try:
        return JsonResponse(call("POST", "/v1/tokens", {"profile": {"anonymous_id": id_}}))
    except HTTPError:
        return HttpResponse(status=503, headers={"Retry-After": "10"})
