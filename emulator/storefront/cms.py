"""What the shop's server asks of Segue about its visitor, over HTTP and with the secret key, as any CMS would."""

import asyncio
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from emulator.client import Client
from segue.domain.errors import SegueError, Unavailable
from segue.domain.event import Json
from segue.domain.profile import ProfileRef

DEADLINE_MS = 150
DEADLINE_AFTER_MS = 1_000
PATIENCE_S = 2.0
NAMES_KEPT_S = 30.0

_QUOTED = re.compile(r"`([^`]*)`")


class Membership(NamedTuple):
    """A segment the visitor is in, since when and until when (epoch ms; None: no end in sight)."""

    id: str
    name: str
    description: str
    since: int
    until: int | None


class Segment(NamedTuple):
    """A segment of the catalogue."""

    id: str
    name: str
    description: str


class Known(NamedTuple):
    """What Segue knows of a visitor: the segments it is in, the latest first, and those it is not in."""

    inside: Sequence[Membership] = ()
    outside: Sequence[Segment] = ()


class Shown(msgspec.Struct, frozen=True):
    """What fills a slot, and why."""

    content: dict[str, Json] | None = None
    variant: str | None = None
    reason: str = "store_unavailable"
    segment: str | None = None


class Line(NamedTuple):
    """A line of an explanation: how deep it is indented, and its parts, names of the catalogue apart from words."""

    depth: int
    parts: Sequence[tuple[str, bool]]


class Cms:
    """Asks about one visitor, by the anonymous id of its cookie; a page is shown whatever Segue answers."""

    def __init__(self, client: Client, deadline_ms: int = DEADLINE_MS) -> None:
        self._client = client
        self._deadline_ms = deadline_ms
        self._segments: Sequence[Segment] = ()
        self._named_at = -NAMES_KEPT_S

    async def decide(self, visitor: str | None, slots: Sequence[str], after: str | None = None) -> Mapping[str, Shown]:
        """What fills each slot, with a message included if that is soon. Without an id nobody is known."""
        profile = ProfileRef("anonymous_id", visitor or secrets.token_hex(16))
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await self._client.decide(profile, slots, after if visitor else None, self._deadline_ms)
        except (SegueError, TimeoutError):
            return {slot: Shown() for slot in slots}
        return msgspec.convert(answer, dict[str, Shown])

    async def known(self, visitor: str | None, after: str | None = None) -> Known:
        """The visitor's segments; not before they include a message, if that is soon. Raises Unavailable."""
        if visitor is None:
            return Known()
        profile = ProfileRef("anonymous_id", visitor)
        try:
            async with asyncio.timeout(PATIENCE_S):
                if after is not None:
                    await self._client.decide(profile, ["homepage-hero"], after, DEADLINE_AFTER_MS)
                answer = await self._client.segments(profile)
                segments = {segment.id: segment for segment in await self._all()}
        except TimeoutError:
            raise Unavailable("Segue does not answer in time") from None
        spans = {each["id"]: (each["since"], each["until"]) for each in answer["segments"]}
        inside = [Membership(*segments.get(id_, Segment(id_, id_, "")), *span) for id_, span in spans.items()]
        return Known(
            inside=sorted(inside, key=lambda membership: -membership.since),
            outside=[segment for id_, segment in segments.items() if id_ not in spans],
        )

    async def why(self, visitor: str, segment: str) -> Sequence[Line]:
        """Why the visitor is in a segment or not, without the verdict. Raises NotFound or Unavailable."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await self._client.why(ProfileRef("anonymous_id", visitor), segment)
        except TimeoutError:
            raise Unavailable("Segue does not answer in time") from None
        return [_line(words) for words in answer["words"][1:]]

    async def token(self, visitor: str) -> Json:
        """What opens the visitor's own profile to their browser, and until when. Raises Unavailable."""
        return await self._client.token(ProfileRef("anonymous_id", visitor))

    async def export(self, visitor: str) -> Json:
        """All that Segue holds about the visitor. Raises Unavailable."""
        return await self._client.export(ProfileRef("anonymous_id", visitor))

    async def erase(self, visitor: str) -> None:
        """Have the visitor forgotten. Raises Unavailable."""
        await self._client.erase(ProfileRef("anonymous_id", visitor))

    async def _all(self) -> Sequence[Segment]:
        """Every segment of the catalogue, asked for now and then: definitions change seldom."""
        if time.monotonic() - self._named_at > NAMES_KEPT_S:
            listed = (await self._client.sizes())["segments"]
            self._segments = [Segment(each["id"], each["name"], each["description"]) for each in listed]
            self._named_at = time.monotonic()
        return self._segments


def _line(words: str) -> Line:
    text = words.lstrip(" ")
    parts = [(part, bool(index % 2)) for index, part in enumerate(_QUOTED.split(text)) if part]
    return Line((len(words) - len(text)) // 2, parts)
