"""The keys that an Authorization header may carry."""

import base64
import binascii


def basic_user(authorization: str) -> str:
    """The user name of Basic authentication, with or without the colon and a password behind it; empty if there is
    none."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def bearer_token(authorization: str) -> str:
    """The token of Bearer authentication; empty if there is none."""
    scheme, _, token = authorization.partition(" ")
    return token if scheme.lower() == "bearer" else ""
