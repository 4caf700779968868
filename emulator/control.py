"""What a platform on a laptop answers besides its functions: time, quiet, what was announced, what was given up.

Only for `segue run`, on the loopback address; the cloud has none of it. All of it wants the secret key of a source.
"""

import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from emulator import failed, ledger, membership_log
from functions.evaluate.rebuild import profiles, rebuild
from segue import entrypoint
from segue.catalogs import Catalogs
from segue.domain import strict
from segue.domain.errors import NotFound, Unauthorized
from segue.domain.message import MEMBERSHIPS, TICK, TICKS, MembershipChanged, Tick
from segue.ports import Message, Ports

if TYPE_CHECKING:
    from emulator.traces import Traces

SOURCE = "//segue/laptop"

LARGEST_BODY = 10_000


class Control:
    """The answers. `settle` returns once nothing is on its way any more, what the given ticks led to included. `traces`
    are those that are kept, if any are."""

    def __init__(
        self,
        ports: Ports,
        catalogs: Catalogs,
        settle: Callable[[Sequence[Tick]], Awaitable[None]],
        traces: "Traces | None" = None,
    ) -> None:
        self._ports = ports
        self._catalogs = catalogs
        self._settle = settle
        self._traces = traces
        self._ticks: list[Tick] = []

    def routes(self) -> Sequence[Route]:
        return [
            Route("/_segue/tick", self._admitted(self._tick), methods=["POST"]),
            Route("/_segue/settle", self._admitted(self._settled), methods=["POST"]),
            Route("/_segue/memberships", self._admitted(self._memberships), methods=["GET"]),
            Route("/_segue/ledger", self._admitted(self._ledger), methods=["GET"]),
            Route("/_segue/settings", self._admitted(self._settings), methods=["GET"]),
            Route("/_segue/failed", self._admitted(self._failed), methods=["GET"]),
            Route("/_segue/failed/{id}/replay", self._admitted(self._replay_failed), methods=["POST"]),
            Route("/_segue/traces/{message:path}", self._admitted(self._trace), methods=["GET"]),
            Route("/_segue/profiles", self._admitted(self._profiles), methods=["GET"]),
            Route("/_segue/profiles/{key}/rebuild", self._admitted(self._rebuild), methods=["POST"]),
        ]

    def _admitted(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def admitted(request: Request) -> Response:
            catalog = (await self._catalogs.current()).catalog
            if catalog.source_of_secret_key(_basic_user(request)) is None:
                raise Unauthorized("expected the secret key of a source, as Basic user name")
            return await answer(request)

        return admitted

    async def _tick(self, request: Request) -> Response:
        """POST {"at", "clock"}: let time come to `at`."""
        tick = strict.decode(await entrypoint.capped_body(request, LARGEST_BODY), Tick)
        now = self._ports.clock.now()
        message = Message(id=uuid4().hex, type=TICK, source=SOURCE, time=now, data=msgspec.json.encode(tick))
        await self._ports.bus.publish(TICKS, [message])
        self._ticks.append(msgspec.structs.replace(tick, at=now if tick.at is None else tick.at))
        return _json({})

    async def _settled(self, _request: Request) -> Response:
        """POST: answers once nothing is on its way any more."""
        ticks, self._ticks = self._ticks, []
        await self._settle(ticks)
        return _json({})

    async def _memberships(self, _request: Request) -> Response:
        """The membership log in its normal form, as JSON lines."""
        archived = [
            msgspec.json.decode(message.data, type=MembershipChanged)
            async for message in self._ports.archive.read(MEMBERSHIPS)
        ]
        log = membership_log.normalised(membership_log.lines(archived))
        return StreamingResponse(_streamed(log), media_type="application/x-ndjson")

    async def _ledger(self, _request: Request) -> Response:
        """What became of every event."""
        return _json(await ledger.ledger(self._ports))

    async def _settings(self, _request: Request) -> Response:
        """The catalogue's settings, durations in ms."""
        return _json((await self._catalogs.current()).catalog.settings.model_dump())

    async def _failed(self, _request: Request) -> Response:
        """Every message that was given up, the oldest first."""
        return _json(await failed.records(self._ports))

    async def _replay_failed(self, request: Request) -> Response:
        """POST: put one of them back."""
        await failed.replay(self._ports, request.path_params["id"])
        return _json({})

    async def _trace(self, request: Request) -> Response:
        """The spans of the newest trace that a message is in."""
        if self._traces is None:
            raise NotFound("no traces are kept here: `segue run --trace` does")
        return _json(self._traces.of(request.path_params["message"]))

    async def _profiles(self, _request: Request) -> Response:
        """The key of every profile and who it is, as pairs."""
        return _json(await profiles(self._ports))

    async def _rebuild(self, request: Request) -> Response:
        """POST: fold a profile anew from the archive; what is announced of it."""
        return _json(await rebuild(self._ports, self._catalogs, request.path_params["key"]))


async def _streamed(log: Sequence[membership_log.Line]) -> AsyncIterator[bytes]:
    for line in membership_log.encoded(log):
        yield line


def _basic_user(request: Request) -> str:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    try:
        user, _, _ = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return user if scheme.lower() == "basic" else ""


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
