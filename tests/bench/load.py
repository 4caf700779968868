"""Load on one address: keep-alive connections that each send the next request as soon as the answer is there.

`python -m tests.bench.load HOST PORT CONNECTIONS SECONDS < REQUEST` reads one whole HTTP request. A `{n:012}` in it is
replaced by a number that no other request has. Prints one JSON line: answers, seconds, and how often each status came.
Written on the bare transport, so that the client costs little beside the server it measures.
"""

import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import cast

import uvloop

NUMBER = b"{n:012}"


def requests(template: bytes) -> Callable[[], bytes]:
    """The next request at each call."""
    if NUMBER not in template:
        return lambda: template
    parts = template.split(NUMBER)
    numbers = itertools.count(time.time_ns() % 1_000_000 * 100_000)
    return lambda: (b"%012d" % next(numbers)).join(parts)


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, following: Callable[[], bytes], statuses: Counter[int]) -> None:
        self._following = following
        self._statuses = statuses
        self._read = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._following())

    def data_received(self, data: bytes) -> None:
        self._read += data
        head = self._read.find(b"\r\n\r\n")
        if head < 0 or len(self._read) < head + 4 + _content_length(self._read[:head]):
            return
        self._statuses[int(self._read[9:12])] += 1
        self._read.clear()
        self._transport.write(self._following())

    def close(self) -> None:
        self._transport.abort()


def _content_length(head: bytearray) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


async def load(host: str, port: int, connections: int, seconds: float, template: bytes) -> dict[str, object]:
    """Send for that long, and say what came back."""
    loop = asyncio.get_running_loop()
    statuses: Counter[int] = Counter()
    following = requests(template)
    opened = [
        (await loop.create_connection(lambda: Connection(following, statuses), host, port))[1]
        for _ in range(connections)
    ]
    started = time.perf_counter()
    await asyncio.sleep(seconds)
    elapsed = time.perf_counter() - started
    answers = dict(statuses)
    for connection in opened:
        connection.close()
    return {"answers": sum(answers.values()), "seconds": elapsed, "statuses": answers}


if __name__ == "__main__":
    host, port, connections, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    print(json.dumps(uvloop.run(load(host, port, connections, seconds, sys.stdin.buffer.read()))))
