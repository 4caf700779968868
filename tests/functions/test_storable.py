"""Whatever ingest accepts can be stored: the real Firestore emulator takes all that it leads to."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import pytest

from emulator.catalog import load
from emulator.google_emulators import GoogleEmulators
from functions.evaluate.evaluate import Evaluator
from functions.update.update import Updater
from segue.adapters.embedded.archive import ArchiveFile
from segue.adapters.google.platform import GooglePlatform
from segue.adapters.system import SystemClock
from segue.adapters.web import WebHttp, WebObjects
from segue.catalogs import Catalogs
from segue.domain.call import Reception
from segue.domain.errors import Unavailable
from segue.domain.message import MEMBERSHIP_CHANGED
from segue.domain.time import DAY
from segue.ports import Message, Ports
from tests.functions.ingesting import NOW
from tests.functions.mutated_bodies import answered, mutated
from tests.project.files import ROOT

pytestmark = [pytest.mark.google, pytest.mark.slow]

SAMPLES = int(os.environ.get("SAMPLES", "20000"))
SEED = int(os.environ.get("SEED", "5"))
AT_ONCE = 16
UNHURRIED_S = 60.0


class Published:
    """`ports.Bus`: what evaluate announces, kept for update."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def publish(self, _topic: str, messages: Sequence[Message]) -> None:
        self.messages.extend(messages)

    async def listen(self, topic: str, name: str, begun: object, hear: object) -> None:  # noqa: ARG002  # nobody is heard
        raise Unavailable(f"{name}: nobody listens to {topic}")


def accepted() -> Iterator[Sequence[Message]]:
    """The messages of each sample, whose profiles are its own: the secret that keys are derived with is."""
    for number, sent in enumerate(mutated(SEED)):
        reception = Reception(
            source="shop", trusted=number % 2 == 0, imported=sent.address == "import", received_at=NOW, max_age=30 * DAY
        )
        found = answered(sent, reception, f"the secret of sample {number}".encode())
        if found:
            yield [
                Message(id=f"{number}-{index}", type=each.type, source=each.source, time=each.time, data=each.data)
                for index, each in enumerate(found.messages)
            ]


@asynccontextmanager
async def ports(folder: Path, emulators: GoogleEmulators, project: str) -> AsyncIterator[tuple[Ports, Published]]:
    google = GooglePlatform.open(project, "catalog", environment=emulators.environment, deadline_s=UNHURRIED_S)
    archive, http, bus = ArchiveFile.open(folder), WebHttp(), Published()
    yield (
        Ports(
            store=google.store,
            bus=bus,
            archive=archive,
            catalog=google.catalog,
            http=http,
            objects=WebObjects({}),
            clock=SystemClock(),
        ),
        bus,
    )
    await http.close()
    await archive.close()
    await google.close()


async def test_the_real_store_takes_all_that_accepted_bodies_lead_to(
    tmp_path: Path, emulators: GoogleEmulators, project: str
) -> None:
    """`SAMPLES` and `SEED` choose how many, and others."""
    async with ports(tmp_path, emulators, project) as (opened, bus):
        await opened.catalog.publish(load(ROOT / "infra" / "catalog"))
        evaluate, update = Evaluator(opened, Catalogs(opened.catalog, opened.clock)), Updater(opened)
        samples = islice(accepted(), SAMPLES)
        stored = 0

        async def store() -> None:
            nonlocal stored
            for messages in samples:
                for message in messages:
                    await evaluate(message)
                stored += 1

        async def show() -> None:
            for message in changed:
                await update(message)

        await asyncio.gather(*(store() for _ in range(AT_ONCE)))
        snapshots = [message for message in bus.messages if message.type == MEMBERSHIP_CHANGED]
        changed = iter(snapshots)
        await asyncio.gather(*(show() for _ in range(AT_ONCE)))
    assert stored == SAMPLES
    assert snapshots
