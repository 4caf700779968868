"""`python -m emulator.recovery_email`: the receiver on an address of this machine."""

import os
from pathlib import Path

import click
import msgspec
import uvicorn

from emulator.recovery_email.mail import Customer, Shop
from emulator.recovery_email.receiver import Receiver
from emulator.recovery_email.sent import Sent


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("customers", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--port", type=click.IntRange(0, 65_535), default=8090, show_default=True)
@click.option("--smtp", default="127.0.0.1:1025", show_default=True, help="The mail server.")
@click.option("--sender", default="shop@example.com", show_default=True)
@click.option("--cart-url", default="http://127.0.0.1:8080/cart", show_default=True)
@click.option(
    "--sent",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("sent.db"),
    show_default=True,
    help="Where it is put down what was sent.",
)
def main(customers: Path, port: int, smtp: str, sender: str, cart_url: str, sent: Path) -> None:
    """Take webhooks at /segue and write to customers who left a cart.

    CUSTOMERS is a JSON object from the shop's id of each to {"email", "name", "cart": [names of products]}. The secret
    that signs the webhooks is in RECOVERY_SECRET.
    """
    secret = os.environ.get("RECOVERY_SECRET")
    if not secret:
        raise click.UsageError("RECOVERY_SECRET: expected the secret that signs the webhooks, found nothing")
    known = msgspec.json.decode(customers.read_bytes(), type=dict[str, Customer])
    host, _, smtp_port = smtp.rpartition(":")
    receiver = Receiver(secret, Shop(sender, cart_url), (host, int(smtp_port)), Sent(sent), known.get)
    uvicorn.run(receiver.app, host="127.0.0.1", port=port, log_level="warning")


main()
