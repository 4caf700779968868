"""What an operator's command works on: a running platform by its address, a folder, or a deployment on Google Cloud."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeAlias

from emulator import failed
from emulator.client import Client
from emulator.deployment import at_project
from emulator.failed import Record
from emulator.host import subscriptions
from emulator.options import Place
from functions.evaluate.past import Past, past
from functions.evaluate.rebuild import Known, profiles, rebuild
from functions.evaluate.restore import restored
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.system import SystemClock
from segue.adapters.web import WebHttp, WebObjects
from segue.catalogs import Catalogs
from segue.domain.errors import NotFound, SegueError, Unavailable
from segue.domain.membership import Transition
from segue.domain.profile import ProfileRef, profile_key
from segue.ports import Ports

TOGETHER = 100
"""Profiles whose histories are looked up, and which are folded, at once."""

Rebuilt: TypeAlias = Sequence[Transition] | SegueError
"""What is announced of a profile that was folded anew; or why it was not, such as what the archive lacks of it."""


class Operated(Protocol):
    """A platform in an operator's hands."""

    async def failed(self) -> Sequence[Record]:
        """Every message that was given up, the oldest first."""
        ...

    async def replay_failed(self, id_: str) -> None:
        """Put a message back that was given up. Raises `Rejected` if that could not succeed."""
        ...

    async def keys(self, wanted: Sequence[ProfileRef]) -> Mapping[str, str]:
        """The keys of these profiles by what they are called. Raises `NotFound` for one that there is not."""
        ...

    async def everybody(self) -> Mapping[str, str]:
        """The keys of all profiles by what they are called; where it can be, also of those that only the archive has,
        and then the store knows by now who is whom."""
        ...

    def rebuild(self, keys: Sequence[str]) -> AsyncIterator[Rebuilt]:
        """Fold these profiles anew; what came of each, in the same order."""
        ...


class Direct:
    """A platform through its ports: what is announced waits in its queues, or goes to its functions at once."""

    def __init__(self, ports: Ports, secret: bytes | None = None) -> None:
        self._ports = ports
        self._secret = secret
        self._catalogs = Catalogs(ports.catalog, ports.clock)
        self._known: Mapping[str, Known] = {}

    async def failed(self) -> Sequence[Record]:
        return await failed.records(self._ports)

    async def replay_failed(self, id_: str) -> None:
        await failed.replay(self._ports, id_)

    async def keys(self, wanted: Sequence[ProfileRef]) -> Mapping[str, str]:
        if self._secret:
            return {str(profile): profile_key(self._secret, profile) for profile in wanted}
        return _chosen(wanted, await profiles(self._ports))

    async def everybody(self) -> Mapping[str, str]:
        self._known = await restored(self._ports, self._catalogs)
        archived = {str(known.profile): key for key, known in self._known.items()}
        return archived | {name: key for key, name in await profiles(self._ports)}

    async def rebuild(self, keys: Sequence[str]) -> AsyncIterator[Rebuilt]:
        for first in range(0, len(keys), TOGETHER):
            together = keys[first : first + TOGETHER]
            found = await past(self._ports.archive, together)
            for rebuilt in await asyncio.gather(*(self._rebuilt(key, found) for key in together)):
                yield rebuilt

    async def _rebuilt(self, key: str, found: Past) -> Rebuilt:
        try:
            return await rebuild(self._ports, self._catalogs, key, self._known.get(key), found)
        except (NotFound, Unavailable) as error:
            return error


class Running:
    """A platform by its address, which answers for it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def failed(self) -> Sequence[Record]:
        return await self._client.failed()

    async def replay_failed(self, id_: str) -> None:
        await self._client.replay_failed(id_)

    async def keys(self, wanted: Sequence[ProfileRef]) -> Mapping[str, str]:
        return _chosen(wanted, await self._client.profiles())

    async def everybody(self) -> Mapping[str, str]:
        return {name: key for key, name in await self._client.profiles()}

    async def rebuild(self, keys: Sequence[str]) -> AsyncIterator[Rebuilt]:
        for key in keys:
            try:
                yield await self._client.rebuild(key)
            except (NotFound, Unavailable) as error:
                yield error


def _chosen(wanted: Sequence[ProfileRef], there: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    keys = {name: key for key, name in there}
    for profile in wanted:
        if str(profile) not in keys:
            raise NotFound(f"{profile}: there is no such profile")
    return {str(profile): keys[str(profile)] for profile in wanted}


def at(place: Place) -> AbstractAsyncContextManager[Operated]:
    """The platform of a place, for as long as the block lasts. Raises `Unavailable` or `NotFound` if there is none."""
    if place.deployment is not None:
        return _direct(at_project(place.deployment), os.environ.get("SEGUE_PROFILE_SECRET"))
    if place.data is not None:
        return _direct(_in_folder(place.data))
    return _at_address(place.url, place.key)


@asynccontextmanager
async def _at_address(url: str, key: str) -> AsyncIterator[Operated]:
    async with Client.connected(url, secret_key=key) as client:
        yield Running(client)


@asynccontextmanager
async def _direct(opened: AbstractAsyncContextManager[Ports], secret: str | None = None) -> AsyncIterator[Operated]:
    async with opened as ports:
        yield Direct(ports, secret.encode() if secret else None)


@asynccontextmanager
async def _in_folder(data: Path) -> AsyncIterator[Ports]:
    """Raises `NotFound` if the folder is no platform's, and `Unavailable` while a platform runs there. Where documents
    and queues are lost, new ones are made."""
    if not ((data / "segue.db").exists() or (data / "archive").exists()):
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
