"""How Google's services are reached, and what their errors mean to us.

The generated asyncio clients are used without the hand-written layers above them, and requests are built as plain
protocol buffers: together that halves the CPU of a read and a conditional write, and takes a publish to a quarter.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc  # type: ignore[import-untyped]  # it has no stubs
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcAsyncIOTransport
from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport

from segue.domain.errors import Conflict, Rejected, SegueError, Unavailable

DEADLINE_S = 5.0
"""How long one call may take: long for Google, short for a push or a visitor that waits on it."""

Meanings = Mapping[type[Exception], type[SegueError]]

CALL: Meanings = {exceptions.InvalidArgument: Rejected, exceptions.OutOfRange: Rejected}
"""What errors mean: everything unnamed is Unavailable. A missing permission, topic or database is, too: the message is
still good once that has been put right."""

CONDITIONAL_WRITE: Meanings = {
    **CALL,
    exceptions.FailedPrecondition: Conflict,
    exceptions.AlreadyExists: Conflict,
    exceptions.NotFound: Conflict,
    exceptions.Aborted: Conflict,
}

_CHANNEL_OPTIONS = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]


@contextmanager
def meaning(what: str, meanings: Meanings = CALL) -> Iterator[None]:
    """Raise what an error of Google's clients inside means to us, with what was being done and the kind of error.

    Google's own words, in which addresses and projects are, go into a note: callers are not told, operators are.
    """
    try:
        yield
    except (exceptions.GoogleAPIError, GoogleAuthError) as error:
        found = meanings.get(type(error), Unavailable)(f"{what}: {type(error).__name__}")
        found.add_note(str(error))
        raise found from error


def firestore_client(emulator: str | None) -> FirestoreAsyncClient:
    """Of the emulator at `host:port`, or of the cloud with the process's own identity; so are the other two."""
    return FirestoreAsyncClient(transport=_transport(FirestoreGrpcAsyncIOTransport, emulator))


def publisher_client(emulator: str | None) -> PublisherAsyncClient:
    return PublisherAsyncClient(transport=_transport(PublisherGrpcAsyncIOTransport, emulator))


def subscriber_client(emulator: str | None) -> SubscriberAsyncClient:
    return SubscriberAsyncClient(transport=_transport(SubscriberGrpcAsyncIOTransport, emulator))


async def close(client: Any) -> None:
    """End a client's connection; it is not used again."""
    await client.transport.close()


def _transport(transport: Any, emulator: str | None) -> Any:
    if emulator:
        options = [*_CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0)]
        return transport(channel=grpc.aio.insecure_channel(emulator, options=options))
    return transport(channel=transport.create_channel(options=_CHANNEL_OPTIONS))
