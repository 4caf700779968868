"""Calls to addresses that users configure, so that none reaches what only this network should reach.

The address is vetted where the connection is made, and what was vetted is what is connected to: a name that resolves
differently a moment later (DNS rebinding) gains nothing, and no second parser can disagree on which host a URL means.
Redirects are answers like any other.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

import httpcore
import httpx

from segue.domain.errors import Rejected, Unavailable

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

LONGEST_ANSWER = 65_536
"""Bytes of an answer's body that are read before the connection is given up; nobody looks at them."""
LAST_PORT = 65_535

_UNICAST = IPv6Network("2000::/3")
# What `is_global` lets through: protocol assignments (Python before 3.12.4), and IPv4 tunnelled in IPv6.
_NOT_PUBLIC = (IPv4Network("192.0.0.0/24"), IPv6Network("2002::/16"))
_NUMERIC = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)\.?", re.IGNORECASE)


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses the system's resolver knows for a host, in its order of preference. Raises Unavailable, or
    Rejected for what can be no host's name."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable(f"{host} cannot be resolved: {error}") from error
    except UnicodeError as error:
        raise Rejected(f"{host} is no name of a host: {error}") from error
    return [str(address[0]) for _, _, _, _, address in found]


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
            raise Unavailable(f"{_place(target)} does not answer: {error!r}") from error

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
        for address in await self._vetted(host, port):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as refused:
                error = refused
        raise error

    async def _vetted(self, host: str, port: int) -> Sequence[str]:
        if not self._allow_private and _is_odd(host):
            raise Rejected(f"{host} is an address in disguise")
        addresses = await self._resolve(host, port)
        for address in addresses:
            if not self._allow_private and not _is_public(address):
                raise Rejected(f"{host} is at {address}, which is no public address")
        return addresses


async def _read(answer: httpcore.Response) -> None:
    """Read a short body to its end, so that the connection can serve the next call; give up on a long one."""
    read = 0
    async for chunk in answer.aiter_stream():
        read += len(chunk)
        if read > LONGEST_ANSWER:
            return


def _is_odd(host: str) -> bool:
    """Whether some resolver would read a number as an address that is not written as one (0x7f.1, 2130706433)."""
    return _NUMERIC.fullmatch(host) is not None and _parsed(host) is None


def _is_public(address: str) -> bool:
    """Whether an address is one host of the public Internet, and no other in disguise (IPv4 mapped or tunnelled)."""
    parsed = _parsed(address)
    if parsed is None or not parsed.is_global or parsed.is_multicast or any(parsed in part for part in _NOT_PUBLIC):
        return False
    return isinstance(parsed, IPv4Address) or parsed in _UNICAST


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None


def _place(target: httpcore.URL) -> str:
    return target.host.decode("ascii", "replace")
