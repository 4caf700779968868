"""Signs what is pushed as Pub/Sub does in the cloud, for its emulator sends no token: each run has a key of its own."""

import asyncio
import re
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from emulator.server import listening

ACCOUNT = "push@segue-laptop.iam.gserviceaccount.com"
TOKEN_LIVES_S = 3_600
SIGNED_ANEW_AFTER_S = 600
CHUNK = 65_536
ENDS = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class Signer:
    """Signs tokens as Google does, with a key whose certificate it made itself."""

    def __init__(self, key_id: str) -> None:
        self._key_id = key_id
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, key_id)])
        made = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(made - timedelta(days=1))
            .not_valid_after(made + timedelta(days=1))
            .sign(self._key, hashes.SHA256())
        )
        self.certificates = {key_id: certificate.public_bytes(serialization.Encoding.PEM).decode()}
        """As Google publishes its own: PEM, by key id."""

    def signed(self, claims: Mapping[str, Any]) -> str:
        """The token that says this."""
        return jwt.encode(dict(claims), self._key, "RS256", {"kid": self._key_id})


def claims_of_pubsub(audience: str, account: str = ACCOUNT) -> Mapping[str, Any]:
    """What the token of a push says: who pushes, to whom, and until when."""
    now = int(time.time())
    return {
        "iss": "https://accounts.google.com",
        "aud": audience,
        "email": account,
        "email_verified": True,
        "iat": now,
        "exp": now + TOKEN_LIVES_S,
    }


@asynccontextmanager
async def signing(
    signer: Signer, audiences: Mapping[str, str], pushed: Mapping[str, str]
) -> AsyncIterator[Mapping[str, str]]:
    """An address for each of `pushed`: what comes there goes on to the given one, with a token for its audience."""
    with ExitStack() as stack:
        addresses = {}
        for name, address in pushed.items():
            url, token = httpx.URL(address), _Token(signer, audiences[name])
            listener = listening(0)
            server = await asyncio.start_server(partial(_connected, url, token), sock=listener, limit=CHUNK)
            stack.callback(server.close)
            addresses[name] = str(url.copy_with(port=listener.getsockname()[1]))
        yield addresses


class _Token:
    """A token for an audience, signed anew long before it expires."""

    def __init__(self, signer: Signer, audience: str) -> None:
        self._signer = signer
        self._audience = audience
        self._signed_at = 0.0

    def __call__(self) -> bytes:
        if time.time() - self._signed_at >= SIGNED_ANEW_AFTER_S:
            self._token = self._signer.signed(claims_of_pubsub(self._audience)).encode()
            self._signed_at = time.time()
        return self._token


async def _connected(to: httpx.URL, token: Callable[[], bytes], reader: StreamReader, writer: StreamWriter) -> None:
    """A connection of the emulator's, until either side ends it, or the platform does by cancelling it."""
    with closing(writer), suppress(*ENDS):
        answers, onward = await asyncio.open_connection(to.host, to.port)
        answering = asyncio.create_task(_answer(answers, writer))
        try:
            with closing(onward):
                await _sign(reader, onward, token)
        finally:
            await answering


async def _sign(reader: StreamReader, onward: StreamWriter, token: Callable[[], bytes]) -> None:
    """Pass on request after request, each with a token. Their lengths are known: the emulator sends none in chunks."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        onward.write(head[:-2] + b"Authorization: Bearer " + token() + b"\r\n\r\n" + body)
        await onward.drain()


async def _answer(answers: StreamReader, writer: StreamWriter) -> None:
    """Pass back what is answered, and the end of the connection."""
    with closing(writer), suppress(OSError):
        while chunk := await answers.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
