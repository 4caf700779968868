"""What stands in for BigQuery, of which there is no emulator: its REST API for queries, over HTTP, run by DuckDB.

It is not BigQuery: a query is parsed as BigQuery's SQL and translated to DuckDB's, so that what it means is tested, and
neither what Google's own parser accepts nor what it costs. The tables are those of `infra/terraform/archive.tf`.
"""

import base64
import json
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

from segue.adapters.google.archive import BigQueryArchive
from segue.adapters.google.queries import Queries
from segue.ports import Message

PROJECT, DATASET = "test", "archive"
PAGE = 100
"""Rows of one answer: what is more is asked for."""

TABLES = {"events": "VARCHAR", "memberships": "VARCHAR", "dead_letters": "BLOB"}
"""The archives, with the type of `data`."""

ARCHIVE = """
CREATE TABLE {table} (
    subscription_name VARCHAR NOT NULL, message_id VARCHAR NOT NULL, publish_time TIMESTAMPTZ NOT NULL,
    attributes JSON NOT NULL, data {type} NOT NULL
)
"""
ERASURES = "CREATE TABLE erasures (key VARCHAR NOT NULL, until BIGINT NOT NULL)"

TEXT = "CREATE MACRO safe_convert_bytes_to_string(bytes) AS CAST(bytes AS VARCHAR)"

TYPES = {"BIGINT": "INTEGER", "HUGEINT": "INTEGER", "BOOLEAN": "BOOLEAN", "BLOB": "BYTES"}


class Refused(Exception):
    """BigQuery answers 400."""


class Tables:
    """A dataset's tables, and the answers that are not yet asked for to their end."""

    def __init__(self) -> None:
        self._connection = duckdb.connect()
        self._lock = threading.Lock()
        self._answers: dict[str, Mapping[str, Any]] = {}
        self._published = 0
        for table, type_ in TABLES.items():
            self._connection.execute(ARCHIVE.format(table=table, type=type_))
        self._connection.execute(ERASURES)
        self._connection.execute(TEXT)

    def write(self, topic: str, messages: Sequence[Message], times: int = 1) -> None:
        """Write messages as a subscription does, each `times` times; what is no text becomes a dead letter."""
        for message in messages:
            table = topic.replace("-", "_") if _is_text(message.data) else "dead_letters"
            data = message.data if TABLES[table] == "BLOB" else message.data.decode()
            with self._lock:
                self._published += 1
                row = ["subscription", f"{self._published:016}", _instant(self._published), _attributes(message), data]
                for _ in range(times):
                    self._connection.execute(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", row)  # noqa: S608

    def rows(self, table: str) -> list[str]:
        """What is physically there, each row as a text."""
        with self._lock:
            found = self._connection.execute(f"SELECT CAST(kept AS VARCHAR) FROM {table} AS kept")  # noqa: S608
            return [text for (text,) in found.fetchall()]

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The whole answer of a query."""
        query = sqlglot.parse_one(request["query"], dialect="bigquery")
        _check_partitions(query)
        parameters = {each["name"]: _value(each) for each in request.get("queryParameters", ())}
        with self._lock:
            if self._bytes() > int(request.get("maximumBytesBilled", 2**63)):
                raise Refused("Query exceeded limit for bytes billed")
            try:
                found = self._connection.execute(query.sql("duckdb"), parameters or None)
            except duckdb.Error as error:
                raise Refused(str(error)) from error
            fields = [{"name": name, "type": TYPES.get(str(each[1]), "STRING")} for name, each in _described(found)]
            rows = [{"f": [{"v": _told(value)} for value in row]} for row in found.fetchall()]
        name = uuid.uuid4().hex
        self._answers[name] = {"schema": {"fields": fields}, "rows": rows}
        return self.page(name, 0)

    def page(self, name: str, start: int) -> Mapping[str, Any]:
        """The answer of a query from a row on."""
        answer = self._answers[name]
        beyond = start + PAGE
        return {
            "jobComplete": True,
            "jobReference": {"projectId": PROJECT, "jobId": name, "location": "EU"},
            "schema": answer["schema"],
            "totalRows": str(len(answer["rows"])),
            "rows": answer["rows"][start:beyond],
            **({"pageToken": str(beyond)} if beyond < len(answer["rows"]) else {}),
        }

    def _bytes(self) -> int:
        sizes = (f"SELECT octet_length(CAST(data AS BLOB)) AS size FROM {table}" for table in TABLES)  # noqa: S608
        rows = self._connection.execute(" UNION ALL ".join(sizes)).fetchall()
        return sum(size for (size,) in rows)


@contextmanager
def bigquery() -> Iterator[tuple[Tables, str]]:
    """A dataset's tables, and the URL at which they answer."""
    tables = Tables()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(tables))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield tables, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Subscribed(BigQueryArchive):
    """The archive of a dataset, and what a subscription would write there."""

    _tables: Tables

    @classmethod
    def to(cls, tables: Tables, url: str, **more: Any) -> "Subscribed":
        archive = cls(Queries(PROJECT, DATASET, url, **more))
        archive._tables = tables
        return archive

    async def append(self, topic: str, messages: Sequence[Message]) -> None:
        self._tables.write(topic, messages)


def _handler(tables: Tables) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            try:
                self._answer(200, tables.answer(body))
            except Refused as refused:
                reason = {"reason": "invalidQuery", "message": str(refused)}
                self._answer(400, {"error": {"code": 400, "message": str(refused), "errors": [reason]}})

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            asked = dict(each.split("=") for each in query.split("&"))
            name = path.rpartition("/")[2]
            if "/jobs/" in path:
                self._answer(200, {"jobReference": {"projectId": PROJECT, "jobId": name}, "status": {"state": "DONE"}})
            else:
                self._answer(200, tables.page(name, int(asked.get("pageToken", 0))))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def _answer(self, status: int, body: Mapping[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


def _check_partitions(query: exp.Expr) -> None:
    """Refuse a query that reads a partitioned table without a bound of its partition."""
    for table in query.find_all(exp.Table):
        if table.name in TABLES:
            scope = table.find_ancestor(exp.Select, exp.Merge)
            bound = scope and (scope.args.get("where") or scope.args.get("on"))
            if not bound or not any(column.name == "publish_time" for column in bound.find_all(exp.Column)):
                raise Refused(f"Cannot query over table '{table.name}' without a filter over column(s) 'publish_time'")


def _value(parameter: Mapping[str, Any]) -> Any:
    kind, value = parameter["parameterType"], parameter["parameterValue"]
    if kind["type"] == "ARRAY":
        return [each["value"] for each in value.get("arrayValues", ())]
    return _READERS[kind["type"]](value["value"])


_READERS: Mapping[str, Any] = {"STRING": str, "INT64": int, "BYTES": base64.b64decode}


def _told(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return None if value is None else str(value)


def _described(found: duckdb.DuckDBPyConnection) -> list[tuple[str, Any]]:
    return [(each[0], each) for each in found.description or ()]


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(1_700_000_000 + milliseconds / 1_000, UTC)


def _attributes(message: Message) -> str:
    time = datetime.fromtimestamp(message.time / 1_000, UTC).isoformat(timespec="milliseconds")
    context = {"id": message.id, "type": message.type, "source": message.source, "specversion": "1.0", "time": time}
    return json.dumps({f"ce-{name}": value for name, value in context.items()})
