"""Google's ports together: what the wiring opens, for the cloud and for the emulators alike."""

import os
from collections.abc import Mapping

from segue.adapters.google.bus import PubsubBus
from segue.adapters.google.catalog import FirestoreCatalog
from segue.adapters.google.connection import (
    DEADLINE_S,
    close,
    firestore_client,
    meaning,
    publisher_client,
    subscriber_client,
)
from segue.adapters.google.store import FirestoreStore
from segue.observed import ObservedStore


class GooglePlatform:
    """`store`, `bus` and `catalog` over one connection to Firestore and two to Pub/Sub; `catalog_store` has the
    catalogue's documents.

    They belong to the event loop that runs when they are opened.
    """

    def __init__(
        self, project: str, catalog_database: str, firestore: str | None, pubsub: str | None, deadline_s: float
    ) -> None:
        self._firestore = firestore_client(firestore)
        self._pubsub = publisher_client(pubsub)
        self._subscriber = subscriber_client(pubsub)
        self.store = FirestoreStore(self._firestore, project, "(default)", deadline_s=deadline_s)
        self.bus = PubsubBus(self._pubsub, self._subscriber, project, deadline_s=deadline_s)
        self.catalog_store = ObservedStore(
            FirestoreStore(self._firestore, project, catalog_database, deadline_s=deadline_s)
        )
        self.catalog = FirestoreCatalog(self.catalog_store)

    @classmethod
    def open(
        cls,
        project: str,
        catalog_database: str,
        *,
        environment: Mapping[str, str] = os.environ,
        deadline_s: float = DEADLINE_S,
    ) -> "GooglePlatform":
        """`FIRESTORE_EMULATOR_HOST` and `PUBSUB_EMULATOR_HOST` (host:port) lead to the emulators, as in every client of
        Google's; without them it is the cloud. Nothing is connected until the first call. Raises Unavailable if the
        cloud is to be reached and there are no credentials."""
        firestore, pubsub = environment.get("FIRESTORE_EMULATOR_HOST"), environment.get("PUBSUB_EMULATOR_HOST")
        with meaning("looking for credentials"):
            return cls(project, catalog_database, firestore, pubsub, deadline_s)

    async def close(self) -> None:
        await close(self._firestore)
        await close(self._pubsub)
        await close(self._subscriber)
