"""Only our own push account's messages are let in: every other token gets 403, and nothing is recorded of it."""

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.auth import crypt, jwt

from segue.adapters.google.identity import ASKED_AGAIN_AFTER, KEPT_FOR, PushIdentity
from segue.adapters.system import ManualClock
from segue.domain.errors import Unauthorized, Unavailable
from tests.functions.pushing import KEY, NOW, Pushing, changed, pushing, snapshot

AUDIENCE = "https://segue.example/update"
ACCOUNT = "push@our-project.iam.gserviceaccount.com"

HEADERS = {
    "ce-id": f"{KEY}:1",
    "ce-type": "segue.membership.changed",
    "ce-source": "//test",
    "ce-specversion": "1.0",
    "ce-time": "2024-05-10T12:00:00Z",
}


class Signer:
    """Signs tokens as Google does, with a key whose certificate it made itself."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        self._signer = crypt.RSASigner.from_string(private, key_id)  # type: ignore[no-untyped-call]
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, key_id)])
        made = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(made - timedelta(days=1))
            .not_valid_after(made + timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM).decode()

    def token(self, **claims: Any) -> str:
        """A token of our account for our address, but for these claims; those that are None are left out."""
        now = int(datetime.now(UTC).timestamp())
        usual = {
            "iss": "https://accounts.google.com",
            "aud": AUDIENCE,
            "email": ACCOUNT,
            "email_verified": True,
            "iat": now,
            "exp": now + 3_600,
        }
        wanted = {name: claim for name, claim in {**usual, **claims}.items() if claim is not None}
        token: bytes = jwt.encode(self._signer, wanted)  # type: ignore[no-untyped-call]
        return token.decode()


GOOGLE, STRANGER = Signer("google-1"), Signer("google-1")
LONG_AGO = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())


def unsigned(token: str) -> str:
    """The same claims under `alg: none`, unsigned."""
    header = urlsafe_b64encode(b'{"alg":"none","typ":"JWT","kid":"google-1"}').rstrip(b"=").decode()
    return ".".join((header, token.split(".")[1], ""))


REFUSED: Mapping[str, str | None] = {
    "no header": None,
    "an empty header": "",
    "no token": "Bearer ",
    "another scheme": f"Basic {GOOGLE.token()}",
    "no token at all": "Bearer x",
    "a token of three empty parts": "Bearer ..",
    "expired": f"Bearer {GOOGLE.token(iat=LONG_AGO, exp=LONG_AGO + 3_600)}",
    "not yet valid": f"Bearer {GOOGLE.token(iat=4_000_000_000, exp=4_000_003_600)}",
    "another audience": f"Bearer {GOOGLE.token(aud='https://other.example/update')}",
    "no audience": f"Bearer {GOOGLE.token(aud=None)}",
    "another project's account": f"Bearer {GOOGLE.token(email='push@other-project.iam.gserviceaccount.com')}",
    "no e-mail": f"Bearer {GOOGLE.token(email=None)}",
    "an e-mail that is not verified": f"Bearer {GOOGLE.token(email_verified=False)}",
    "an e-mail that is verified in words": f"Bearer {GOOGLE.token(email_verified='true')}",
    "another issuer": f"Bearer {GOOGLE.token(iss='https://accounts.example.com')}",
    "alg none": f"Bearer {unsigned(GOOGLE.token())}",
    "a stranger's signature": f"Bearer {STRANGER.token()}",
    "a changed claim": f"Bearer {GOOGLE.token()[:-8]}AAAAAAAA",
    "a key nobody knows": f"Bearer {Signer('unknown').token()}",
    "bytes that are no token": "Bearer \u00e9.\u00e9.\u00e9",
}


class Certificates:
    """Google's address for its certificates."""

    def __init__(self) -> None:
        self.current = {GOOGLE.key_id: GOOGLE.certificate}
        self.asked = 0
        self.answers = True

    async def __call__(self) -> Mapping[str, str]:
        self.asked += 1
        if not self.answers:
            raise Unavailable("it does not answer")
        return self.current


@pytest.fixture
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def identity(certificates: Certificates, clock: ManualClock) -> PushIdentity:
    return PushIdentity(AUDIENCE, ACCOUNT, clock, certificates)


@pytest.fixture
async def site(tmp_path: Path, identity: PushIdentity) -> AsyncIterator[Pushing]:
    async with pushing(tmp_path) as site:
        site.restart(identity=identity)
        yield site


async def answer(site: Pushing, authorization: str | None) -> int:
    headers = HEADERS if authorization is None else {**HEADERS, "authorization": authorization}
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    return (await site.request("update", snapshot(changed(1)).data, encoded)).status_code  # type: ignore[arg-type]


async def test_a_token_of_our_push_account_is_let_in(site: Pushing) -> None:
    assert await answer(site, f"Bearer {GOOGLE.token()}") == 204
    assert await site.public()


@pytest.mark.parametrize("what", REFUSED)
async def test_every_other_token_gets_403_and_leaves_no_trace(what: str, site: Pushing) -> None:
    assert await answer(site, REFUSED[what]) == 403
    assert site.broken.calls == []


async def test_without_the_certificates_nobody_can_tell_and_the_message_comes_back(
    site: Pushing, certificates: Certificates
) -> None:
    certificates.answers = False
    assert await answer(site, f"Bearer {GOOGLE.token()}") == 503


async def test_certificates_are_asked_for_once_an_hour(
    identity: PushIdentity, certificates: Certificates, clock: ManualClock
) -> None:
    for advance in (0, 1, KEPT_FOR - 2, 1):
        clock.advance(advance)
        await identity(f"Bearer {GOOGLE.token()}")
    assert certificates.asked == 2


async def test_a_new_key_is_asked_for_and_forged_ones_do_not_make_us_ask_again_and_again(
    identity: PushIdentity, certificates: Certificates, clock: ManualClock
) -> None:
    await identity(f"Bearer {GOOGLE.token()}")
    rotated = Signer("google-2")
    certificates.current = {rotated.key_id: rotated.certificate}
    for _ in range(3):
        with pytest.raises(Unauthorized):
            await identity(f"Bearer {Signer('forged').token()}")
    assert certificates.asked == 1
    clock.advance(ASKED_AGAIN_AFTER)
    await identity(f"Bearer {rotated.token()}")
    assert certificates.asked == 2
