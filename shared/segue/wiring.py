"""The only place that picks adapters: one platform a process, put together at the first request."""

import gc
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

import msgspec

from segue import telemetry, tracing
from segue.catalogs import Catalogs
from segue.domain.enrichment import Locate, nowhere
from segue.domain.errors import Invalid
from segue.observed import observed
from segue.ports import Archive, Ports
from segue.settings import PlatformName, Settings

if TYPE_CHECKING:
    from requests import Session

GOOGLES_SPANS = "telemetry.googleapis.com"

Identity: TypeAlias = Callable[[str | None], Awaitable[None]]
"""Verifies the Authorization header of a pushed message (None: there is none), and raises Unauthorized."""


class Platform(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a function works with. `identity` verifies who pushes messages; None where nobody else can. `locate` tells
    the place of an IP address."""

    settings: Settings
    ports: Ports
    catalogs: Catalogs
    identity: Identity | None = None
    locate: Locate = nowhere


_installed: Platform | None = None


def platform() -> Platform:
    """The process's platform, made from the environment at the first call. Raises Invalid if that is broken."""
    global _installed
    if _installed is None:
        telemetry.take_over()
        settings = Settings.from_environment(os.environ)
        tracing.start(os.environ, session=session(tracing.endpoint(os.environ)))
        _installed = _PLATFORMS[settings.platform](settings)
    return _installed


def prepare(*, pushed: bool = False) -> None:
    """What a function does as it is imported: read the environment, import what takes long of its platform, and open
    nothing, for the server may still fork. What is there by then stays, and no garbage collection looks at it again:
    that would hold up every request for as long.

    A setting that is missing or broken ends the process with status 1 and one line that names it. `pushed`: for a
    function that nobody but push subscriptions may call. Where a platform was put together elsewhere, it is that.
    """
    if _installed is None:
        telemetry.take_over()
        settings = _settings_or_exit(pushed)
        for module in _SLOW_TO_IMPORT[settings.platform]:
            import_module(f"segue.adapters.{module}")
        if tracing.endpoint(os.environ):
            import_module("segue.spans")
    gc.collect()
    gc.freeze()


def _settings_or_exit(pushed: bool) -> Settings:
    try:
        tracing.check(os.environ)
        return Settings.from_environment(os.environ, pushed=pushed)
    except Invalid as error:
        telemetry.note("not_started", "ERROR", error=error)
        sys.exit(1)


def session(endpoint: str) -> "Session | None":
    """What carries spans to where Google wants credentials."""
    if urlsplit(endpoint).hostname != GOOGLES_SPANS:
        return None
    from segue.adapters.google import spans

    return spans.session()


def use(platform: Platform | None) -> None:
    """Install a platform that was put together elsewhere, or none."""
    global _installed
    _installed = platform


def places(settings: Settings) -> Locate:
    """Where IP addresses are, by the MaxMind file that the settings name; nobody knows without one. Raises Invalid."""
    if settings.geoip is None:
        return nowhere
    from segue.adapters.geoip import located_by

    return located_by(settings.geoip)


def assembled(settings: Settings, ports: Ports, identity: Identity | None = None) -> Platform:
    """The platform of these ports, every call of which is measured. Raises Invalid if a setting names a broken file."""
    ports = observed(ports)
    catalogs = Catalogs(ports.catalog, ports.clock)
    return Platform(settings=settings, ports=ports, catalogs=catalogs, identity=identity, locate=places(settings))


def _embedded(settings: Settings) -> Platform:
    from segue.adapters.embedded.platform import EmbeddedPlatform
    from segue.adapters.system import SystemClock
    from segue.adapters.web import WebHttp, WebObjects

    clock = SystemClock()
    opened = EmbeddedPlatform.open(settings.data, clock)
    ports = Ports(
        store=opened.store,
        bus=opened.bus,
        archive=opened.archive,
        catalog=opened.catalog,
        http=WebHttp(allow_private=settings.allow_private_destinations),
        objects=WebObjects(settings.storage_secrets, allow_private=settings.allow_private_destinations),
        clock=clock,
    )
    return assembled(settings, ports)


def _google(settings: Settings) -> Platform:
    from segue.adapters.google.identity import PushIdentity, certificates_in, google_certificates
    from segue.adapters.google.platform import GooglePlatform
    from segue.adapters.system import SystemClock
    from segue.adapters.web import WebHttp, WebObjects

    clock = SystemClock()
    opened = GooglePlatform.open(settings.project, settings.catalog_database)
    ports = Ports(
        store=opened.store,
        bus=opened.bus,
        archive=_archive(settings),
        catalog=opened.catalog,
        http=WebHttp(allow_private=settings.allow_private_destinations),
        objects=WebObjects(settings.storage_secrets, allow_private=settings.allow_private_destinations),
        clock=clock,
    )
    certificates = certificates_in(settings.push_certificates) if settings.push_certificates else google_certificates
    identity = (
        PushIdentity(settings.push_audience, settings.push_account, clock, certificates)
        if settings.push_account
        else None
    )
    return assembled(settings, ports, identity)


def _archive(settings: Settings) -> Archive:
    if not settings.archive_dataset:
        from segue.adapters.embedded.archive import ArchiveFile

        return ArchiveFile.open(settings.data)
    from segue.adapters.google.archive import BigQueryArchive

    return BigQueryArchive.open(settings.project, settings.archive_dataset)


_PLATFORMS: Mapping[PlatformName, Callable[[Settings], Platform]] = {"embedded": _embedded, "google": _google}

_SLOW_TO_IMPORT: Mapping[PlatformName, Sequence[str]] = {
    "embedded": (),
    "google": ("google.platform", "google.identity", "google.archive", "web"),
}
