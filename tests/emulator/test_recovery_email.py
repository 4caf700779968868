"""The example receiver: one transition, one e-mail, and nobody who is not Segue can have one sent."""

import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from click.testing import CliRunner

from emulator.recovery_email.__main__ import main
from emulator.recovery_email.mail import Customer, Shop
from emulator.recovery_email.receiver import Receiver
from emulator.recovery_email.sent import Sent
from emulator.recovery_email.signature import is_genuine
from tests.contracts.receiver import serving
from tests.journeys.killed import free_port

SECRET = "a secret that signs"  # noqa: S105 (of these tests alone)
CUSTOMERS = {
    "ada": Customer("ada@example.com", "Ada <b>", ["Marlow dress", "<script>alert(1)</script>"]),
    "eve": Customer("eve@example.com\r\nBcc: all@example.com", "Eve", []),
}


class Mailbox:
    """A mail server of this machine: what it was given, what it answers, and whom it does not know."""

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.answers = "250 OK"
        self.unknown: set[str] = set()
        self.port = free_port()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's)
        assert isinstance(envelope.content, bytes)
        if self.answers.startswith("250"):
            self.received.append(message_from_bytes(envelope.content, policy=policy.default))
        return self.answers

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.unknown:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"


@contextmanager
def delivering() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with delivering() as mailbox:
        yield mailbox


@pytest.fixture
async def url(mailbox: Mailbox, tmp_path: Path) -> AsyncIterator[str]:
    shop = Shop("shop@example.com", "https://shop.example.com/cart?a=1&b=2")
    sent = Sent(tmp_path / "sent.db")
    receiver = Receiver(SECRET, shop, ("127.0.0.1", mailbox.port), sent, CUSTOMERS.get)
    async with serving(receiver.app) as url:
        yield f"{url}segue"


async def post(url: str, key: str = "k:1:mail", sent_ago: float = 0, secret: str = SECRET, **said: Any) -> int:
    delivery = {"profile": {"user_id": "ada"}, "segment": "cart-abandoner", "transition": "entered", "seq": 1, **said}
    body, timestamp = msgspec.json.encode(delivery), str(int(time.time() - sent_ago))
    signature = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Segue-Timestamp": timestamp, "Segue-Signature": f"v1={signature}", "Idempotency-Key": key}
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.post(url, content=body, headers=headers)).status_code


async def test_a_transition_that_comes_three_times_is_one_e_mail(url: str, mailbox: Mailbox) -> None:
    assert [await post(url) for _ in range(3)] == [204, 204, 204]
    (message,) = mailbox.received
    assert (message["To"], message["From"]) == ('"Ada <b>" <ada@example.com>', "shop@example.com")
    assert await post(url, key="k:9:mail", seq=9) == 204
    assert len({each["Message-ID"] for each in mailbox.received}) == 2


async def test_a_transition_that_comes_again_under_another_key_is_the_same(url: str, mailbox: Mailbox) -> None:
    assert [await post(url, key=key) for key in ("k:1:mail", "k:2:mail")] == [204, 204]
    assert len(mailbox.received) == 1


async def test_the_e_mail_is_text_and_html_that_is_escaped(url: str, mailbox: Mailbox) -> None:
    await post(url)
    text, html = (part.get_content() for part in mailbox.received[0].iter_parts())
    assert "- Marlow dress" in text
    assert "<script>" in text
    assert "<li>&lt;script&gt;alert(1)&lt;/script&gt;</li>" in html
    assert "Hello Ada &lt;b&gt;" in html
    assert "cart?a=1&amp;b=2" in html


async def test_what_the_mail_server_does_not_take_is_asked_for_again(url: str, mailbox: Mailbox) -> None:
    mailbox.answers = "451 try again later"
    assert await post(url) == 503
    mailbox.answers = "250 OK"
    assert await post(url) == 204
    assert len(mailbox.received) == 1


async def test_what_the_mail_server_will_never_take_is_given_up_until_somebody_puts_it_back(
    url: str, mailbox: Mailbox
) -> None:
    mailbox.answers = "554 this is spam"
    assert await post(url) == 422
    mailbox.answers, mailbox.unknown = "250 OK", {"ada@example.com"}
    assert await post(url) == 422
    mailbox.unknown = set()
    assert await post(url) == 204
    assert len(mailbox.received) == 1


@pytest.mark.parametrize(
    "delivery",
    [
        {"secret": "another secret"},
        {"sent_ago": 360},
        {"sent_ago": -360},
    ],
    ids=str,
)
async def test_nobody_else_can_have_it_sent_nor_again_later(delivery: Any, url: str, mailbox: Mailbox) -> None:
    assert await post(url, **delivery) == 401
    assert mailbox.received == []


async def test_who_bought_meanwhile_or_is_unknown_or_elsewhere_gets_none(url: str, mailbox: Mailbox) -> None:
    assert await post(url, seq=5, transition="exited") == 204
    assert await post(url, seq=4) == 204
    assert await post(url, key="k:2:mail", profile={"user_id": "nobody"}) == 204
    assert await post(url, key="k:3:mail", profile={"anonymous_id": "ada"}) == 204
    assert await post(url, key="k:4:mail", segment="buyer", seq=9) == 204
    assert mailbox.received == []


async def test_an_address_that_would_bring_headers_along_is_not_written_to(url: str, mailbox: Mailbox) -> None:
    assert await post(url, profile={"user_id": "eve"}) == 422
    assert mailbox.received == []


@pytest.mark.parametrize(
    ("customers", "options", "said"),
    [
        ("{", (), "customers.json: expected customers by their ids"),
        ('{"ada": {"email": "ada@example.com"}}', (), "customers.json: expected customers by their ids"),
        ("\x00", (), "customers.json: expected customers by their ids"),
        ("{}", ("--smtp", "127.0.0.1"), "expected host:port, found '127.0.0.1'"),
    ],
)
def test_what_it_cannot_begin_with_is_named(tmp_path: Path, customers: str, options: Sequence[str], said: str) -> None:
    file = tmp_path / "customers.json"
    file.write_text(customers)
    arguments = [str(file), "--sent", str(tmp_path / "sent.db"), *options]
    done = CliRunner().invoke(main, arguments, env={"RECOVERY_SECRET": SECRET})
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1.5", "9" * 5_000, "²"])
def test_what_says_no_instant_is_not_genuine(timestamp: str) -> None:
    assert not is_genuine(SECRET, timestamp, "v1=", b"", time.time())


async def test_what_is_no_delivery_is_refused(url: str) -> None:
    assert await post(url, seq="one") == 400
    assert await post(url, key="") == 400
    assert await post(url, filling="x" * 70_000) == 413
