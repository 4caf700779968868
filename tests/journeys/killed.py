"""A Segue in a process of its own that is killed and started again, and visitors who keep sending to it meanwhile."""

import asyncio
import itertools
import random
import signal
import socket
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec

from emulator.client import DEMO_WRITE_KEY
from segue.domain.event import Json
from tests.journeys.running import ROOT, SEGUE

ANSWERED_WITHIN_S = 60.0

BELOW_THE_EPHEMERAL = range(20_000, 32_000)
"""Ports that Linux gives to no outgoing connection."""


def free_port() -> int:
    """A port that nobody listens on just now, and that no connection is given while a process is away from it."""
    for port in random.SystemRandom().sample(BELOW_THE_EPHEMERAL, 100):
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
    raise OSError("expected a free port, found none")


class Segue:
    """One data folder on one port, with at most one process."""

    def __init__(self, port: int, data: Path, catalog: Path = Path("infra/catalog")) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._command = [SEGUE, "run", "--port", str(port), "--data", str(data), "--catalog", str(catalog)]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
        )

    async def end(self, number: signal.Signals) -> int:
        """Send the signal and wait for the end; the exit status. Without a process it is 0."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        return await process.wait()


class Sent(msgspec.Struct, frozen=True):
    """An event that was answered 200: whose it is, and whether it came too late to count."""

    visitor: str
    message_id: str
    late: bool


class Visitors:
    """Sends batches over several connections, each again with the same ids until it is answered 200, as SDKs do.

    Among the events are copies, some that can never be accepted, and of every tenth visitor some that come too late.
    """

    def __init__(self, url: str, seed: int, connections: int = 8, visitors: int = 100) -> None:
        self._url = url
        self._random = random.Random(seed)
        self._connections = connections
        self._visitors = visitors
        self._numbers = itertools.count()
        self._ids: defaultdict[str, list[str]] = defaultdict(list)
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._answered = asyncio.Condition()
        self._answers = 0
        self.accepted: set[Sent] = set()
        self.unanswered = 0
        """How many requests had no answer."""

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._send()) for _ in range(self._connections)]

    async def until_answered(self, more: int) -> None:
        """Wait until so many more batches have been answered 200."""
        enough = self._answers + more
        async with asyncio.timeout(ANSWERED_WITHIN_S), self._answered:
            await self._answered.wait_for(lambda: self._answers >= enough)

    async def stop(self) -> None:
        """Send nothing new, and let what was sent be answered."""
        self._stopping = True
        await asyncio.gather(*self._tasks)

    async def _send(self) -> None:
        async with httpx.AsyncClient(base_url=self._url, auth=(DEMO_WRITE_KEY, ""), trust_env=False) as http:
            while not self._stopping:
                number = self._random.randrange(self._visitors)
                sent = [self._next(f"visitor-{number}", number % 10 == 0) for _ in range(self._random.randint(1, 5))]
                await self._send_until_accepted(http, [*map(self._call, sent), *self._unacceptable()])
                self.accepted.update(sent)
                async with self._answered:
                    self._answers += 1
                    self._answered.notify_all()

    async def _send_until_accepted(self, http: httpx.AsyncClient, calls: Sequence[dict[str, Json]]) -> None:
        while True:
            batch = {"batch": calls, "sentAt": datetime.now(UTC).isoformat()}
            try:
                answer = await http.post("/v1/batch", content=msgspec.json.encode(batch))
            except httpx.TransportError:
                self.unanswered += 1
                await asyncio.sleep(0.05)
                continue
            assert answer.status_code in (200, 503), answer.text
            if answer.status_code == 200:
                return

    def _next(self, visitor: str, some_late: bool) -> Sent:
        """The visitor's next event: now and then with the id of an earlier one."""
        ids = self._ids[visitor]
        if not ids or self._random.random() > 0.1:
            ids.append(f"m{next(self._numbers)}")
            return Sent(visitor, ids[-1], some_late and self._random.random() < 0.5)
        return Sent(visitor, self._random.choice(ids), some_late)

    def _call(self, sent: Sent) -> dict[str, Json]:
        happened = datetime.now(UTC) - (timedelta(days=40) if sent.late else timedelta())
        return {
            "type": "track",
            "anonymousId": sent.visitor,
            "messageId": sent.message_id,
            "timestamp": happened.isoformat(),
            "event": self._random.choice(["Product Added", "Order Completed", "Product Viewed"]),
            "properties": {"product_id": f"p{self._random.randrange(20)}", "revenue": self._random.randrange(1, 300)},
        }

    def _unacceptable(self) -> Sequence[dict[str, Json]]:
        return [{"type": "track", "event": "Nobody's"}] if self._random.random() < 0.1 else []
