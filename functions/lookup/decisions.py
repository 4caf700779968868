"""The address of decisions: what fills each slot for a visitor, in time."""

import asyncio
from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from functions.lookup import asked
from functions.lookup.admission import admit
from functions.lookup.answers import answered
from functions.lookup.decide import Question, decide
from functions.lookup.lookup import Lookup
from segue import entrypoint
from segue.domain.identity import identifier
from segue.domain.profile import profile_key

IN_TIME = 0.9
"""The part of the deadline after which a decision is made, so that it has arrived by the deadline."""

FOR_A_NEWER_CATALOG = 0.3
"""The part of the deadline that a stale catalogue may take to be read again; the first may take all of it."""


class Decisions:
    """Answers questions of who has the secret key."""

    def __init__(self, platform: entrypoint.Serving, lookup: Lookup) -> None:
        self._key_of = partial(profile_key, platform.settings.profile_secret)
        self._catalogs = platform.catalogs
        self._lookup = lookup

    @property
    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/v1/decide", self.decide, methods=["POST"])]

    async def decide(self, request: Request) -> Response:
        """POST /v1/decide: what fills each slot. The deadline counts from when the question has arrived."""
        question = await asked.body(request, Question)
        profile = asked.one_profile(question.profile)
        question = replace(question, after=identifier(question.after, "after"))
        seconds = question.deadline_ms / 1_000
        deadline = asyncio.get_running_loop().time() + seconds * IN_TIME
        patience_s = seconds * (FOR_A_NEWER_CATALOG if self._catalogs.held else IN_TIME)
        compiled = await self._catalogs.current(patience_s)
        admit(request, compiled)
        return answered(await decide(question, self._key_of(profile), compiled, self._lookup, deadline))
