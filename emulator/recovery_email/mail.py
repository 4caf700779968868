"""The e-mail: text and HTML, and its way to the SMTP server."""

import hashlib
import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

TIMEOUT_S = 4.0
"""Below the 5 seconds after which Segue takes no answer for a failure."""

FINAL = 500
"""The first of the codes by which a mail server refuses for good."""

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
)


@dataclass(frozen=True)
class Customer:
    """What the shop itself knows of a customer: how to reach them, and what lies in their cart."""

    email: str
    name: str
    cart: Sequence[str]


@dataclass(frozen=True)
class Shop:
    """Who writes, and where the cart is."""

    sender: str
    cart_url: str


def reminder(shop: Shop, customer: Customer, key: str, now: float) -> EmailMessage:
    """The e-mail for a delivery with this key, by which it is named, so that a copy can be told. Raises ValueError for
    an address that is none."""
    said = {"name": customer.name, "cart": customer.cart, "cart_url": shop.cart_url}
    sender, receiver = Address(addr_spec=shop.sender), Address(customer.name, addr_spec=customer.email)
    message = EmailMessage()
    message["From"] = sender
    message["To"] = receiver
    message["Subject"] = "Still thinking it over?"
    message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    message["Message-ID"] = f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_templates.get_template("reminder.txt").render(said))
    message.add_alternative(_templates.get_template("reminder.html").render(said), subtype="html")
    return message


def is_final(error: smtplib.SMTPException | OSError) -> bool:
    """Whether the mail server said that it will never take this e-mail (5xx), rather than not now."""
    refused = error.recipients.values() if isinstance(error, smtplib.SMTPRecipientsRefused) else ()
    codes = [code for code, _ in refused] or [getattr(error, "smtp_code", 0)]
    return min(codes) >= FINAL


def send(message: EmailMessage, host: str, port: int) -> None:
    """Hand the e-mail to the server. Raises OSError or SMTPException if it was not taken."""
    with smtplib.SMTP(host, port, timeout=TIMEOUT_S) as server:
        server.send_message(message)
