"""Documents in Firestore: read, conditional batches, and the index of what is due.

A document has the fields `data` (bytes), `due` and `shard` (only while something is due) and `rev`. Every write counts
`rev` up on the server, since a write that changes nothing would leave `update_time` as it was, and that is the version.
The cloud needs a composite index (shard, due) for each collection asked for what is due, and no index on `data`.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from google.api_core.exceptions import NotFound
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient
from google.cloud.firestore_v1.types import common, document, firestore, query, write
from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]  # it has no stubs

from segue.adapters.google.connection import CONDITIONAL_WRITE, DEADLINE_S, meaning
from segue.domain.errors import Conflict, TooLarge
from segue.ports import ABSENT, Document, Write

# The plain protocol buffers of what every message costs; queries, which are rare, use the wrapped ones.
_Commit, _Get, _Write = firestore.CommitRequest.pb(), firestore.GetDocumentRequest.pb(), write.Write.pb()
_Document, _Value, _Precondition = document.Document.pb(), document.Value.pb(), common.Precondition.pb()

_FIELDS = common.DocumentMask.pb()(field_paths=["data", "due", "shard"])
_COUNT_UP = write.DocumentTransform.FieldTransform.pb()(field_path="rev", increment=_Value(integer_value=1))

_Query = query.StructuredQuery
_NAME = _Query.FieldReference(field_path="__name__")
_PAGE = 100

MAX_BYTES = 1_048_487
"""The most that Firestore takes in one value."""


class FirestoreStore:
    """`ports.Store` on one Firestore database. Every call ends within `deadline_s`, and none is repeated by itself."""

    def __init__(
        self, client: FirestoreAsyncClient, project: str, database: str, *, deadline_s: float = DEADLINE_S
    ) -> None:
        self._client = client
        self._database = f"projects/{project}/databases/{database}"
        self._documents = f"{self._database}/documents"
        routing = ("google-cloud-resource-prefix", self._database)
        self._call: dict[str, Any] = {"retry": None, "timeout": deadline_s, "metadata": [routing]}

    async def get(self, path: str) -> Document | None:
        request = firestore.GetDocumentRequest.wrap(_Get(name=f"{self._documents}/{path}"))
        with meaning(f"reading from {_collection(path)}"):
            try:
                found = await self._client.get_document(request, **self._call)
            except NotFound:
                return None
        return _stored(found)

    async def commit(self, writes: Sequence[Write]) -> None:
        request = _Commit(database=self._database, writes=[self._written(wanted) for wanted in writes])
        with meaning(f"writing to {_collection(writes[0].path)}", CONDITIONAL_WRITE):
            await self._client.commit(firestore.CommitRequest.wrap(request), **self._call)

    async def due(self, collection: str, shard: int, until: int, limit: int) -> Sequence[str]:
        of_shard = _compared("shard", _Query.FieldFilter.Operator.EQUAL, shard)
        is_due = _compared("due", _Query.FieldFilter.Operator.LESS_THAN_OR_EQUAL, until)
        asked = _Query(
            select=_Query.Projection(fields=[_NAME]),
            where=_Query.Filter(
                composite_filter=_Query.CompositeFilter(
                    op=_Query.CompositeFilter.Operator.AND, filters=[of_shard, is_due]
                )
            ),
            order_by=[_Query.Order(field=_Query.FieldReference(field_path="due"))],
        )
        return [_id(found) async for found in self._found(collection, asked, limit)]

    async def scan(self, collection: str, after: str = "") -> AsyncIterator[tuple[str, Document]]:
        asked = _Query(order_by=[_Query.Order(field=_NAME)])
        if after:
            asked.start_at = _after(f"{self._documents}/{collection}/{after}")
        while page := [found async for found in self._found(collection, asked, _PAGE)]:
            for found in page:
                yield _id(found), _stored(found)
            asked.start_at = _after(page[-1].name)

    def _written(self, wanted: Write) -> Any:
        name = f"{self._documents}/{wanted.path}"
        if wanted.data is None:
            return _Write(delete=name, current_document=_precondition(wanted))
        if len(wanted.data) > MAX_BYTES:
            raise TooLarge(f"{wanted.path}: expected at most {MAX_BYTES} bytes, found {len(wanted.data)}")
        fields = {"data": _Value(bytes_value=wanted.data)}
        if wanted.due is not None:
            fields |= {"due": _Value(integer_value=wanted.due), "shard": _Value(integer_value=wanted.shard)}
        return _Write(
            update=_Document(name=name, fields=fields),
            update_mask=_FIELDS,
            update_transforms=[_COUNT_UP],
            current_document=_precondition(wanted),
        )

    async def _found(
        self, collection: str, asked: query.StructuredQuery, limit: int
    ) -> AsyncIterator[document.Document]:
        asked.from_ = [_Query.CollectionSelector(collection_id=collection)]
        asked.limit = limit
        request = firestore.RunQueryRequest(parent=self._documents, structured_query=asked)
        with meaning(f"querying {collection}"):
            async for answer in await self._client.run_query(request, **self._call):
                if answer.document:
                    yield answer.document


def _collection(path: str) -> str:
    """Of a document's path what may be told: the rest is somebody's key."""
    return path.partition("/")[0]


def _after(name: str) -> query.Cursor:
    return query.Cursor(values=[document.Value(reference_value=name)], before=False)


def _stored(found: document.Document) -> Document:
    stored = document.Document.pb(found)
    return Document(data=stored.fields["data"].bytes_value, version=stored.update_time.ToJsonString())


def _precondition(wanted: Write) -> Any:
    if wanted.expects is None:
        return None
    if wanted.expects == ABSENT:
        return _Precondition(exists=False)
    read_at = Timestamp()
    try:
        read_at.FromJsonString(wanted.expects)
    except ValueError:
        raise Conflict(f"writing {wanted.path}: {wanted.expects!r} is no version of a document") from None
    return _Precondition(update_time=read_at)


def _id(found: document.Document) -> str:
    return found.name.rpartition("/")[2]


def _compared(path: str, operator: int, number: int) -> query.StructuredQuery.Filter:
    return _Query.Filter(
        field_filter=_Query.FieldFilter(
            field=_Query.FieldReference(field_path=path), op=operator, value=document.Value(integer_value=number)
        )
    )
