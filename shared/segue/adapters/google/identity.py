"""Who pushes a message: the token that Pub/Sub signs for our own service account, and nobody else's."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import msgspec
from google.auth import jwt
from google.auth.exceptions import GoogleAuthError

from segue.domain.errors import Invalid, Unauthorized, Unavailable
from segue.domain.time import HOUR, MINUTE
from segue.ports import Clock

Certificates: TypeAlias = Mapping[str, str]
"""Public keys as PEM, by key id."""

Fetch: TypeAlias = Callable[[], Awaitable[Certificates]]
"""Reads the certificates that are valid at present. Raises Unavailable."""

CERTIFICATES_URL = "https://www.googleapis.com/oauth2/v1/certs"
TIMEOUT_S = 5.0

ISSUERS = frozenset({"https://accounts.google.com", "accounts.google.com"})

KEPT_FOR = HOUR
ASKED_AGAIN_AFTER = MINUTE
"""How soon a token with an unknown key may have the certificates fetched anew: keys are rotated, and tokens forged."""


async def google_certificates() -> Certificates:
    """The certificates that Google signs with at present. Raises Unavailable."""
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            answer = (await client.get(CERTIFICATES_URL)).raise_for_status()
        return msgspec.json.decode(answer.content, type=dict[str, str])
    except (httpx.HTTPError, msgspec.DecodeError) as error:
        raise Unavailable(f"Google's certificates cannot be read: {error}") from error


def certificates_in(file: Path) -> Fetch:
    """The certificates of a file, instead of Google's. Raises Invalid if it holds none."""
    try:
        found = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError) as error:
        message = f"expected a file with a JSON object of certificates, key id to PEM: {error}"
        raise Invalid(message, path="SEGUE_PUSH_CERTIFICATES") from error

    async def fetched() -> Certificates:
        return found

    return fetched


class PushIdentity:
    """Verifies the Authorization header of pushes to `audience`, made in the name of `account` (an e-mail)."""

    def __init__(
        self,
        audience: str,
        account: str,
        clock: Clock,
        certificates: Fetch = google_certificates,
    ) -> None:
        self._audience = audience
        self._account = account
        self._clock = clock
        self._fetch = certificates
        self._certificates: Certificates = {}
        self._fetched_at: int | None = None

    async def __call__(self, authorization: str | None) -> None:
        """Raises Unauthorized for anything but a valid token of the account; the same words whatever is wrong."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("expected a token of the push account")
        claims = await self._verified(token)
        named = claims.get("email") == self._account and claims.get("email_verified") is True
        if not named or claims.get("iss") not in ISSUERS:
            raise Unauthorized("expected a token of the push account")

    async def _verified(self, token: str) -> Mapping[str, Any]:
        try:
            header = jwt.decode_header(token)  # type: ignore[no-untyped-call]
            await self._refresh(str(header.get("kid")))
            claims: Mapping[str, Any] = jwt.decode(  # type: ignore[no-untyped-call]
                token, certs=self._certificates, audience=self._audience
            )
        except (GoogleAuthError, ValueError, TypeError) as error:
            raise Unauthorized("expected a token of the push account") from error
        return claims

    async def _refresh(self, key_id: str) -> None:
        now = self._clock.now()
        age = KEPT_FOR if self._fetched_at is None else now - self._fetched_at
        if age >= (ASKED_AGAIN_AFTER if key_id not in self._certificates else KEPT_FOR):
            self._certificates = await self._fetch()
            self._fetched_at = now
