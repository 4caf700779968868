"""An anonymous visitor becomes a user: the two profiles made one, as a pure function."""

import msgspec

from functions.evaluate.fold import Folded, announced, succeeded
from functions.evaluate.past import Past
from functions.evaluate.work import Work
from segue.catalogs import Compiled
from segue.domain import rules
from segue.domain.document import Link, Prepared, Redirect, StateDocument
from segue.domain.message import LinkRequested
from segue.domain.profile import ProfileRef


class Joined(msgspec.Struct, frozen=True):
    """The user's document, with all that both did, and the anonymous visitor's, which is a redirect to it."""

    known: Folded
    anonymous: Folded


def joined(
    request: LinkRequested,
    known: StateDocument | None,
    anonymous: StateDocument | None,
    compiled: Compiled,
    past: Past | None = None,
) -> Joined:
    """The documents once the request is carried out; neither has to have been there.

    Those who follow the user are told in what the memberships now differ, those who follow the anonymous visitor that
    it leaves every segment. Raises PastNeeded if a history has to be looked up first, and Unavailable if what was found
    is less than the state has folded.
    """
    ours = _state(request.key, known, compiled, past)
    theirs = _state(request.anonymous_key, anonymous, compiled, past)
    at = max(request.at, theirs.instant)  # all that the anonymous visitor's state has is the user's from now on
    merged = _merged(compiled.program, ours, theirs, at)
    left = rules.succeed(compiled.program, theirs, rules.empty(), merged.instant)
    user = known or _new(request.profile, request)
    user = msgspec.structs.replace(
        user,
        prepared=_prepared(known, anonymous, compiled, at),
        linked=(*user.linked, Link(request.anonymous_key, at)),
    )
    visitor = msgspec.structs.replace(
        anonymous or _new(request.anonymous, request),
        prepared=Prepared(compiled.version, rules.encode(rules.empty())) if compiled.prepared else None,
        redirect=Redirect(request.key, request.profile, at),
    )
    return Joined(
        known=announced(request.key, user, merged, compiled),
        anonymous=announced(request.anonymous_key, visitor, left, compiled),
    )


def _state(key: str, before: StateDocument | None, compiled: Compiled, past: Past | None) -> rules.State:
    if before is None:
        return rules.empty()
    return succeeded(Work(key=key, delivery="", past=past), before, rules.decode(before.state), compiled)


def _merged(program: rules.Program, ours: rules.State, theirs: rules.State, at: int) -> rules.State:
    return rules.fold(program, rules.merge(program, ours, theirs), (), at=at)


def _prepared(
    known: StateDocument | None, anonymous: StateDocument | None, compiled: Compiled, at: int
) -> Prepared | None:
    """What is prepared of both, merged too; None if that of either has yet to be looked up."""
    if compiled.prepared is None:
        return None
    found = [rules.empty() if each is None else _prepared_of(each, compiled) for each in (known, anonymous)]
    ours, theirs = found
    if ours is None or theirs is None:
        return None
    merged = rules.drained(_merged(compiled.prepared, ours, theirs, at))
    return Prepared(compiled.version, rules.encode(merged))


def _prepared_of(before: StateDocument, compiled: Compiled) -> rules.State | None:
    if before.prepared is None or before.prepared.catalog != compiled.version:
        return None
    return rules.decode(before.prepared.state)


def _new(profile: ProfileRef, request: LinkRequested) -> StateDocument:
    """The document of a profile of which there is none yet."""
    return StateDocument(profile=profile, state=b"", catalog=0, rev=0, imported=request.imported)
