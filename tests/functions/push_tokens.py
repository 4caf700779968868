"""Authorization headers that no function may let in, each wrong in one way."""

import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from emulator.signing import Signer, claims_of_pubsub

HOUR_S = 3_600
LONG_AGO = 1_704_067_200
"""2024-01-01, in seconds."""


def token(signer: Signer, audience: str, **claims: Any) -> str:
    """A token as Google signs it, but for these claims; those that are None are left out."""
    changed = {**claims_of_pubsub(audience), **claims}
    return signer.signed({name: claim for name, claim in changed.items() if claim is not None})


def refused(signer: Signer, audience: str, another: str) -> Mapping[str, str | None]:
    """By what is wrong with it, for a function with this audience. `another` is the audience of another function."""
    (key_id,) = signer.certificates
    now = int(time.time())
    right = token(signer, audience)
    tokens = {
        "no token at all": "x",
        "a token of three empty parts": "..",
        "expired": token(signer, audience, iat=LONG_AGO, exp=LONG_AGO + HOUR_S),
        "expired a minute ago": token(signer, audience, iat=now - HOUR_S, exp=now - 60),
        "not yet valid": token(signer, audience, iat=now + HOUR_S, exp=now + 2 * HOUR_S),
        "another function's": token(signer, another),
        "no audience": token(signer, audience, aud=None),
        "another project's account": token(signer, audience, email="push@other-project.iam.gserviceaccount.com"),
        "no e-mail": token(signer, audience, email=None),
        "an e-mail that is not verified": token(signer, audience, email_verified=False),
        "an e-mail that is verified in words": token(signer, audience, email_verified="true"),
        "another issuer": token(signer, audience, iss="https://accounts.example.com"),
        "alg none": _unsigned(right, key_id),
        "HS256 with the public key": _signed_by_the_public_key(right, signer.certificates[key_id], key_id),
        "a stranger's signature": token(Signer(key_id), audience),
        "a changed claim": _with_claims(right, {**claims_of_pubsub(audience), "exp": now + 2 * HOUR_S}),
        "a key nobody knows": token(Signer("unknown"), audience),
        "bytes that are no token": "\u00e9.\u00e9.\u00e9",
    }
    others = {"no header": None, "an empty header": "", "no token": "Bearer", "another scheme": f"Basic {right}"}
    return {**others, **{what: f"Bearer {each}" for what, each in tokens.items()}}


def _part(content: Mapping[str, Any] | bytes) -> str:
    whole = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return urlsafe_b64encode(whole).rstrip(b"=").decode()


def _unsigned(right: str, key_id: str) -> str:
    return f"{_part({'alg': 'none', 'typ': 'JWT', 'kid': key_id})}.{right.split('.')[1]}."


def _with_claims(right: str, claims: Mapping[str, Any]) -> str:
    header, _, signature = right.split(".")
    return f"{header}.{_part(claims)}.{signature}"


def _signed_by_the_public_key(right: str, certificate: str, key_id: str) -> str:
    """What a verifier takes that lets the token choose the algorithm: to it, the public key is a shared secret."""
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    public = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': key_id})}.{right.split('.')[1]}"
    return f"{signed}.{_part(hmac.digest(public, signed.encode(), hashlib.sha256))}"
