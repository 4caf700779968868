"""A deployment on Google Cloud as an operator reaches it: with their own credentials, and looked at before it is used.

`FIRESTORE_EMULATOR_HOST` and `PUBSUB_EMULATOR_HOST` lead to the emulators, which ask for none.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from emulator.options import Deployment
from segue.domain.document import FAILED_EVENTS
from segue.domain.errors import NotFound, Unavailable
from segue.ports import Catalog, Ports

if TYPE_CHECKING:
    from segue.adapters.embedded.archive import ArchiveFile
    from segue.adapters.google.archive import BigQueryArchive
    from segue.adapters.google.platform import GooglePlatform

DEADLINE_S = 30.0
"""How long one call may take: nobody waits but the operator."""

ARCHIVE_DEADLINE_S = 300.0

LOGIN = "gcloud auth application-default login"


@asynccontextmanager
async def at_project(deployment: Deployment) -> AsyncIterator[Ports]:
    """All of a deployment's ports. Raises `Unavailable`, saying what is wrong, without credentials, rights, or such a
    project or database, and `NotFound` if no catalogue was ever published there."""
    from segue.adapters.system import SystemClock
    from segue.adapters.web import WebHttp, WebObjects

    async with AsyncExitStack() as stack:
        google = await stack.enter_async_context(_opened(deployment))
        with _said(f"project {deployment.project}, database (default)"):
            await anext(google.store.scan(FAILED_EVENTS), None)
        if await _current(google, deployment) is None:
            raise NotFound(f"{_database(deployment)}: no catalogue was ever published there; is it the right one?")
        archive = _archive(deployment)
        stack.push_async_callback(archive.close)
        http = WebHttp()
        stack.push_async_callback(http.close)
        yield Ports(
            store=google.store,
            bus=google.bus,
            archive=archive,
            catalog=google.catalog,
            http=http,
            objects=WebObjects({}),
            clock=SystemClock(),
        )


@asynccontextmanager
async def catalog_of(deployment: Deployment) -> AsyncIterator[Catalog]:
    """The catalogue of a deployment, which may have none yet. Raises `Unavailable` as `at_project` does."""
    async with _opened(deployment) as google:
        await _current(google, deployment)
        yield google.catalog


async def _current(google: "GooglePlatform", deployment: Deployment) -> object:
    """What is published. A read alone cannot tell a database that is not there from an empty one; a query does."""
    with _said(_database(deployment)):
        await anext(google.catalog_store.scan("catalog"), None)
        return await google.catalog.current()


def _archive(deployment: Deployment) -> "ArchiveFile | BigQueryArchive":
    """Nothing is connected until it is asked."""
    if deployment.data is not None:
        from segue.adapters.embedded.archive import ArchiveFile

        return ArchiveFile.open(deployment.data)
    from segue.adapters.google.archive import BigQueryArchive

    return BigQueryArchive.open(deployment.project, deployment.dataset, deadline_s=ARCHIVE_DEADLINE_S)


def _database(deployment: Deployment) -> str:
    return f"project {deployment.project}, database {deployment.catalog_database}"


@asynccontextmanager
async def _opened(deployment: Deployment) -> AsyncIterator["GooglePlatform"]:
    from segue.adapters.google.platform import GooglePlatform  # takes a third of a second to import

    try:
        opened = GooglePlatform.open(deployment.project, deployment.catalog_database, deadline_s=DEADLINE_S)
    except Unavailable as error:
        raise Unavailable(f"Google Cloud wants to know who you are: `{LOGIN}` tells it ({error})") from error
    try:
        yield opened
    finally:
        await opened.close()


@contextmanager
def _said(where: str) -> Iterator[None]:
    """Say of what is unavailable inside where that is."""
    try:
        yield
    except Unavailable as error:
        raise Unavailable(f"{where}: {error}") from error
