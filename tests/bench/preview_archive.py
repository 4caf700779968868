"""The shop log in an archive, in messages of up to five events, made once and kept in the temporary folder."""

import asyncio
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from segue.adapters.embedded.archive import ArchiveFile
from segue.domain.event import Event
from segue.domain.message import EVENTS, EVENTS_RECEIVED, EventsReceived
from segue.domain.profile import ProfileRef
from segue.ports import Message

TOGETHER = 5

APPENDED = 10_000


class Row(msgspec.Struct):
    """A line of the log."""

    event_id: str
    ts: int
    visitor_id: str
    type: str
    category: str | None = None
    product_id: str | None = None
    pct: int | None = None


def archive_of(log: Path) -> Path:
    """The data folder with the log's events in its archive, sealed."""
    folder = Path(tempfile.gettempdir()) / f"segue-bench-archive-{log.stem}"
    if not (folder / "done").exists():
        asyncio.run(_fill(folder, log))
        (folder / "done").touch()
    return folder


async def _fill(folder: Path, log: Path) -> None:
    archive = ArchiveFile.open(folder)
    waiting: list[Message] = []
    for message in _messages(log):
        waiting.append(message)
        if len(waiting) == APPENDED:
            await archive.append(EVENTS, waiting)
            await archive.seal()
            waiting = []
    await archive.append(EVENTS, waiting)
    await archive.seal()
    await archive.close()


def _messages(log: Path) -> Iterator[Message]:
    decode = msgspec.json.Decoder(Row).decode
    gathered: dict[str, list[Event]] = {}
    with log.open("rb") as lines:
        for line in lines:
            row = decode(line)
            events = gathered.setdefault(row.visitor_id, [])
            events.append(_event(row))
            if len(events) == TOGETHER:
                yield _message(row.visitor_id, gathered.pop(row.visitor_id))
    for visitor, events in gathered.items():
        yield _message(visitor, events)


def _event(row: Row) -> Event:
    """The line as an event that was received when it happened."""
    properties = {"category": row.category, "product_id": row.product_id, "pct": row.pct}
    return Event(
        message_id=row.event_id,
        name=row.type,
        occurred_at=row.ts,
        received_at=row.ts,
        anonymous_id=row.visitor_id,
        properties={name: value for name, value in properties.items() if value is not None},
    )


def _message(visitor: str, events: list[Event]) -> Message:
    body = EventsReceived(
        key=hashlib.blake2b(visitor.encode(), digest_size=16).hexdigest(),
        profile=ProfileRef("anonymous_id", visitor),
        source="shop",
        events=tuple(events),
        imported=True,
    )
    return Message(
        id=events[0].message_id,
        type=EVENTS_RECEIVED,
        source="//bench",
        time=events[-1].received_at,
        data=msgspec.json.encode(body),
    )
