"""Plain calls of Segue with the secret key, for what is no flag."""

from typing import Any

import httpx
from django.conf import settings

ANSWERED_WITHIN_S = 2.0


def call(method: str, path: str, body: object = None) -> Any:
    """What Segue answers. Raises httpx.HTTPError if it refuses, does not answer, or another answers for it."""
    site = settings.SITE
    headers = {"authorization": f"Bearer {site.secret_key}"}
    with httpx.Client(base_url=site.segue, headers=headers, timeout=ANSWERED_WITHIN_S, trust_env=False) as http:
        answer = http.request(method, path, json=body)
        answer.raise_for_status()
        try:
            return answer.json()
        except ValueError:
            raise httpx.DecodingError("expected JSON, found something else", request=answer.request) from None
