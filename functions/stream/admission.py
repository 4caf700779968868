"""Who may listen: a visitor's browser to its own profile, with a token, and a site's server to any, with its key."""

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from functions.stream.stream import Visitor
from segue.domain import visitor_token
from segue.domain.credential import basic_user, bearer_token
from segue.domain.errors import Invalid, Unauthorized
from segue.domain.identity import identifier
from segue.domain.profile import KINDS, ProfileRef, profile_key
from segue.entrypoint import Serving

LONGEST_QUERY = 16_384
"""Bytes. The longest token there may be fits."""


class Admission:
    """Admits who has a visitor's token, or a secret key and names a profile."""

    def __init__(self, platform: Serving) -> None:
        self._secret = platform.settings.profile_secret
        self._clock = platform.ports.clock
        self._catalogs = platform.catalogs

    async def visitor(self, connection: HTTPConnection) -> Visitor:
        """Whose profile a stream is to tell of: that of the token, in `?token=` or as Bearer token, or that of
        `?profile=`, for a secret key. Raises Unauthorized, in the same words whatever is wrong, or Invalid."""
        if len(connection.scope["query_string"]) > LONGEST_QUERY:
            raise HTTPException(414)
        await self._refuse_strange_page(connection)
        named = connection.query_params.get("profile")
        return self._of_token(connection) if named is None else await self._of_key(connection, named)

    def _of_token(self, connection: HTTPConnection) -> Visitor:
        token = connection.query_params.get("token") or bearer_token(_authorization(connection))
        visit = visitor_token.visit(self._secret, token, self._clock.now())
        if visit is None:
            raise Unauthorized("expected a visitor's token that is still good, or a secret key and ?profile=")
        return Visitor(key=profile_key(self._secret, visit.profile), until=visit.expires_at, admitted=_always)

    async def _of_key(self, connection: HTTPConnection, named: str) -> Visitor:
        credentials = _authorization(connection)
        key = basic_user(credentials) or bearer_token(credentials)

        async def admitted() -> bool:
            return (await self._catalogs.current()).catalog.source_of_secret_key(key) is not None

        if not await admitted():
            raise Unauthorized("expected a visitor's token that is still good, or a secret key and ?profile=")
        return Visitor(key=profile_key(self._secret, _profile(named)), admitted=admitted)

    async def _refuse_strange_page(self, connection: HTTPConnection) -> None:
        """A page of any site may open a socket: browsers ask nobody before they do, as they do for all else."""
        origin = connection.headers.get("origin")
        if origin is not None and origin not in (await self._catalogs.current()).catalog.origins:
            raise Unauthorized("expected a page of an origin of a source")


def _authorization(connection: HTTPConnection) -> str:
    return connection.headers.get("authorization", "")


def _profile(named: str) -> ProfileRef:
    """The profile that ingest knows by this identifier, in the same normal form. Raises Invalid."""
    kind, _, value = named.partition(":")
    found = identifier(value, "profile")
    if kind not in KINDS or found is None:
        raise Invalid("expected user_id: or anonymous_id: and a value that is not blank", path="profile")
    return ProfileRef(KINDS[kind], found)


async def _always() -> bool:
    """A token says itself when it ends."""
    return True
