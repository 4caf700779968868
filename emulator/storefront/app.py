"""The shop's addresses: pages rendered on the server, small forms, and what Segue knows of who looks at them."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp

from emulator.client import DEMO_WRITE_KEY, Client
from emulator.storefront import cart as carts
from emulator.storefront import consent, notes, told
from emulator.storefront.assortment import CATEGORIES, COLLECTIONS, Product, coupons, found, products
from emulator.storefront.cart import Cart
from emulator.storefront.cms import Cms, Known, Shown
from emulator.storefront.consent import PURPOSES
from emulator.storefront.heroes import LOOKS, hero
from emulator.storefront.notes import Note
from emulator.storefront.safety import Safety
from emulator.storefront.told import Told
from emulator.storefront.visitor import CART, CHOICE, COOKIES, CUSTOMER, NOTE, Visitor
from segue.domain.errors import NotFound, SegueError
from segue.entrypoint import capped_body

FOLDER = Path(__file__).parent
LARGEST_FORM = 4_096
MOST_FIELDS = 50
LONGEST_QUERY = 80
DAY_S = 86_400
CHOICE_KEPT_S = 180 * DAY_S
NOTE_KEPT_S = 60

HERO = "homepage-hero"
REMINDER = "cart-reminder"

_LOCAL_PATH = re.compile(r"/(?![/\\])[\w/.?=&%+-]*", re.ASCII)
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\.[^@\s]{2,}")
_COUPON = re.compile(r"[A-Z0-9-]{1,20}")

_templates = Jinja2Templates(FOLDER / "templates")
_templates.env.filters |= {
    "iso": lambda instant: _utc(instant).isoformat(timespec="seconds"),
    "moment": lambda instant: f"{_utc(instant):%d %b %H:%M} UTC",
}


@asynccontextmanager
async def storefront(segue_url: str) -> AsyncIterator[ASGIApp]:
    """The shop, as the site of the Segue that answers at this address."""
    async with Client.connected(segue_url) as client:
        yield application(Cms(client))


def application(cms: Cms) -> ASGIApp:
    """The shop, in front of what it asks of Segue."""
    shop = Shop(cms)
    return Starlette(
        routes=[
            Route("/", shop.home),
            Route("/collections/{id}", shop.collection),
            Route("/products/{id}", shop.product),
            Route("/search", shop.search),
            Route("/cart", shop.cart),
            Route("/cart/add", shop.add, methods=["POST"]),
            Route("/cart/remove", shop.remove, methods=["POST"]),
            Route("/cart/coupon", shop.coupon, methods=["POST"]),
            Route("/checkout", shop.checkout),
            Route("/checkout", shop.order, methods=["POST"]),
            Route("/thanks", shop.thanks),
            Route("/newsletter", shop.subscribe, methods=["POST"]),
            Route("/privacy", shop.privacy),
            Route("/privacy", shop.choose, methods=["POST"]),
            Route("/me/panel", shop.panel),
            Route("/me/segments/{id}/why", shop.why),
            Route("/me/data", shop.data),
            Route("/me/token", shop.token, methods=["POST"]),
            Route("/me/erase", shop.erase, methods=["POST"]),
            Route("/pictures/{id}.svg", picture),
            Mount("/static", StaticFiles(directory=FOLDER / "static")),
        ],
        middleware=[Middleware(Safety)],
        exception_handlers={HTTPException: shop.refused, SegueError: shop.failed},
    )


class Shop:
    """Each page and each form, by what it does."""

    def __init__(self, cms: Cms) -> None:
        self._cms = cms

    async def home(self, request: Request) -> Response:
        return await self._page(
            request,
            "home.html",
            name="Home",
            slots=[HERO],
            heroes=[hero(Shown(variant=variant), Visitor.of(request).cart) for variant in LOOKS],
            usual=hero(Shown(), Visitor.of(request).cart),
            arrivals=COLLECTIONS["new"].products,
        )

    async def collection(self, request: Request) -> Response:
        shown = COLLECTIONS.get(request.path_params["id"])
        if shown is None:
            raise HTTPException(404)
        return await self._page(
            request,
            "collection.html",
            name=shown.name,
            tells=[told.product_list_viewed(shown)],
            collection=shown,
            listed=shown.products,
        )

    async def product(self, request: Request) -> Response:
        product = _product(request.path_params["id"])
        alike = [other for other in products().values() if other.category == product.category and other != product]
        return await self._page(
            request,
            "product.html",
            name=product.name,
            tells=[told.product_viewed(product)],
            product=product,
            listed=alike,
        )

    async def search(self, request: Request) -> Response:
        query = " ".join(request.query_params.get("q", "")[:LONGEST_QUERY].split())
        return await self._page(
            request,
            "search.html",
            name="Search",
            tells=[told.products_searched(query)] if query else [],
            query=query,
            listed=found(query),
        )

    async def cart(self, request: Request) -> Response:
        return await self._page(
            request, "cart.html", name="Cart", tells=[told.cart_viewed(Visitor.of(request).cart)], coupons=coupons()
        )

    async def add(self, request: Request) -> Response:
        """POST product: one more of it."""
        product = _product((await _form(request)).get("product", ""))
        cart = Visitor.of(request).cart.with_one_more(product)
        return _to("/cart", Note("added", {"product": product.id}), cart)

    async def remove(self, request: Request) -> Response:
        """POST product: none of it."""
        product = _product((await _form(request)).get("product", ""))
        cart = Visitor.of(request).cart
        if not cart.holds(product):
            return _to("/cart")
        return _to("/cart", Note("removed", {"product": product.id}), cart.without(product))

    async def coupon(self, request: Request) -> Response:
        """POST coupon: use it; an empty one takes the present one off."""
        coupon = (await _form(request)).get("coupon", "").strip().upper()
        cart = Visitor.of(request).cart
        if not coupon and cart.coupon:
            return _to("/cart", Note("coupon-removed", {"coupon": cart.coupon}), cart.with_coupon(None))
        if coupon in coupons():
            return _to("/cart", Note("coupon-applied", {"coupon": coupon}), cart.with_coupon(coupon))
        return _to("/cart", Note("coupon-denied", {"coupon": coupon}) if _COUPON.fullmatch(coupon) else None)

    async def checkout(self, request: Request) -> Response:
        cart = Visitor.of(request).cart
        if not cart.lines:
            return _to("/cart")
        return await self._page(request, "checkout.html", name="Checkout", tells=[told.checkout_started(cart)])

    async def order(self, request: Request) -> Response:
        """POST: the order is placed. Nothing is paid, and the address goes nowhere."""
        cart = Visitor.of(request).cart
        if not cart.lines:
            return _to("/cart")
        number = f"L-{secrets.token_hex(4).upper()}"
        return _to("/thanks", Note("ordered", {"order": number, "cart": carts.written(cart)}), Cart())

    async def thanks(self, request: Request) -> Response:
        return await self._page(request, "thanks.html", name="Thank you")

    async def subscribe(self, request: Request) -> Response:
        """POST email: the letter. An e-mail address proves nobody, so that a subscriber gets a number of its own: who
        types somebody else's address does not become that person."""
        form = await _form(request)
        email, back = form.get("email", "").strip(), _local(form.get("back", "/"))
        if not _EMAIL.fullmatch(email):
            return _to(back)
        customer = Visitor.of(request).customer or f"customer-{secrets.token_hex(8)}"
        answer = _to(back, Note("subscribed", {"customer": customer, "email": email}))
        _keep(answer, CUSTOMER, customer, CHOICE_KEPT_S)
        return answer

    async def privacy(self, request: Request) -> Response:
        return await self._page(request, "privacy.html", name="Privacy", erased="erased" in request.query_params)

    async def choose(self, request: Request) -> Response:
        """POST purpose=on …: what the visitor allows from now on."""
        form = await _form(request)
        allowed = consent.written(form)
        answer = _to(_local(form.get("back", "/privacy")), Note("chosen", {"allowed": allowed}))
        _keep(answer, CHOICE, allowed, CHOICE_KEPT_S)
        return answer

    async def panel(self, request: Request) -> Response:
        """What Segue knows of who asks, as a part of a page; `?after=` waits for a message."""
        after = request.query_params.get("after", "")[:100] or None
        visitor = Visitor.of(request)
        known = await self._known(visitor, after)
        return _templates.TemplateResponse(request, "known.html", {"visitor": visitor, "known": known})

    async def why(self, request: Request) -> Response:
        """Why who asks is in a segment or not, as a part of a page."""
        visitor = Visitor.of(request)
        if visitor.anonymous_id is None:
            raise HTTPException(404)
        try:
            lines = await self._cms.why(visitor.anonymous_id, request.path_params["id"])
        except NotFound:
            raise HTTPException(404) from None
        return _templates.TemplateResponse(request, "why.html", {"lines": lines})

    async def data(self, request: Request) -> Response:
        """All that is known of who asks, as a file."""
        visitor = Visitor.of(request)
        if visitor.anonymous_id is None:
            raise HTTPException(404)
        known = msgspec.json.format(msgspec.json.encode(await self._cms.export(visitor.anonymous_id)))
        headers = {"content-disposition": 'attachment; filename="what-segue-knows.json"'}
        return Response(known, headers=headers, media_type="application/json")

    async def token(self, request: Request) -> Response:
        """POST: what opens Segue to the browser of who asks, for nobody but them. What segue.js says of who that is, is
        not read."""
        visitor = Visitor.of(request)
        if visitor.anonymous_id is None:
            raise HTTPException(404)
        return Response(msgspec.json.encode(await self._cms.token(visitor.anonymous_id)), media_type="application/json")

    async def erase(self, request: Request) -> Response:
        """POST: forget who asks, here and in Segue."""
        visitor = Visitor.of(request)
        if visitor.anonymous_id is not None:
            await self._cms.erase(visitor.anonymous_id)
        answer = _to("/privacy?erased=yes")
        for name in COOKIES:
            answer.delete_cookie(name)
        return answer

    async def refused(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        return await self._page(request, "refused.html", name="Not here", status=status)

    async def failed(self, _request: Request, _error: Exception) -> Response:
        """Of the parts of a page alone: a page itself does without Segue."""
        return Response("Segue does not answer at the moment.", 503, {"retry-after": "1"}, "text/plain")

    async def _page(
        self,
        request: Request,
        template: str,
        *,
        name: str,
        slots: Sequence[str] = (),
        tells: Sequence[Told] = (),
        status: int = 200,
        **shown: Any,
    ) -> Response:
        visitor = Visitor.of(request)
        decided, known = await asyncio.gather(
            self._cms.decide(visitor.anonymous_id, [*slots, REMINDER], visitor.last_message),
            self._known(visitor),
        )
        shown_hero = hero(decided[HERO], visitor.cart) if HERO in decided else None
        seen = [told.promotion_viewed(HERO, shown_hero.variant, shown_hero.headline)] if shown_hero else []
        content = {
            "name": name,
            "visitor": visitor,
            "known": known,
            "tells": [*tells, *seen, *(visitor.said.told if visitor.said else ())],
            "hero": shown_hero,
            "reminder": decided[REMINDER].content if visitor.cart.lines else None,
            "back": request.url.path if request.method == "GET" and status == 200 else "/",
        }
        return _templates.TemplateResponse(request, template, _EVERYWHERE | content | shown, status)

    async def _known(self, visitor: Visitor, after: str | None = None) -> Known | None:
        """What Segue knows; None if it does not answer."""
        try:
            return await self._cms.known(visitor.anonymous_id, after)
        except SegueError:
            return None


_EVERYWHERE: dict[str, Any] = {
    "categories": CATEGORIES,
    "purposes": PURPOSES,
    "told": told,
    "write_key": DEMO_WRITE_KEY,
}


async def picture(request: Request) -> Response:
    """A product's picture, drawn."""
    product = _product(request.path_params["id"])
    return _templates.TemplateResponse(
        request,
        f"pictures/{product.drawing}.svg",
        {"product": product},
        headers={"cache-control": "public, max-age=3600"},
        media_type="image/svg+xml",
    )


def _utc(instant: int) -> datetime:
    return datetime.fromtimestamp(instant / 1_000, UTC)


def _product(id_: str) -> Product:
    product = products().get(id_)
    if product is None:
        raise HTTPException(404)
    return product


async def _form(request: Request) -> Mapping[str, str]:
    """The fields of a small form, the last of each name."""
    body = await capped_body(request, LARGEST_FORM)
    if len(body) > LARGEST_FORM:
        raise HTTPException(413)
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise HTTPException(400) from None
    return {name: values[-1] for name, values in fields.items()}


def _local(path: str) -> str:
    """The path, if it is one of this site; else the home page."""
    return path if _LOCAL_PATH.fullmatch(path) else "/"


def _to(path: str, note: Note | None = None, cart: Cart | None = None) -> Response:
    """On to a page, with what it should say, and the cart as it is now."""
    answer = RedirectResponse(path, 303)
    if note is not None:
        _keep(answer, NOTE, notes.written(note), NOTE_KEPT_S, httponly=False)
    if cart is not None:
        _keep(answer, CART, carts.written(cart), DAY_S * 7)
    return answer


def _keep(answer: Response, name: str, value: str, seconds: int, *, httponly: bool = True) -> None:
    answer.set_cookie(name, value, max_age=seconds, httponly=httponly, samesite="lax")
