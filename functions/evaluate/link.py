"""An anonymous visitor becomes a user, or never was: two profiles made one, or two again, as pure functions."""

from collections.abc import Sequence
from operator import attrgetter

import msgspec

from functions.evaluate.fold import Folded, announced, succeeded
from functions.evaluate.past import Past, PastNeeded, keys_of
from functions.evaluate.work import Work
from segue.catalogs import Compiled
from segue.domain import links, rules
from segue.domain.document import Link, Prepared, Redirect, StateDocument
from segue.domain.errors import Unavailable
from segue.domain.message import LinkRequested, LinkWithdrawn
from segue.domain.profile import ProfileRef
from segue.ports import Document


class Pair(msgspec.Struct, frozen=True):
    """An anonymous visitor and a user of whom something is asked: their documents, stored and read, and the ledger."""

    request: links.Request
    visitor: Document | None
    anonymous: StateDocument | None
    user: Document | None
    known: StateDocument | None
    noted: Document | None
    ledger: links.Ledger

    @property
    def newest(self) -> StateDocument | None:
        """The document that the newest version of the catalogue folded."""
        there = [each for each in (self.known, self.anonymous) if each]
        return max(there, key=attrgetter("catalog"), default=None)

    @property
    def keys(self) -> Sequence[str]:
        """The keys under which the messages of both were archived."""
        return [*(keys_of(self.request.key, self.known) if self.known else ()), self.request.anonymous_key]


class Related(msgspec.Struct, frozen=True):
    """The user's document and the anonymous visitor's, as they are to be written."""

    known: Folded
    anonymous: Folded


def joined(request: LinkRequested, pair: Pair, compiled: Compiled, past: Past | None) -> Related:
    """The documents once the two are one: the user's with all that both did, the visitor's a redirect to it.

    Neither has to have been there. Those who follow the user are told in what the memberships now differ, those who
    follow the anonymous visitor that it leaves every segment. Raises PastNeeded if a history has to be looked up first,
    and Unavailable if what was found is less than a state has folded.
    """
    seen_as = request.anonymous.value
    known, anonymous = _whose(pair.known, request.profile, seen_as), _whose(pair.anonymous, request.anonymous)
    ours = _state(request.key, known, compiled, past)
    theirs = _state(request.anonymous_key, anonymous, compiled, past)
    at = max(request.at, theirs.instant)  # all that the anonymous visitor's state has is the user's from now on
    merged = _merged(compiled.program, ours, theirs, at)
    left = rules.succeed(compiled.program, theirs, rules.empty(), merged.instant)
    user = known or _new(request.profile, request, seen_as)
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
    return Related(
        known=announced(request.key, user, merged, compiled),
        anonymous=announced(request.anonymous_key, visitor, left, compiled),
    )


def parted(request: LinkWithdrawn, pair: Pair, compiled: Compiled, past: Past | None) -> Related:
    """The documents once the two are two again, each folded anew from what was archived under its own keys.

    What both announced stands; in what they now differ is announced. A user who was bucketed by the visitor's id is
    bucketed by their own. Raises as `joined` does.
    """
    if past is None or pair.known is None or pair.anonymous is None:
        raise PastNeeded
    linked = tuple(link for link in pair.known.linked if link.key != request.anonymous_key)
    seen_as = pair.known.bucketing_id
    user = msgspec.structs.replace(
        pair.known, linked=linked, bucketing_id=None if seen_as == request.anonymous.value else seen_as
    )
    visitor = msgspec.structs.replace(pair.anonymous, redirect=None)
    whole = (*past.of(request.key, pair.known), *past.of(request.anonymous_key, visitor))
    return Related(
        known=_anew(request.key, user, whole, compiled, past),
        anonymous=_anew(request.anonymous_key, visitor, whole, compiled, past),
    )


def _anew(key: str, document: StateDocument, whole: Sequence[rules.Delivery], compiled: Compiled, past: Past) -> Folded:
    """A profile folded anew from its own part of what was archived of both, of which its state may know all."""
    before = rules.decode(document.state)
    if not rules.reaches(whole, before):
        raise Unavailable("the archive does not have all of the profile's events yet")
    history = past.of(key, document)
    after = rules.succeed(compiled.program, before, rules.refolded(compiled.program, history))
    prepared = rules.refolded(compiled.prepared, history) if compiled.prepared else None
    ready = Prepared(compiled.version, rules.encode(prepared)) if prepared else None
    return announced(key, msgspec.structs.replace(document, prepared=ready), after, compiled)


def _whose(before: StateDocument | None, profile: ProfileRef, bucketing_id: str | None = None) -> StateDocument | None:
    """The document; if it was erased, one of this profile that begins anew."""
    if before is None or not before.is_erased:
        return before
    return msgspec.structs.replace(before, profile=profile, bucketing_id=bucketing_id)


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


def _new(profile: ProfileRef, request: LinkRequested, bucketing_id: str | None = None) -> StateDocument:
    """The document of a profile of which there is none yet."""
    return StateDocument(
        profile=profile, state=b"", catalog=0, rev=0, imported=request.imported, bucketing_id=bucketing_id
    )
