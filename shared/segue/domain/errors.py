"""Every error Segue raises on purpose, as one small tree.

SegueError
├── Rejected      it will never be right: answer 4xx, or record it in failed_events and acknowledge
│   ├── Invalid          the input breaks a rule; carries the path, what was expected and what was found
│   ├── Unauthorized     no key, or a key that is not known or may not do this
│   ├── NotFound         the thing asked for does not exist
│   └── TooLarge         more bytes, events or nesting than allowed
├── Throttled     too many requests just now; carries the seconds to wait
└── Unavailable   try again: the store, the bus or a destination does not answer, or another writer came first
    └── Conflict         a conditional write found a newer version
"""


class SegueError(Exception):
    """The root of every error Segue raises on purpose."""


class Rejected(SegueError):
    """Will never be right, however often it is sent."""


class Invalid(Rejected):
    """The input breaks a rule: `path` names the part, the message says what was expected and what was found."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.message = message
        self.path = path

    def under(self, part: str) -> "Invalid":
        """The same error seen from outside: `part` goes in front of its path."""
        return Invalid(self.message, f"{part}.{self.path}" if self.path else part)


class Unauthorized(Rejected):
    """No key, or one that is not known or may not do this."""


class NotFound(Rejected):
    """The thing asked for does not exist."""


class TooLarge(Rejected):
    """More bytes, events or nesting than allowed."""


class Throttled(SegueError):
    """Too many requests just now; worth sending again after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(SegueError):
    """Worth trying again: something we depend on does not answer, or is overloaded."""


class Conflict(Unavailable):
    """A conditional write found that the document had changed since it was read."""
