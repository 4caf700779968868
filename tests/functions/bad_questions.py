"""Bad input to lookup as one table, numbered as the catalogue of bad inputs is: what is asked, and the answer's status.

`CASES` has, by its path, what holds at every address that is asked by POST. After any of it the next good question must
be answered. `WIRE` is what only a real server can be sent.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from functions.lookup.asked import LARGEST_BODY
from tests.functions.bad_input import SECRET_KEY, UNREADABLE, WRITE_KEY, Body, Case, WireCase, whole
from tests.functions.bad_input import WIRE as WIRE_TO_INGEST

FLAGS = "/ofrep/v1/evaluate/flags"
HERO = f"{FLAGS}/homepage-hero"


class Address(NamedTuple):
    """Where is asked: a good question about Ann there, and where in it the site may say what it likes."""

    good: Mapping[str, Any]
    free: bool


ADDRESSES: Mapping[str, Address] = {
    FLAGS: Address({"context": {"targetingKey": "ann", "segue_deadline_ms": 10_000}}, free=True),
    HERO: Address({"context": {"targetingKey": "ann", "segue_deadline_ms": 10_000}}, free=True),
    "/v1/tokens": Address({"profile": {"anonymous_id": "ann"}}, free=False),
    "/v1/decide": Address(
        {"profile": {"anonymous_id": "ann"}, "slots": ["homepage-hero"], "deadline_ms": 10_000}, free=False
    ),
}

VALUES = ("[" * 17 + "]" * 17, f"[{2**63 - 1},{-(2**63)}]", str(2**53 + 1), "-0.0", r'"\\u0000"', r'"\u202e\u200b"')
"""28 to 34: JSON that may be anywhere."""

NAMES = (
    *("__proto__", "constructor", "__class__", "a.b", "", "a..b", "$ne", "a\r\nb: c", "=1+1", "\u202e", "n" * 256),
    *("profile", "key", "flags"),
)

IDS = ("a/b", ".", "..", "__x__", "../../etc", "jo@example.com", "e\u0301", "'; --", "\u202e", "null", "🙂", "i" * 256)

NO_IDS: tuple[Any, ...] = ("", " ", "\t\n", None, True, [], {}, "i" * 1_501)


def good(path: str, **changes: Any) -> bytes:
    """A good question, with these fields changed or added."""
    return json.dumps({**ADDRESSES[path].good, **changes}).encode()


def _about(path: str, id_: Any) -> bytes:
    if ADDRESSES[path].free:
        return good(path, context={"targetingKey": id_, "segue_deadline_ms": 10_000})
    return good(path, profile={"anonymous_id": id_})


def _unreadable(path: str, body: Body) -> Case:
    size = 0
    for chunk in body.chunks():
        size += len(chunk)
        if size > LARGEST_BODY:
            return Case(body.name, 413, body.chunks, path, key=SECRET_KEY)
    return Case(body.name, 400, body.chunks, path, key=SECRET_KEY)


def _everywhere(path: str) -> Iterator[Case]:
    right = whole(good(path))
    yield from (_unreadable(path, body) for body in UNREADABLE)
    yield Case("07 gzip", 400, whole(gzip.compress(good(path))), path, key=SECRET_KEY)
    for kind in ("text/plain;charset=UTF-8", "application/x-www-form-urlencoded", ""):
        yield Case(f"09 {kind}", 200, right, path, key=SECRET_KEY, headers={"content-type": kind})
    for method in ("GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
        yield Case(f"14 {method}", 405, right, path, method, SECRET_KEY)
    yield from (Case(f"53 the id {id_!r:.20}", 200, whole(_about(path, id_)), path, key=SECRET_KEY) for id_ in IDS)
    yield from (Case(f"52 the id {id_!r:.20}", 400, whole(_about(path, id_)), path, key=SECRET_KEY) for id_ in NO_IDS)
    yield Case("69 no key", 401, right, path, key=None)
    for key in ("wrong", "", WRITE_KEY, "5f1f9d2aeeb8dc29dd47db2bfc0390b9ada7ded6707b592e9bba01fa7601761a"):
        yield Case(f"69 the key {key:.20}", 401, right, path, key=key)
        for headers in ({"authorization": f"Bearer {key}"}, {"x-api-key": key}) if key else ():
            yield Case(f"69 {next(iter(headers))} {key:.20}", 401, right, path, key=None, headers=headers)
    yield Case("69 the key in the address", 401, right, f"{path}?writeKey={SECRET_KEY}", key=None)


def _free(path: str) -> Iterator[Case]:
    """What else may be said in a context, and where the address goes too far."""
    for text in VALUES:
        body = good(path, context={"targetingKey": "ann", "a": "?"}).replace(b'"?"', text.encode())
        yield Case(f"28 {text:.20}", 200, whole(body), path, key=SECRET_KEY)
    for name in NAMES:
        body = good(path, context={"targetingKey": "ann", name: {name: 1}}, **{name or "-": 1})
        status = 400 if name == "context" else 200
        yield Case(f"40 the name {name!r:.20}", status, whole(body), path, key=SECRET_KEY)
    yield Case("48 a name of 257", 400, whole(good(path, context={"n" * 257: 1})), path, key=SECRET_KEY)
    yield Case("20 a query of 64 KB", 414, whole(good(path)), f"{path}?{'q' * 65_000}", key=SECRET_KEY)
    yield Case("14 a slash too many", 404, whole(good(path)), f"{path}/", key=SECRET_KEY)


CASES: Mapping[str, tuple[Case, ...]] = {
    path: (*_everywhere(path), *(_free(path) if address.free else ())) for path, address in ADDRESSES.items()
}

WIRE = tuple(WireCase(case.name, case.sent.replace(b"/v1/track", FLAGS.encode())) for case in WIRE_TO_INGEST)
