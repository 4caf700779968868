"""How often a sender may come: a bounded table of allowances, with the time as an argument."""

import math
from collections import OrderedDict
from collections.abc import Hashable

from segue.domain.errors import Throttled
from segue.domain.time import SECOND

MOST_SENDERS = 100_000
"""Beyond that the sender that has been quiet longest is forgotten, and so may send a full burst again."""


class Allowances:
    """Per sender: `burst` requests at once, and `per_second` on average.

    The generic cell rate algorithm (ITU-T I.371): of each sender only the instant is kept at which its whole burst is
    allowed again. Kept in one process; several of them allow as many times as much.
    """

    def __init__(self, most_senders: int = MOST_SENDERS) -> None:
        self._restored_at: OrderedDict[Hashable, float] = OrderedDict()
        self._most_senders = most_senders

    def take(self, sender: Hashable, per_second: int, burst: int, now: int) -> None:
        """Count one request, at `now` in epoch ms. Raises Throttled, and then it does not count."""
        interval = SECOND / per_second
        # Never further away than a used-up burst is, even if the clock has gone back.
        restored_at = min(max(self._restored_at.get(sender, 0), now), now + burst * interval)
        wait = restored_at - now - (burst - 1) * interval
        self._restored_at[sender] = restored_at if wait > 0 else restored_at + interval
        self._restored_at.move_to_end(sender)
        if len(self._restored_at) > self._most_senders:
            self._restored_at.popitem(last=False)
        if wait > 0:
            raise Throttled("too many requests", retry_after=math.ceil(wait / SECOND))
