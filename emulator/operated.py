"""What an operator's command works on: a running platform by its address, a folder, or a deployment on Google Cloud."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

from emulator import failed
from emulator.client import Client
from emulator.deployment import at_project
from emulator.failed import Record
from emulator.host import subscriptions
from emulator.options import Place
from functions.evaluate.rebuild import profiles, rebuild
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.system import SystemClock
from segue.adapters.web import WebHttp, WebObjects
from segue.catalogs import Catalogs
from segue.domain.errors import NotFound
from segue.domain.membership import Transition
from segue.ports import Ports


class Operated(Protocol):
    """A platform in an operator's hands."""

    async def failed(self) -> Sequence[Record]:
        """Every message that was given up, the oldest first."""
        ...

    async def replay_failed(self, id_: str) -> None:
        """Put a message back that was given up. Raises `Rejected` if that could not succeed."""
        ...

    async def profiles(self) -> Sequence[tuple[str, str]]:
        """The key of every profile, and who it is."""
        ...

    async def rebuild(self, key: str) -> Sequence[Transition]:
        """Fold a profile anew; what is announced of it."""
        ...


class Direct:
    """A platform through its ports: what is announced waits in its queues, or goes to its functions at once."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._catalogs = Catalogs(ports.catalog, ports.clock)

    async def failed(self) -> Sequence[Record]:
        return await failed.records(self._ports)

    async def replay_failed(self, id_: str) -> None:
        await failed.replay(self._ports, id_)

    async def profiles(self) -> Sequence[tuple[str, str]]:
        return await profiles(self._ports)

    async def rebuild(self, key: str) -> Sequence[Transition]:
        return await rebuild(self._ports, self._catalogs, key)


def at(place: Place) -> AbstractAsyncContextManager[Operated]:
    """The platform of a place, for as long as the block lasts. Raises `Unavailable` or `NotFound` if there is none."""
    if place.deployment is not None:
        return _direct(at_project(place.deployment))
    if place.data is not None:
        return _direct(_in_folder(place.data))
    return _at_address(place.url, place.key)


@asynccontextmanager
async def _at_address(url: str, key: str) -> AsyncIterator[Operated]:
    async with Client.connected(url, secret_key=key) as client:
        yield client


@asynccontextmanager
async def _direct(opened: AbstractAsyncContextManager[Ports]) -> AsyncIterator[Operated]:
    async with opened as ports:
        yield Direct(ports)


@asynccontextmanager
async def _in_folder(data: Path) -> AsyncIterator[Ports]:
    """Raises `NotFound` if the folder is no platform's, and `Unavailable` while a platform runs there."""
    if not (data / "segue.db").exists():
        raise NotFound(f"{data}: expected the data folder of a platform")
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        opened = EmbeddedPlatform.open(data, clock, [*subscriptions()])
        stack.push_async_callback(opened.close)
        http = WebHttp()
        stack.push_async_callback(http.close)
        yield Ports(
            store=opened.store,
            bus=opened.bus,
            archive=opened.archive,
            catalog=opened.catalog,
            http=http,
            objects=WebObjects({}),
            clock=clock,
        )
