"""The archive's rows in DuckDB: sealed into Parquet files, and read from these and the tail as one relation.

Import this only where it is needed: DuckDB takes its time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from segue.adapters.embedded.rows import COLUMNS, Numbered, encoded
from segue.domain.erasure import WITHOUT_PERSONS
from segue.domain.errors import Unavailable
from segue.ports import Message

MEMORY = "1GB"

THREADS = 1
"""The platform's own queries leave the other cores to the visitors."""


def write(path: Path, messages: Iterable[Numbered]) -> None:
    """Write the rows of these messages into a file, those of a profile together; its folder is made."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _lines(messages) as lines, closing(connected()) as connection:
        _copy(connection, f"SELECT * FROM {_read_json(lines)}", path)


def merge(path: Path, parts: Sequence[Path]) -> None:
    """Write the rows of several files into one."""
    with closing(connected()) as connection:
        _copy(connection, f"SELECT * FROM {_read_parquet(parts)}", path)


def telling_of(path: Path, keys: Sequence[str]) -> Sequence[Numbered]:
    """The messages of a file that tell of some of these profiles, or may do so."""
    with failing(), closing(connected()) as connection:
        rows = connection.execute(
            f"SELECT number, id, type, source, time, from_base64(data) FROM {_read_parquet([path])} "
            "WHERE position = 0 AND (list_contains($keys, profile) OR "
            "profile IS NULL AND NOT list_contains($others, type))",
            {"keys": list(keys), "others": sorted(WITHOUT_PERSONS)},
        ).fetchall()
    return [
        Numbered(number, Message(id=identifier, type=kind, source=source, time=time, data=data))
        for number, identifier, kind, source, time, data in rows
    ]


def rewrite(path: Path, part: Path, gone: Sequence[int], instead: Iterable[Numbered]) -> None:
    """Write the rows of a file into another one, without the messages of these numbers but with those `instead`."""
    with _lines(instead) as lines, closing(connected()) as connection:
        numbers = ", ".join(map(str, gone))
        _copy(
            connection,
            f"SELECT * FROM {_read_parquet([part])} WHERE number NOT IN ({numbers}) "
            f"UNION ALL BY NAME SELECT * FROM {_read_json(lines)}",
            path,
        )


def connected(threads: int | None = THREADS, memory: str = MEMORY) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory; `threads` None takes all cores."""
    connection = duckdb.connect(config={"memory_limit": memory, "autoinstall_known_extensions": False})
    if threads is not None:
        connection.execute(f"SET threads = {threads:d}")
    return connection


@contextmanager
def scanned(
    tails: Mapping[str, Sequence[Numbered]], files: Mapping[str, Sequence[Path]], threads: int | None = THREADS
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with a view for each topic: the rows of its files, and those of its tail that are in none of them.

    `events` and `snapshots` are the views of the two topics as conditions and time travel ask for them.
    """
    with TemporaryDirectory() as folder, failing(), closing(connected(threads)) as connection:
        connection.execute(f"SET temp_directory = {_text(folder)}")
        for number, (topic, tail) in enumerate(tails.items()):
            lines = Path(folder) / f"{number}.ndjson"
            lines.write_bytes(b"".join(encoded(tail)))
            parts = [f"SELECT * FROM {_read_json(lines)}"]
            if files[topic]:
                parts.append(f"SELECT * FROM {_read_parquet(files[topic])}")
            connection.execute(f"CREATE VIEW {_quoted(topic)} AS {' UNION ALL BY NAME '.join(parts)}")
        yield connection


@contextmanager
def failing() -> Iterator[None]:
    """Whatever DuckDB cannot do in here (a damaged file, a full disk, too little memory) is Unavailable."""
    try:
        yield
    except duckdb.Error as error:
        raise Unavailable(f"the archive: {str(error).splitlines()[0]}") from error


@contextmanager
def _lines(messages: Iterable[Numbered]) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        lines = Path(folder) / "rows.ndjson"
        with lines.open("wb") as file:
            file.writelines(encoded(messages))
        yield lines


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(
        f"COPY (SELECT * FROM ({query}) ORDER BY profile, received_at, number, position) "
        f"TO {_text(path)} (FORMAT parquet, COMPRESSION zstd)"
    )


def _read_json(lines: Path) -> str:
    columns = ", ".join(f"{name}: {_text(kind)}" for name, kind in COLUMNS.items())
    return f"read_json({_text(lines)}, format = 'newline_delimited', columns = {{{columns}}})"


def _read_parquet(files: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(map(_text, files))}], hive_partitioning = false, union_by_name = true)"


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
