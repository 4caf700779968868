"""Whether a store is worth waiting for: one that has failed for a while is known to be down, and only tried."""

FAILURES = 5
DOWN_AFTER_MS = 500
"""So many reads in a row have to fail, over so long a time: a moment's trouble costs nobody their content."""

TRY_EVERY_MS = 250
"""How often one read tries a store that is down."""


class Breaker:
    """What has become of the reads of one store. Instants are in epoch ms, of a clock that may be put back.

    A store is down once reads have failed for `DOWN_AFTER_MS`, `FAILURES` at least and none succeeding among them; the
    first that succeeds ends it.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._failing_since = 0
        self._tried_at = 0

    def admits(self, now: int) -> bool:
        """Whether to read: every time while the store answers, now and then while it is down."""
        if self._failures < FAILURES or 0 <= now - self._failing_since < DOWN_AFTER_MS:
            return True
        if 0 <= now - self._tried_at < TRY_EVERY_MS:
            return False
        self._tried_at = now
        return True

    def succeeded(self) -> None:
        """A read was answered."""
        self._failures = 0

    def failed(self, now: int) -> None:
        """A read was not answered, or not before its reader gave up."""
        if self._failures == 0:
            self._failing_since = now
        self._failures += 1
