"""Takes Segue's webhooks: one e-mail for each entry into *Cart abandoner*, however often it is delivered."""

import logging
import smtplib
import time
from collections.abc import Callable
from http import HTTPStatus

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.recovery_email.mail import Customer, Shop, is_final, reminder, send
from emulator.recovery_email.sent import Sent
from emulator.recovery_email.signature import is_genuine

SEGMENT = "cart-abandoner"
LARGEST_BODY = 65_536

_logger = logging.getLogger(__name__)


class Delivery(msgspec.Struct, frozen=True):
    """Of a webhook's body, what is needed here."""

    profile: dict[str, str]
    segment: str
    transition: str
    seq: int


class Receiver:
    """`customer` finds whom an id of the shop belongs to; None: nobody, or they want no such e-mail."""

    def __init__(
        self, secret: str, shop: Shop, smtp: tuple[str, int], sent: Sent, customer: Callable[[str], Customer | None]
    ) -> None:
        self._secret = secret
        self._shop = shop
        self._smtp = smtp
        self._sent = sent
        self._customer = customer
        self.app = Starlette(routes=[Route("/segue", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        """204: it is done, or there is nothing to do. 503: to be sent again. Anything else will never be right, and
        Segue keeps it among its failed events: once the reason is gone, it can be sent again from there."""
        body = await _capped(request)
        if body is None:
            return Response(status_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        headers = request.headers
        timestamp, signature = headers.get("segue-timestamp", ""), headers.get("segue-signature", "")
        if not is_genuine(self._secret, timestamp, signature, body, time.time()):
            return Response(status_code=HTTPStatus.UNAUTHORIZED)
        key = headers.get("idempotency-key")
        try:
            delivery = msgspec.json.decode(body, type=Delivery)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        if not key:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        return Response(status_code=await run_in_threadpool(self._work, delivery, key))

    def _work(self, delivery: Delivery, key: str) -> HTTPStatus:
        if delivery.segment != SEGMENT:
            return HTTPStatus.NO_CONTENT
        visitor = str(sorted(delivery.profile.items()))
        outdated = self._sent.is_outdated(visitor, delivery.seq)
        customer = self._customer(delivery.profile.get("user_id", ""))
        if delivery.transition != "entered" or outdated or customer is None:
            return HTTPStatus.NO_CONTENT
        transition = f"{visitor} {delivery.seq}"  # is signed, as the Idempotency-Key is not
        return self._write(customer, key, transition) if self._sent.claim(transition) else HTTPStatus.NO_CONTENT

    def _write(self, customer: Customer, key: str, transition: str) -> HTTPStatus:
        """Whoever is cut short in here keeps the transition: rather no e-mail than two."""
        try:
            send(reminder(self._shop, customer, key, time.time()), *self._smtp)
        except ValueError:
            _logger.warning("%s: the address is none that can be written to", key)
            status = HTTPStatus.UNPROCESSABLE_ENTITY
        except (OSError, smtplib.SMTPException) as error:
            _logger.warning("%s: the mail server did not take it: %s", key, type(error).__name__)
            status = HTTPStatus.UNPROCESSABLE_ENTITY if is_final(error) else HTTPStatus.SERVICE_UNAVAILABLE
        else:
            return HTTPStatus.NO_CONTENT
        self._sent.release(transition)
        return status


async def _capped(request: Request) -> bytes | None:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            return None
    return body
