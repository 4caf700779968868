"""The addresses of Segment's Profile API: what reads a Segment profile, from a server, reads a visitor here."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, TypeAlias, TypeVar, cast, get_args

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as ASGIMessage

from functions.lookup import asked
from functions.lookup.admission import admit
from functions.lookup.answers import answered
from functions.lookup.lookup import Lookup, Person
from segue import entrypoint
from segue.domain import links, provenance, rules
from segue.domain.document import Redirect
from segue.domain.errors import Invalid, NotFound, Rejected, Throttled, Unauthorized
from segue.domain.event import Json
from segue.domain.membership import covers
from segue.domain.message import EVENTS_RECEIVED, EventsReceived
from segue.domain.profile import profile_key
from segue.domain.rate import Allowances

Each = TypeVar("Each")

TraitClass: TypeAlias = Literal["audience", "computed_trait"]

USUAL_LIMIT, HIGHEST_LIMIT = 10, 200

PER_SECOND = 100
"""Requests of one source, on average and at once: those without a class read the archive."""

PROFILE = "/{space}/collections/users/profiles/{profile:path}"
"""One deployment is one workspace: whatever space is named is this one."""

NOT_SAID: Mapping[str, str] = {
    "events": "events are not told here: GET /v1/profiles/{kind}:{id} has them",
    "links": "expected users that are linked to accounts, but there are no accounts",
}
"""Parts of a Segment profile that have no answer, and why."""

CODES: Mapping[type[Exception], str] = {
    Unauthorized: "authentication_error",
    NotFound: "not_found",
    Throttled: "rate_limit_error",
    Invalid: "validation_error",
    Rejected: "invalid_request_error",
    HTTPException: "invalid_request_error",
    Exception: "internal_error",
}
"""Segment's names of errors. The first entry that an error is an instance of decides."""


class Trait(msgspec.Struct, frozen=True, kw_only=True):
    """A value, which source said so (None: it was worked out), and since when it has been so, in ISO 8601."""

    value: Json
    source_id: str | None = None
    updated_at: str | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list: names behind `after`, at most `limit`, and of those only some; `verbose`: whole traits."""

    limit: int
    after: str
    include: frozenset[str] | None
    trait_class: TraitClass | None
    verbose: bool


class ProfileApi:
    """Each address, by what it tells. All want the secret key, from a server; `new_id` gives each answer its id."""

    def __init__(self, platform: entrypoint.Serving, lookup: Lookup, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._key_of = partial(profile_key, platform.settings.profile_secret)
        self._archive = platform.ports.archive
        self._clock = platform.ports.clock
        self._catalogs = platform.catalogs
        self._lookup = lookup
        self._allowances = Allowances()

    @property
    def routes(self) -> Sequence[BaseRoute]:
        handlers = {kind: _in_its_words(each) for kind, each in entrypoint.exception_handlers.items()}
        app = Starlette(
            routes=[
                Route(f"{PROFILE}/traits", self.traits, methods=["GET"]),
                Route(f"{PROFILE}/external_ids", self.external_ids, methods=["GET"]),
                Route(f"{PROFILE}/metadata", self.metadata, methods=["GET"]),
                Route("/{rest:path}", self.not_said, methods=["GET"]),
            ],
            middleware=[Middleware(Numbered, self._new_id)],
            exception_handlers=handlers,
        )
        return [Mount("/v1/spaces", app)]

    async def traits(self, request: Request) -> Response:
        """GET …/traits: what is known of the visitor by name. `class=audience` are the segments, `computed_trait` what
        follows from what the visitor did; without a class also what calls said of them, by the archive."""
        person = await self._person(request)
        wanted = _wanted(request)
        found = await self._traits(person, wanted.trait_class)
        if wanted.include is not None:
            found = {name: trait for name, trait in found.items() if name in wanted.include}
        shown, cursor = _page(found, wanted, request)
        whole = {name: trait if wanted.verbose else trait.value for name, trait in shown.items()}
        return answered({"traits": whole, "cursor": cursor})

    async def external_ids(self, request: Request) -> Response:
        """GET …/external_ids: the identifiers that are this visitor's, with the calls that said so."""
        person = await self._person(request)
        wanted = _wanted(request)
        own = person.document.profile
        ledger = await self._lookup.links(self._key_of(own))
        linked = [entry for entry in (ledger.entries if ledger else ()) if entry.status == "linked"]
        found = {
            str(own): _external_id(own.kind, own.value),
            **{
                str(entry.anonymous): _external_id(
                    entry.anonymous.kind,
                    entry.anonymous.value,
                    source_id=entry.source,
                    created_at=_iso(entry.at),
                    first_message_id=entry.message_id,
                )
                for entry in linked
            },
        }
        shown, cursor = _page(found, wanted, request)
        return answered({"data": [*shown.values()], "cursor": cursor})

    async def metadata(self, request: Request) -> Response:
        """GET …/metadata: since when the visitor is known, and the first and the last call."""
        person = await self._person(request)
        calls = [(event, each.source) for each in await self._history(person) for event in each.events]
        (first, first_source), (last, last_source) = (
            choose(calls, key=lambda call: (call[0].received_at, call[0].message_id), default=(None, None))
            for choose in (min, max)
        )
        return answered({
            "metadata": {
                "created_at": _iso(person.state.known_from),
                "updated_at": _iso(last.received_at) if last else None,
                "expires_at": None,
                "first_message_id": first.message_id if first else None,
                "first_source_id": first_source,
                "last_message_id": last.message_id if last else None,
                "last_source_id": last_source,
            }
        })  # fmt: skip

    async def not_said(self, request: Request) -> Response:
        """GET whatever else a Segment profile has. Raises Rejected with the reason, or NotFound."""
        admit(request, await self._catalogs.current())
        _, _, inside = request.path_params["rest"].partition("/collections/")
        if inside.startswith("accounts/"):
            raise Rejected("collections: expected users, found accounts: there are none, only visitors")
        _, _, part = inside.rpartition("/")
        if inside.startswith("users/profiles/") and part in NOT_SAID:
            raise Rejected(NOT_SAID[part])
        raise NotFound("expected …/collections/users/profiles/{kind}:{id}/traits, external_ids or metadata")

    async def _person(self, request: Request) -> Person:
        """Who is asked for. Raises NotFound if nothing is known of them, Unauthorized, Throttled, Invalid."""
        compiled = await self._catalogs.current()
        source = admit(request, compiled)
        self._allowances.take(source, PER_SECOND, PER_SECOND, self._clock.now())
        person = await self._lookup.person(self._key_of(asked.profile_in_address(request)), compiled)
        if person is None:
            raise NotFound("Profile was not found.")
        return person

    async def _traits(self, person: Person, wanted: TraitClass | None) -> Mapping[str, Trait]:
        at = self._lookup.instant_of(person)
        if wanted == "audience":
            return _audiences(person, at)
        if wanted == "computed_trait":
            return _computed(person, at)
        return {**_told(await self._history(person)), **_computed(person, at), **_audiences(person, at)}

    async def _history(self, person: Person) -> Sequence[EventsReceived]:
        """All that is archived of what the visitor did, also before they were known to be the user they are."""
        own = self._key_of(person.document.profile)
        until = {link.key: Redirect(own, person.document.profile, link.at) for link in person.document.linked}
        histories = await self._archive.histories([own, *until])
        return [
            received
            for key, messages in histories.items()
            for message in messages
            if message.type == EVENTS_RECEIVED
            for received in [msgspec.json.decode(message.data, type=EventsReceived)]
            if key not in until or links.follows(received, until[key])
        ]


class Numbered:
    """Gives every answer the header `Request-Id`."""

    def __init__(self, app: ASGIApp, new_id: Callable[[], str]) -> None:
        self._app = app
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_numbered(message: ASGIMessage) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"request-id", self._new_id().encode())]
            await send(message)

        await self._app(scope, receive, send_numbered)


def _told(history: Sequence[EventsReceived]) -> Mapping[str, Trait]:
    return {
        name: Trait(value=each.value, source_id=each.source, updated_at=_iso(each.occurred_at))
        for name, each in provenance.traits(history).items()
    }


def _computed(person: Person, at: int) -> Mapping[str, Trait]:
    """Scores are numbers that follow from what the visitor did, as computed traits are."""
    program, state = person.compiled.program, person.state
    found = {**rules.scores(program, state, at), **rules.computed(program, state, at)}
    return {name: Trait(value=value) for name, value in found.items()}


def _audiences(person: Person, at: int) -> Mapping[str, Trait]:
    """Every segment: whether it holds the visitor, and since when it does."""
    memberships = rules.timeline(person.compiled.program, person.state, at).memberships
    spans = {id_: covers(memberships.get(id_, ()), at) for id_ in person.compiled.catalog.segments}
    return {
        id_: Trait(value=span is not None, updated_at=_iso(span[0] if span else None)) for id_, span in spans.items()
    }


def _external_id(
    kind: str,
    value: str,
    *,
    source_id: str | None = None,
    created_at: str | None = None,
    first_message_id: str | None = None,
) -> Mapping[str, str | None]:
    return {
        "source_id": source_id,
        "collection": "users",
        "id": value,
        "type": kind,
        "created_at": created_at,
        "encoding": "none",
        "first_message_id": first_message_id,
    }


def _wanted(request: Request) -> Wanted:
    """Raises Invalid, naming the parameter."""
    asked.refuse_long_query(request)
    said = request.query_params
    limit = said.get("limit", str(USUAL_LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 3 and 1 <= int(limit) <= HIGHEST_LIMIT):
        raise Invalid(f"expected 1 to {HIGHEST_LIMIT}, found {limit!r:.40}", path="limit")
    trait_class, verbose = said.get("class"), said.get("verbose", "false")
    if trait_class not in (None, *get_args(TraitClass)):
        raise Invalid(f"expected {' or '.join(get_args(TraitClass))}, found {trait_class!r:.40}", path="class")
    if verbose not in ("true", "false"):
        raise Invalid(f"expected true or false, found {verbose!r:.40}", path="verbose")
    include = said.get("include")
    return Wanted(
        limit=int(limit),
        after=said.get("next", ""),
        include=None if include is None else frozenset(include.split(",")),
        trait_class=cast(TraitClass | None, trait_class),
        verbose=verbose == "true",
    )


def _page(found: Mapping[str, Each], wanted: Wanted, request: Request) -> tuple[Mapping[str, Each], Mapping[str, Any]]:
    """The part that is wanted, by name, and where the next one begins: `next` is to be sent back as it is."""
    behind = sorted(name for name in found if name > wanted.after)
    shown = behind[: wanted.limit]
    has_more = len(behind) > len(shown)
    cursor = {
        "url": request.scope["raw_path"].decode(),
        "has_more": has_more,
        "next": shown[-1] if has_more else "",
        "limit": wanted.limit,
    }
    return {name: found[name] for name in shown}, cursor


def _iso(instant: int | None) -> str | None:
    if instant is None:
        return None
    return datetime.fromtimestamp(instant / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_its_words(handler: Any) -> Any:
    """The same answer to an error, in Segment's shape."""

    async def answer(request: Request, error: Exception) -> Response:
        told = await handler(request, error)
        code = next(code for kind, code in CODES.items() if isinstance(error, kind))
        message = msgspec.json.decode(told.body)["message"]
        refusal = answered({"error": {"code": code, "message": message}}, told.status_code)
        kept = {name: value for name, value in told.headers.items() if not name.startswith("content-")}
        refusal.headers.update(kept)
        return refusal

    return answer
