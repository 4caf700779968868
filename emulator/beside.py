"""What runs beside the platform, in a process of its own: the magazine, a site that is made with a CMS."""

import importlib.util
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from emulator.server import listening
from segue.domain.errors import Unavailable

ENDED_WITHIN_S = 10.0
NEEDED = ("wagtail", "openfeature")


def require(packages: Sequence[str]) -> None:
    """Raises Unavailable, which names those of the packages that are not installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise Unavailable(f"--cms needs {' and '.join(missing)}, not installed here; try: pip install 'segue[cms]'")


def listening_next_to(port: int) -> socket.socket:
    """A socket for the magazine: on the next port, or on a free one if that is taken or `port` is 0.

    Raises Unavailable if what the magazine is made with is not installed.
    """
    require(NEEDED)
    with suppress(Unavailable):
        return listening(port + 1 if port else 0)
    return listening(0)


def address(listener: socket.socket) -> str:
    return "http://{}:{}".format(*listener.getsockname())


@contextmanager
def magazine(listener: socket.socket, segue: str, data: Path) -> Iterator[None]:
    """For as long as the block lasts the magazine answers on this listener, which it takes over, and asks this Segue.

    It prints its address once it answers.
    """
    descriptor = listener.fileno()
    options = ("--socket", str(descriptor), "--segue", segue, "--data", str(data))
    command = [sys.executable, "-m", "emulator.cms", *options]
    with subprocess.Popen(command, pass_fds=[descriptor]) as process:  # noqa: S603 (this very program)
        listener.close()
        try:
            yield
        finally:
            process.terminate()
            process.wait(ENDED_WITHIN_S)
