"""How BigQuery is asked: within a deadline, what scans within a limit of bytes; and what its errors mean to us.

Its client is synchronous, and waits in threads. It is imported at the first query: a function that starts pays nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from segue.domain.errors import Unavailable

if TYPE_CHECKING:
    from google.cloud.bigquery import ArrayQueryParameter, Client, ScalarQueryParameter
    from google.cloud.bigquery.table import RowIterator

DEADLINE_S = 15.0
"""How long an answer is waited for, and again so long if it is not complete: a query takes seconds where a read of a
document takes milliseconds, and a request to lookup ends after 30."""

MOST_BYTES = 2 * 2**40
"""What a query that scans may be billed at most, 2 TiB or 12.50 $: the sizes of segments are far below at ten million
events a day, and above at a hundred million if each message changes something. BigQuery refuses a larger one before it
begins, and bills nothing. It reckons with whole tables, so that a query for ranges of a clustered one, which reads
little, would be refused, too: those have no limit."""

AT_ONCE = 16
"""Queries of one process at the same time; more wait."""

Value: TypeAlias = str | int | Sequence[str]
Row: TypeAlias = tuple[Any, ...]
Found = TypeVar("Found")


class Queries:
    """Runs queries on one dataset. Its tables are named without it; parameters stand as `@name`."""

    def __init__(
        self,
        project: str,
        dataset: str,
        emulator: str | None = None,
        *,
        deadline_s: float = DEADLINE_S,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """`emulator` is the URL of what stands in for BigQuery; without it, it is the cloud with the process's own
        identity. Nothing is connected until the first query."""
        self._project = project
        self._dataset = dataset
        self._emulator = emulator
        self._deadline_s = deadline_s
        self._most_bytes = most_bytes
        self._threads = ThreadPoolExecutor(AT_ONCE, "bigquery")
        self._connecting = Lock()
        self._client: Client | None = None

    async def rows(self, query: str, **parameters: Value) -> list[Row]:
        """All rows of the answer.

        Raises Unavailable whatever goes wrong. A query is our own, and nobody's message makes it one that BigQuery
        refuses: what is missing (a right, a table, a higher limit of bytes) can be put right, and then the message is
        as good as before.
        """
        return await self._off_the_loop(self._found, query, parameters, None)

    async def scanned(self, query: str, **parameters: Value) -> list[Row]:
        """The same of a query that reads a table from one end to the other, if it costs no more than it may."""
        return await self._off_the_loop(self._found, query, parameters, self._most_bytes)

    async def pages(self, query: str, **parameters: Value) -> AsyncIterator[list[Row]]:
        """The rows of an answer that may be larger than memory, some at a time. Raises as `rows` does."""
        pages = await self._off_the_loop(self._paged, query, parameters)
        while (page := await self._off_the_loop(_next, pages)) is not None:
            yield page

    def close(self) -> None:
        """End the connection; it is not used again."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client:
            self._client.close()  # type: ignore[no-untyped-call]  # it has no types

    async def _off_the_loop(self, function: Callable[..., Found], *arguments: Any) -> Found:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def _found(self, query: str, parameters: Mapping[str, Value], most_bytes: int | None) -> list[Row]:
        with _meaning():
            return [row.values() for row in self._answer(query, parameters, most_bytes)]

    def _paged(self, query: str, parameters: Mapping[str, Value]) -> Iterator[Iterable[Any]]:
        with _meaning():
            return iter(self._answer(query, parameters, None).pages)

    def _answer(self, query: str, parameters: Mapping[str, Value], most_bytes: int | None) -> "RowIterator":
        from google.cloud.bigquery import DatasetReference, QueryJobConfig
        from google.cloud.bigquery.retry import DEFAULT_RETRY

        config = QueryJobConfig(
            default_dataset=DatasetReference(self._project, self._dataset),
            query_parameters=[_parameter(name, value) for name, value in parameters.items()],
        )
        if most_bytes is not None:
            config.maximum_bytes_billed = most_bytes
        return self._connected().query_and_wait(
            query,
            job_config=config,
            api_timeout=self._deadline_s,
            wait_timeout=self._deadline_s,
            retry=DEFAULT_RETRY.with_timeout(self._deadline_s),
            job_retry=None,  # type: ignore[arg-type]  # documented: none of its own
        )

    def _connected(self) -> "Client":
        with self._connecting:
            if self._client is None:
                self._client = _client(self._project, self._emulator)
            return self._client


def _next(pages: Iterator[Iterable[Any]]) -> list[Row] | None:
    """The next page; None: there is none."""
    with _meaning():
        page = next(pages, None)
        return None if page is None else [row.values() for row in page]


def _client(project: str, emulator: str | None) -> "Client":
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.bigquery import Client

    if emulator is None:
        return Client(project)
    options = ClientOptions(api_endpoint=emulator)
    return Client(project, credentials=AnonymousCredentials(), client_options=options)  # type: ignore[no-untyped-call]


def _parameter(name: str, value: Value) -> "ScalarQueryParameter | ArrayQueryParameter":
    from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter

    if isinstance(value, str | int):
        return ScalarQueryParameter(name, "STRING" if isinstance(value, str) else "INT64", value)
    return ArrayQueryParameter(name, "STRING", list(value))


@contextmanager
def _meaning() -> Iterator[None]:
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, RequestException, TimeoutError) as error:
        raise Unavailable(f"the archive: {error or type(error).__name__}") from error
