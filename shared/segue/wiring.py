"""The only place that picks adapters: one platform a process, put together at the first request."""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import msgspec

from segue import telemetry
from segue.catalogs import Catalogs
from segue.ports import Ports
from segue.settings import PlatformName, Settings

Identity: TypeAlias = Callable[[str | None], Awaitable[None]]
"""Verifies the Authorization header of a pushed message (None: there is none), and raises Unauthorized."""


class Platform(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a function works with. `identity` verifies who pushes messages; None where nobody else can."""

    settings: Settings
    ports: Ports
    catalogs: Catalogs
    identity: Identity | None = None


_installed: Platform | None = None


def platform() -> Platform:
    """The process's platform, made from the environment at the first call. Raises Invalid if that is broken."""
    global _installed
    if _installed is None:
        telemetry.start()
        settings = Settings.from_environment(os.environ)
        _installed = _PLATFORMS[settings.platform](settings)
    return _installed


def use(platform: Platform | None) -> None:
    """Install a platform that was put together elsewhere, or none."""
    global _installed
    _installed = platform


def _embedded(settings: Settings) -> Platform:
    from segue.adapters.embedded.platform import EmbeddedPlatform
    from segue.adapters.system import SystemClock

    clock = SystemClock()
    ports = EmbeddedPlatform.open(settings.data, clock).ports
    return Platform(settings=settings, ports=ports, catalogs=Catalogs(ports.catalog, clock))


_PLATFORMS: Mapping[PlatformName, Callable[[Settings], Platform]] = {"embedded": _embedded}
