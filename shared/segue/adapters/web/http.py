"""Calls to addresses that users configure, so that none reaches what only this network should reach.

Redirects are answers like any other.
"""

import asyncio
from collections.abc import Iterable, Mapping

import httpcore
import httpx

from segue.adapters.web.vetting import Resolve, resolve, vetted
from segue.domain.errors import Rejected, Unavailable

LONGEST_ANSWER = 65_536
"""Bytes of an answer's body that are read before the connection is given up; nobody looks at them."""
LAST_PORT = 65_535


class WebHttp:
    """`ports.Http`. It belongs to the event loop of its first call.

    `allow_private` is for a laptop: any address and plain http too. `resolve` and `network` are the system's unless a
    test or a proxy brings its own.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        resolve: Resolve = resolve,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._schemes = ("https", "http") if allow_private else ("https",)
        vetting = _VettedNetwork(network or httpcore.AnyIOBackend(), resolve, allow_private)
        self._pool = httpcore.AsyncConnectionPool(network_backend=vetting, max_connections=100, keepalive_expiry=30.0)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> int:
        target = self._target(url)
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._pool.stream("POST", target, headers=sent, content=body) as answer,
            ):
                await _read(answer)
                return answer.status
        except (TimeoutError, httpcore.TimeoutException):
            raise Unavailable(f"{_place(target)} gave no answer in {timeout_s:g} s") from None
        except httpcore.LocalProtocolError as error:
            raise Rejected(f"{_place(target)} cannot be asked this: {error}") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise Unavailable(f"{_place(target)} does not answer: {type(error).__name__}") from error

    async def close(self) -> None:
        await self._pool.aclose()

    def _target(self, url: str) -> httpcore.URL:
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise Rejected(f"{url!r:.200} is not a URL: {error}") from None
        if parsed.scheme not in self._schemes or not parsed.host or parsed.userinfo or (parsed.port or 0) > LAST_PORT:
            raise Rejected(f"expected {' or '.join(self._schemes)}://, a host and at most a port, found {url!r:.200}")
        return httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)


class _VettedNetwork(httpcore.AsyncNetworkBackend):
    def __init__(self, network: httpcore.AsyncNetworkBackend, resolve: Resolve, allow_private: bool) -> None:
        self._network = network
        self._resolve = resolve
        self._allow_private = allow_private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        error: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in await vetted(host, port, self._resolve, self._allow_private):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as refused:
                error = refused
        raise error


async def _read(answer: httpcore.Response) -> None:
    """Read a short body to its end, so that the connection can serve the next call; give up on a long one."""
    read = 0
    async for chunk in answer.aiter_stream():
        read += len(chunk)
        if read > LONGEST_ANSWER:
            return


def _place(target: httpcore.URL) -> str:
    return target.host.decode("ascii", "replace")
