"""Profiles folded anew from the archive: on a running platform through its address, else in its folder."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from emulator.client import Client
from emulator.host import subscriptions
from functions.evaluate.rebuild import profiles, rebuild
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.system import SystemClock
from segue.adapters.web import WebHttp, WebObjects
from segue.catalogs import Catalogs
from segue.domain.errors import NotFound
from segue.domain.membership import Transition
from segue.ports import Ports


class Rebuilding(Protocol):
    """Where profiles are folded anew."""

    async def profiles(self) -> Sequence[tuple[str, str]]:
        """The key of every profile, and who it is."""
        ...

    async def rebuild(self, key: str) -> Sequence[Transition]:
        """Fold a profile anew; what is announced of it."""
        ...


class Folder:
    """The data folder of a platform that is not running; what is announced waits in its queues."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._catalogs = Catalogs(ports.catalog, ports.clock)

    async def profiles(self) -> Sequence[tuple[str, str]]:
        return await profiles(self._ports)

    async def rebuild(self, key: str) -> Sequence[Transition]:
        return await rebuild(self._ports, self._catalogs, key)


@asynccontextmanager
async def in_folder(data: Path) -> AsyncIterator[Rebuilding]:
    """Raises `NotFound` if the folder is no platform's, and `Unavailable` while a platform runs there."""
    if not (data / "segue.db").exists():
        raise NotFound(f"{data}: expected the data folder of a platform")
    clock = SystemClock()
    opened = EmbeddedPlatform.open(data, clock, [*subscriptions()])
    http = WebHttp()
    try:
        yield Folder(
            Ports(
                store=opened.store,
                bus=opened.bus,
                archive=opened.archive,
                catalog=opened.catalog,
                http=http,
                objects=WebObjects({}),
                clock=clock,
            )
        )
    finally:
        await http.close()
        await opened.close()


@asynccontextmanager
async def at_address(url: str, key: str) -> AsyncIterator[Rebuilding]:
    """Raises `Unavailable` if nothing answers there."""
    async with Client.connected(url, secret_key=key) as client:
        yield client
