"""Whom a question is about: a user id, an anonymous id, or both, as whoever asks around a login knows both."""

import msgspec

from segue.domain import experiment
from segue.domain.profile import ProfileRef


class Names(msgspec.Struct, frozen=True):
    """The profiles that may answer: the first one that is known does. `anonymous_id`, if one is named."""

    profiles: tuple[ProfileRef, ...]
    anonymous_id: str | None = None

    def bucketing_id(self, settled: str | None) -> str:
        """What the visitor is bucketed by in experiments; `settled` is what a known one is."""
        return experiment.bucketing_id(self.profiles[0], self.anonymous_id, settled)


def names(user_id: str | None, anonymous_id: str | None, own: ProfileRef | None) -> Names | None:
    """Whom a question is about that names these ids; None if it names nobody.

    A browser is answered about its `own` visitor alone. What it says of an anonymous id beside a user's is only what
    they are bucketed by, which tells of nobody.
    """
    user = ProfileRef("user_id", user_id) if user_id else None
    anonymous = ProfileRef("anonymous_id", anonymous_id) if anonymous_id else None
    if own is not None:
        return Names((own,), anonymous_id)
    profiles = tuple(filter(None, (user, anonymous)))
    return Names(profiles, anonymous_id) if profiles else None
