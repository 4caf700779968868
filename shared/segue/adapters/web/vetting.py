"""Which addresses a host may be connected at: those of the public Internet, and none of this network.

The address is vetted where the connection is made, and what was vetted is what is connected to: a name that resolves
differently a moment later (DNS rebinding) gains nothing, and no second parser can disagree on which host a URL means.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from segue.domain.errors import Rejected, Unavailable

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

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


async def vetted(host: str, port: int, resolve: Resolve, allow_private: bool) -> Sequence[str]:
    """The addresses that a host may be connected at, in the resolver's order. Raises Rejected if one of them is no
    public address, and what `resolve` raises."""
    if not allow_private and _is_odd(host):
        raise Rejected(f"{host} is an address in disguise")
    addresses = await resolve(host, port)
    for address in addresses:
        if not allow_private and not _is_public(address):
            raise Rejected(f"{host} is at {address}, which is no public address")
    return addresses


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
