"""How spans reach Google's Telemetry API: as any other caller, with the credentials of the service account."""

import google.auth
from google.auth.transport.requests import AuthorizedSession

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]


def session() -> AuthorizedSession:
    """A session whose requests carry the token of where this runs. Nothing is asked for before the first request."""
    credentials, _ = google.auth.default(scopes=SCOPES)
    return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
