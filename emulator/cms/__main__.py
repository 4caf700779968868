"""The magazine as a process of its own, on a socket that listens already."""

import asyncio
import logging
import os
import socket
from pathlib import Path

import click
import django
from django.conf import settings as django_settings
from django.core.management import call_command

from emulator.beside import address
from emulator.cms.settings import Site, settings
from emulator.server import serve


@click.command()
@click.option("--socket", "descriptor", type=int, required=True, help="The file descriptor of a listening socket.")
@click.option("--segue", required=True, help="Where Segue answers.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), required=True)
def main(descriptor: int, segue: str, data: Path) -> None:
    """Serve until asked to end, with the demo's keys or those of SEGUE_WRITE_KEY and SEGUE_SECRET_KEY."""
    listener = socket.socket(fileno=descriptor)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    site = Site(
        url=address(listener),
        segue=segue,
        data=data,
        write_key=os.environ.get("SEGUE_WRITE_KEY", "demo-write-key"),
        secret_key=os.environ.get("SEGUE_SECRET_KEY", "demo-secret-key"),
    )
    django_settings.configure(**settings(site))
    django.setup()
    logging.getLogger("django").setLevel(logging.ERROR)
    call_command("migrate", verbosity=0)
    from django.core.asgi import get_asgi_application

    from emulator.cms import asked, first

    asked.connect(site.segue, site.secret_key)
    password = first.begin()
    login = f"log in as {first.EDITOR} with {password}, which is said only once" if password else "log in as before"
    click.echo(f"The magazine is open at {site.url}/ and its editors' desk at {site.url}/admin/: {login}")
    asyncio.run(serve(get_asgi_application(), listener))


if __name__ == "__main__":
    main()
