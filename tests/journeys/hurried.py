"""Questions over several connections, and of every answer how long it took by the asker's clock."""

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from emulator.client import DEMO_SECRET_KEY

CONNECTIONS = 16


class Answered(NamedTuple):
    """An answer, and how many ms there were between the last byte of the question and the last of the answer."""

    status: int
    body: bytes
    ms: float


def post(path: str, body: Mapping[str, Any], key: str = DEMO_SECRET_KEY) -> bytes:
    """A whole request."""
    content = json.dumps(body).encode()
    authorization = b64encode(f"{key}:".encode()).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: shop.example\r\nAuthorization: Basic {authorization}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def asked(url: str, questions: Sequence[bytes]) -> list[Answered]:
    """Send each of the questions once, over connections that stay open."""
    host, port = url.removeprefix("http://").split(":")
    waiting = iter(questions)

    async def connection() -> list[Answered]:
        reader, writer = await asyncio.open_connection(host, int(port))
        answers = [await _answer(reader, writer, question) for question in waiting]
        writer.close()
        return answers

    found = await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return [answer for answers in found for answer in answers]


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, question: bytes) -> Answered:
    began = time.perf_counter()
    writer.write(question)
    status, *headers = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    length = next(int(line.partition(b":")[2]) for line in headers if line.startswith(b"content-length:"))
    body = await reader.readexactly(length)
    return Answered(int(status.split()[1]), body, (time.perf_counter() - began) * 1_000)
