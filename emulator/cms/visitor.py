"""Whose request it is: nothing but its cookies says so, and what is made for one visitor is marked as theirs."""

import re
from typing import Any

ANONYMOUS_ID = "segue_anonymous_id"
"""The tracker's cookie, which is there once the visitor has agreed."""

LAST_MESSAGE = "last_message"
"""The page's own: the message that the next page should know of."""

_ID = re.compile(r"[\w.-]{1,100}", re.ASCII)


def anonymous_id(request: Any) -> str | None:
    """None until the visitor may be recognised. Whoever asks makes an answer that belongs in nobody's cache."""
    request.is_personalised = True
    return _named(request, ANONYMOUS_ID)


def last_message(request: Any) -> str | None:
    """What the answer should know of, if that is soon."""
    return _named(request, LAST_MESSAGE)


def _named(request: Any, cookie: str) -> str | None:
    found = request.COOKIES.get(cookie, "")
    return found if _ID.fullmatch(found) else None
