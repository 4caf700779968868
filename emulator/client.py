"""A client of a running Segue, as the commands, the journeys and the benchmarks need it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import quote

import httpx
import msgspec

from emulator.failed import Record
from emulator.membership_log import Line
from emulator.trace_tree import Span
from segue.domain.errors import Invalid, NotFound, Rejected, TooLarge, Unauthorized, Unavailable
from segue.domain.event import Json
from segue.domain.membership import Transition
from segue.domain.message import ClockName
from segue.domain.profile import ProfileRef

ANSWER_TIMEOUT_S = 30.0
SETTLE_TIMEOUT_S = 3_600.0
TRIES = 8
LONGEST_PAUSE_S = 30.0

DEMO_WRITE_KEY = "demo-write-key"
DEMO_SECRET_KEY = "demo-secret-key"  # noqa: S105 (the demo catalogue's, known to everybody)

_REFUSALS = {400: Invalid, 401: Unauthorized, 404: NotFound, 413: TooLarge}
_TRY_AGAIN = {429, 500, 502, 503, 504}


class Timing(msgspec.Struct, frozen=True):
    """Of a catalogue's settings, the lateness and the tick's grace, in ms."""

    lateness: int
    grace: int


class Client:
    """Calls one address with a write key and a secret key.

    What is answered "later" is tried again, after `Retry-After` where it is given. Raises `Rejected` for what will
    never be accepted, with the answer's own words, and `Unavailable` if there is no answer.
    """

    def __init__(self, http: httpx.AsyncClient, write_key: str, secret_key: str) -> None:
        self._http = http
        self._write = httpx.BasicAuth(write_key, "")
        self._secret = httpx.BasicAuth(secret_key, "")

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, url: str, write_key: str = DEMO_WRITE_KEY, secret_key: str = DEMO_SECRET_KEY
    ) -> AsyncIterator[Self]:
        """A client of this address, closed in the end."""
        async with httpx.AsyncClient(base_url=url, timeout=ANSWER_TIMEOUT_S, trust_env=False) as http:
            yield cls(http, write_key, secret_key)

    async def call(self, call: Mapping[str, Json]) -> None:
        """Send one Segment call to the path of its type."""
        await self._post(f"/v1/{call['type']}", call, self._write)

    async def batch(self, calls: Sequence[Mapping[str, Json]], sent_at: str | None = None) -> None:
        """Send live calls together."""
        await self._post("/v1/batch", {"batch": calls} | ({"sentAt": sent_at} if sent_at else {}), self._write)

    async def import_(self, body: bytes) -> Json:
        """Send recorded calls, as the JSON of a batch; the answer."""
        return await self._post("/v1/import", body, self._secret)

    async def segments(self, profile: ProfileRef, at: int | None = None) -> Json:
        """The segments of a profile, now or at another instant."""
        return await self._get(_segments_of(profile) + _at(at))

    async def why(self, profile: ProfileRef, segment: str, at: int | None = None) -> Json:
        """Why a profile is in a segment or not, now or at another instant."""
        return await self._get(f"{_segments_of(profile)}/{quote(segment, safe='')}/why{_at(at)}")

    async def links(self, profile: ProfileRef) -> Json:
        """What was decided of the anonymous visitors that a user is said to be."""
        return await self._get(f"{_of(profile)}/links")

    async def unlink(self, visitor: ProfileRef, user: ProfileRef) -> None:
        """Say that an anonymous visitor is not this user."""
        asked = f"/v1/links?{visitor.kind}={quote(visitor.value, safe='')}&{user.kind}={quote(user.value, safe='')}"
        await self._answer("DELETE", asked, b"", self._secret, ANSWER_TIMEOUT_S)

    async def export(self, profile: ProfileRef) -> Json:
        """All that is held about a visitor."""
        return await self._get(_of(profile))

    async def erase(self, profile: ProfileRef) -> Json:
        """Have a visitor forgotten; the receipt."""
        return (await self._answer("DELETE", _of(profile), b"", self._secret, ANSWER_TIMEOUT_S)).json()

    async def sizes(self, at: int | None = None) -> Json:
        """Every segment with its size, now or at another instant."""
        return await self._get("/v1/segments" + _at(at))

    async def decide(
        self, profile: ProfileRef, slots: Sequence[str], after: str | None = None, deadline_ms: int | None = None
    ) -> Json:
        """What fills each of these slots for a profile, by the slot's name."""
        question = {
            "profile": {profile.kind: profile.value},
            "slots": slots,
            "after": after,
            "deadline_ms": deadline_ms,
        }
        return await self._post("/v1/decide", {k: v for k, v in question.items() if v is not None}, self._secret)

    async def token(self, profile: ProfileRef) -> Json:
        """A token that opens this profile to its visitor's browser, and until when."""
        return await self._post("/v1/tokens", {"profile": {profile.kind: profile.value}}, self._secret)

    async def tick(self, at: int, clock: ClockName) -> None:
        """Let time come to `at`."""
        await self._post("/_segue/tick", {"at": at, "clock": clock}, self._secret)

    async def settle(self) -> None:
        """Wait until nothing is on its way any more."""
        await self._post("/_segue/settle", {}, self._secret, timeout=SETTLE_TIMEOUT_S)

    async def ledger(self) -> dict[str, int]:
        """How many events were published, and what became of them."""
        return msgspec.convert(await self._get("/_segue/ledger"), dict[str, int])

    async def metrics(self) -> str:
        """What its functions have counted, in Prometheus' text format; it tells that on its own machine alone."""
        return (await self._answer("GET", "/metrics", b"", self._secret, ANSWER_TIMEOUT_S)).text

    async def timing(self) -> Timing:
        """The catalogue's settings that say what waits for what."""
        return msgspec.convert(await self._get("/_segue/settings"), Timing)

    async def memberships(self) -> list[Line]:
        """The whole membership log in its normal form."""
        answer = await self._answer("GET", "/_segue/memberships", b"", self._secret, SETTLE_TIMEOUT_S)
        return msgspec.json.decode(b"[" + b",".join(answer.content.splitlines()) + b"]", type=list[Line])

    async def profiles(self) -> list[tuple[str, str]]:
        """The key of every profile, and who it is."""
        return msgspec.convert(await self._get("/_segue/profiles"), list[tuple[str, str]])

    async def rebuild(self, key: str) -> list[Transition]:
        """Fold a profile anew from the archive; what is announced of it."""
        answer = await self._post(f"/_segue/profiles/{key}/rebuild", {}, self._secret, timeout=SETTLE_TIMEOUT_S)
        return msgspec.convert(answer, list[Transition])

    async def trace(self, message_id: str) -> list[Span]:
        """The spans of the trace that a message is in, the earliest first; raises NotFound where none are kept."""
        return msgspec.convert(await self._get(f"/_segue/traces/{quote(message_id, safe='')}"), list[Span])

    async def failed(self) -> list[Record]:
        """Every message that was given up, the oldest first."""
        return msgspec.convert(await self._get("/_segue/failed"), list[Record])

    async def replay_failed(self, id_: str) -> None:
        """Put a message back that was given up."""
        await self._post(f"/_segue/failed/{quote(id_, safe='')}/replay", {}, self._secret)

    async def _get(self, path: str) -> Json:
        return (await self._answer("GET", path, b"", self._secret, ANSWER_TIMEOUT_S)).json()

    async def _post(self, path: str, body: Any, auth: httpx.BasicAuth, timeout: float = ANSWER_TIMEOUT_S) -> Json:  # noqa: ASYNC109 (httpx keeps it)
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        answer = await self._answer("POST", path, content, auth, timeout)
        return answer.json() if answer.content else None

    async def _answer(
        self,
        method: str,
        path: str,
        content: bytes,
        auth: httpx.BasicAuth,
        timeout: float,  # noqa: ASYNC109 (httpx keeps it)
    ) -> httpx.Response:
        for attempt in range(TRIES):
            try:
                answer = await self._http.request(method, path, content=content, auth=auth, timeout=timeout)
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
                raise Unavailable(f"{self._http.base_url} does not answer: {reason}") from error
            if answer.status_code not in _TRY_AGAIN or attempt + 1 == TRIES:
                break
            await asyncio.sleep(_pause(answer, attempt))
        if answer.is_success:
            return answer
        refusal = f"{self._http.base_url}{path} answered {answer.status_code}: {_words(answer)}"
        if answer.status_code in _TRY_AGAIN:
            raise Unavailable(refusal)
        raise _REFUSALS.get(answer.status_code, Rejected)(refusal)


def _of(profile: ProfileRef) -> str:
    return f"/v1/profiles/{profile.kind}:{quote(profile.value, safe='')}"


def _segments_of(profile: ProfileRef) -> str:
    return f"{_of(profile)}/segments"


def _at(at: int | None) -> str:
    return f"?at={at}" if at is not None else ""


def _pause(answer: httpx.Response, attempt: int) -> float:
    """The seconds to wait: what the answer asks for, else ever longer."""
    asked = answer.headers.get("Retry-After", "")
    return min(LONGEST_PAUSE_S, float(asked) if asked.isdecimal() else 0.25 * 2**attempt)


def _words(answer: httpx.Response) -> str:
    """What the answer says of itself, on one line."""
    try:
        said = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        said = answer.text[:200]
    return " ".join(str(said).split())
