"""The address of decisions: what fills each slot for a visitor, in time."""

from collections.abc import Mapping, Sequence
from functools import partial

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from functions.lookup import asked
from functions.lookup.admission import Admission, Asker
from functions.lookup.answers import answered
from functions.lookup.deadline import Deadline
from functions.lookup.decide import Inquiry, Question, decide
from functions.lookup.lookup import Lookup
from segue import entrypoint
from segue.domain.catalog import Catalog
from segue.domain.decision import Decision
from segue.domain.identity import identifier
from segue.domain.profile import profile_key


class Decisions:
    """Answers questions of sites' servers, and of visitors' browsers."""

    def __init__(self, platform: entrypoint.Serving, admission: Admission, lookup: Lookup) -> None:
        self._key_of = partial(profile_key, platform.settings.profile_secret)
        self._platform = platform
        self._admission = admission
        self._lookup = lookup

    @property
    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/v1/decide", self.decide, methods=["POST"])]

    async def decide(self, request: Request) -> Response:
        """POST /v1/decide: what fills each slot. The deadline counts from when the question has arrived."""
        question = await asked.body(request, Question)
        question = replace(question, after=identifier(question.after, "after"))
        deadline = Deadline(question.deadline_ms)
        compiled = await deadline.catalog(self._platform.catalogs)
        who = self._admission.asker(request, compiled)
        names = asked.visitor(question.profile, who.visitor)
        keys = tuple(map(self._key_of, names.profiles))
        inquiry = Inquiry(
            names=names, keys=keys, slots=question.slots, after=question.after, recent=who.visitor is None
        )
        decisions = await decide(inquiry, compiled, self._lookup, deadline.at)
        return answered(_shown_to(who, decisions, compiled.catalog))


def _shown_to(who: Asker, decisions: Mapping[str, Decision], catalog: Catalog) -> Mapping[str, Decision]:
    """A browser is told of public segments only, and whether its visitor is known it is not told."""
    if who.visitor is None:
        return decisions
    return {
        name: replace(
            decision,
            segment=decision.segment if decision.segment and catalog.is_public(decision.segment) else None,
            reason="default" if decision.reason == "unknown_visitor" else decision.reason,
        )
        for name, decision in decisions.items()
    }
