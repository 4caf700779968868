"""Which anonymous visitors turned out to be whom: the rules of linking, and the ledger of one user, `links/{key}`.

Only an anonymous visitor becomes a user, and only one user: a user never becomes another one.
"""

from typing import Literal, TypeAlias

import msgspec

from segue.domain.document import Redirect, StateDocument
from segue.domain.errors import Invalid
from segue.domain.message import EventsReceived, LinkRequested, LinkWithdrawn
from segue.domain.profile import Key, ProfileRef

LINKS = "links"
"""The collection."""

MOST_LINKS = 100
"""Anonymous visitors that one user can turn out to have been, withdrawn ones included."""

MOST_REFUSED = 100
"""Refused ones that a ledger shows, the newest; all are counted."""

MOST_REDIRECTS = 3
"""So many redirects a lookup follows. There is never more than one, unless documents are corrupt."""

Status: TypeAlias = Literal["linked", "refused", "withdrawn"]
Refusal: TypeAlias = Literal["of_another_user", "too_many_links", "withdrawn"]
Request: TypeAlias = LinkRequested | LinkWithdrawn


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided of one anonymous visitor and this user: at the instant `at` (epoch ms), because of which call of
    which source (None: it was withdrawn before any call said so)."""

    key: Key
    anonymous: ProfileRef
    status: Status
    at: int
    source: str | None = None
    message_id: str | None = None
    reason: Refusal | None = None
    withdrawn_at: int | None = None


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """All that was decided of one user's links, an entry for each anonymous visitor; `refused` counts all refusals."""

    profile: ProfileRef
    entries: tuple[Entry, ...] = ()
    refused: int = 0

    def of(self, key: str) -> Entry | None:
        """What is known of an anonymous visitor."""
        return next((entry for entry in self.entries if entry.key == key), None)


def path(key: str) -> str:
    """Where the store keeps a user's ledger."""
    return f"{LINKS}/{key}"


def encode(ledger: Ledger) -> bytes:
    """The ledger as the store keeps it."""
    return msgspec.json.encode(ledger)


def decode(data: bytes) -> Ledger:
    """Raises Invalid for corrupt bytes."""
    try:
        return msgspec.json.decode(data, type=Ledger)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"the stored document is corrupt: {error}", path=LINKS) from None


def check(request: Request) -> None:
    """Raises Invalid unless an anonymous visitor is to be linked to a user."""
    if request.anonymous.kind != "anonymous_id" or request.profile.kind != "user_id":
        raise Invalid(
            f"expected an anonymous_id and a user_id, found {request.anonymous.kind} and {request.profile.kind}"
        )


def are_linked(request: Request, anonymous: StateDocument | None) -> bool:
    """Whether the anonymous visitor is linked to this very user."""
    return anonymous is not None and anonymous.redirect is not None and anonymous.redirect.key == request.key


def is_erased(request: Request, *documents: StateDocument | None) -> bool:
    """Whether one of the two was erased since it was asked."""
    return any(each and each.erased_at is not None and request.at <= each.erased_at for each in documents)


def refusal(request: LinkRequested, anonymous: StateDocument | None, ledger: Ledger) -> Refusal | None:
    """Why the two must not be linked; None: they may. What was withdrawn is not linked again, whoever says so when."""
    known = ledger.of(request.anonymous_key)
    if known and known.status == "withdrawn":
        return "withdrawn"
    if anonymous is not None and anonymous.redirect is not None:
        return "of_another_user"
    if sum(entry.status != "refused" for entry in ledger.entries) >= MOST_LINKS:
        return "too_many_links"
    return None


def noted(ledger: Ledger, request: LinkRequested, reason: Refusal | None) -> Ledger:
    """The ledger once a request was done, or refused for this reason: the same one if it has that already."""
    if reason == "withdrawn":
        return ledger
    entry = Entry(
        key=request.anonymous_key,
        anonymous=request.anonymous,
        status="refused" if reason else "linked",
        at=request.at,
        source=request.source,
        message_id=request.message_id,
        reason=reason,
    )
    if entry in ledger.entries:
        return ledger
    entries = [known for known in ledger.entries if known.key != entry.key] + [entry]
    refused = [known for known in entries if known.status == "refused"]
    forgotten = refused[: max(0, len(refused) - MOST_REFUSED)]
    return msgspec.structs.replace(
        ledger,
        entries=tuple(known for known in entries if known not in forgotten),
        refused=ledger.refused + (reason is not None),
    )


def withdrawn(ledger: Ledger, request: LinkWithdrawn) -> Ledger:
    """The ledger once a link was withdrawn, or one that may still come is forestalled: the same one if it has that."""
    known = ledger.of(request.anonymous_key)
    if known is None:
        known = Entry(key=request.anonymous_key, anonymous=request.anonymous, status="linked", at=request.at)
    if known.status == "withdrawn":
        return ledger
    entry = msgspec.structs.replace(known, status="withdrawn", reason=None, withdrawn_at=request.at)
    others = tuple(each for each in ledger.entries if each.key != entry.key)
    return msgspec.structs.replace(ledger, entries=(*others, entry))


def follows(received: EventsReceived, redirect: Redirect) -> bool:
    """Whether what an anonymous visitor did is the user's, too: it is proven to be theirs, or came before the link.

    What comes later without a proof may be anybody's who knows the anonymous id.
    """
    return received.proven or all(event.received_at <= redirect.at for event in received.events)
