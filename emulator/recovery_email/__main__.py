"""`python -m emulator.recovery_email`: the receiver on an address of this machine."""

import os
from collections.abc import Mapping
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
    receiver = Receiver(secret, Shop(sender, cart_url), _address(smtp), Sent(sent), _known(customers).get)
    uvicorn.run(receiver.app, host="127.0.0.1", port=port, log_level="warning")


def _address(smtp: str) -> tuple[str, int]:
    host, _, port = smtp.rpartition(":")
    if not (host and port.isascii() and port.isdigit()):
        raise click.BadParameter(f"expected host:port, found {smtp!r}", param_hint="--smtp")
    return host, int(port)


def _known(customers: Path) -> Mapping[str, Customer]:
    try:
        return msgspec.json.decode(customers.read_bytes(), type=dict[str, Customer])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise click.BadParameter(
            f"{customers}: expected customers by their ids: {error}", param_hint="CUSTOMERS"
        ) from None


if __name__ == "__main__":
    main()
