"""Bad input as one table: what is sent and what ingest answers, numbered as the catalogue of bad inputs is.

`UNREADABLE` holds the bodies that no address taking JSON may accept. `CASES` is all that is sent to ingest's best known
addresses, those bodies among it; `EVERYWHERE` is what holds at each of the others, by its path. `WIRE` is what only a
real server can be sent. After any of it the next good event must work.
"""

import gzip
import json
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

WRITE_KEY = "demo-write-key"
SECRET_KEY = "demo-secret-key"  # noqa: S105  # the demo catalogue's, known to everybody
ALLOWED_ORIGIN = "http://localhost:8080"

Chunks: TypeAlias = Callable[[], Iterator[bytes]]
"""Builds a body anew, in the pieces that it is sent in: large ones are never whole in memory."""


class Body(NamedTuple):
    """A body that no address taking JSON may accept; `status` is what an address reading at most 500 KB answers."""

    name: str
    chunks: Chunks
    status: int = 400


class Case(NamedTuple):
    """A request to ingest, and the status of its answer. A status from 400 on means that nothing was published."""

    name: str
    status: int
    chunks: Chunks
    path: str = "/v1/track"
    method: str = "POST"
    key: str | None = WRITE_KEY
    headers: Mapping[str, str] = {}


class WireCase(NamedTuple):
    """Bytes for a server's socket, then silence or the end of the connection. Whatever is answered is no 5xx."""

    name: str
    sent: bytes


def whole(body: bytes) -> Chunks:
    """A body in one piece."""
    return lambda: iter([body])


def repeated(piece: bytes, times: int) -> Chunks:
    """A body of like pieces."""
    return lambda: (piece for _ in range(times))


def call(**changes: Any) -> bytes:
    """A good track call with these fields changed or added; those that are `...` are left out."""
    good = {"event": "Product Viewed", "anonymousId": "visitor-1", "messageId": "message-1", "properties": {"a": 1}}
    return json.dumps({name: value for name, value in (good | changes).items() if value is not ...}).encode()


def with_value(text: str) -> bytes:
    """A track call whose property `a` is this JSON text."""
    return call().replace(b'{"a": 1}', b'{"a": %s}' % text.encode("utf-8", "surrogatepass"))


def with_name(name: str) -> bytes:
    """A track call with this property name, at two levels."""
    return call(properties={name: {name: 1}})


def batch(*calls: bytes, **envelope: Any) -> bytes:
    """A batch of these calls."""
    head = "".join(f"{json.dumps(name)}:{json.dumps(value)}," for name, value in envelope.items())
    return b'{%s"batch":[%s]}' % (head.encode(), b",".join(calls))


def bomb() -> bytes:
    """400 KB of gzip that inflate to 400 MB: one deflate block of blanks, again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    head = packer.compress(b" " * 1_000_000) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b" " * 1_000_000) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * 400


UNREADABLE = (
    Body("01 an empty body", whole(b"")),
    Body("01 blanks", whole(b" \n")),
    Body("02 no JSON", whole(b"hello")),
    Body("03 truncated JSON", whole(call()[:-5])),
    Body("04 60 MB", repeated(b'{"a":"' + b"x" * 60_000, 1_000), 413),
    Body("06 60 MB of blanks", repeated(b" " * 60_000, 1_000), 413),
    Body("10 a form", whole(b"event=Product+Viewed&anonymousId=visitor-1")),
    Body("11 UTF-16 with a byte order mark", whole(call().decode().encode("utf-16"))),
    Body("11 UTF-16 without one", whole(call().decode().encode("utf-16-le"))),
    Body("11 UTF-32", whole(call().decode().encode("utf-32"))),
    Body("12 UTF-8 with a byte order mark", whole(b"\xef\xbb\xbf" + call())),
    Body("13 invalid UTF-8", whole(call().replace(b"visitor-1", b"visitor-\xff"))),
    Body("13 overlong UTF-8", whole(call().replace(b"visitor-1", b"visitor-\xc0\x80"))),
    Body("13 UTF-8 beyond Unicode", whole(call().replace(b"visitor-1", b"visitor-\xf4\x90\x80\x80"))),
    Body("21 100,000 arrays in each other", whole(with_value("[" * 100_000 + "]" * 100_000))),
    Body("21 100,000 open arrays", whole(b"[" * 100_000)),
    Body("22 5,000 objects in each other", whole(with_value('{"a":' * 5_000 + "1" + "}" * 5_000))),
    Body("22 5,000 open objects", whole(b'{"a":' * 5_000)),
    Body("23 21 levels", whole(with_value("[" * 19 + "]" * 19))),
    Body("24 NaN", whole(with_value("NaN"))),
    Body("25 Infinity", whole(with_value("Infinity"))),
    Body("25 -Infinity", whole(with_value("-Infinity"))),
    Body("26 1e400", whole(with_value("1e400"))),
    Body("26 -1e400", whole(with_value("-1e400"))),
    Body("27 an integer of 5,000 digits", whole(with_value("9" * 5_000))),
    Body("28 2^63", whole(with_value(str(2**63)))),
    Body("28 -2^63-1", whole(with_value(str(-(2**63) - 1)))),
    Body("28 2^64", whole(with_value(str(2**64)))),
    Body("31 a name twice", whole(b'{"event":"A","event":"B","anonymousId":"visitor-1"}')),
    Body("31 a name twice, inside", whole(with_value('[{"b":1,"b":1}]'))),
    Body("31 a name twice, once escaped", whole(with_value(r'{"b":1,"\u0062":1}'))),
    Body("31 a name twice, beside an escaped colon", whole(with_value(r'{"b":"\u003a","b":2,"c":"\u003A"}'))),
    Body("32 a lone high surrogate", whole(with_value(r'"\ud800"'))),
    Body("32 a lone low surrogate", whole(with_value(r'"\udc00"'))),
    Body("32 surrogates the wrong way round", whole(with_value(r'"\udc00\ud800"'))),
    Body("32 a lone surrogate as bytes", whole(with_value('"\ud800"'))),
    Body("32 a lone surrogate in a name", whole(with_value(r'{"\ud800":1}'))),
    Body("33 NUL, escaped", whole(with_value(r'"\u0000"'))),
    Body("33 NUL behind an escaped backslash", whole(with_value(r'"\\\u0000"'))),
    Body("33 NUL in a name", whole(with_value(r'{"\u0000":1}'))),
    Body("33 NUL as it is", whole(with_value('"\x00"'))),
    Body("33 a line feed as it is", whole(with_value('"\n"'))),
    Body("35 an array", whole(b"[]")),
    Body("35 a number", whole(b"1")),
    Body("35 text", whole(b'"a"')),
    Body("35 null", whole(b"null")),
    Body("36 an array of 1,000,000 items", lambda: iter([b'{"a":[', *[b"1," * 100_000] * 10, b"1]}"]), 413),
    Body("37 40,001 names in an object", whole(call(properties={str(n): 1 for n in range(40_001)}))),
    Body("38 text of 10 MB", lambda: iter([b'{"a":"', *[b"x" * 100_000] * 100, b'"}']), 413),
    Body("39 something behind the JSON", whole(call() + b"x")),
    Body("39 two documents", whole(call() + call())),
    Body("39 a comma too many", whole(call()[:-1] + b",}")),
    Body("39 a comment", whole(call()[:-1] + b"/* */}")),
    Body("39 single quotes", whole(call().replace(b'"', b"'"))),
    Body("48 a name of 1,501 bytes", whole(with_name("n" * 1_501))),
)

TRANSPORT = (
    Case("04 one byte too many", 413, lambda: iter([call()[:-1], b" " * (512_001 - len(call())), b"}"])),
    Case("04 as many bytes as may be", 200, lambda: iter([call()[:-1], b" " * (512_000 - len(call())), b"}"])),
    Case("06 chunks without a length", 200, lambda: (bytes([byte]) for byte in call())),
    Case("07 gzip", 200, whole(gzip.compress(call())), headers={"content-encoding": "gzip"}),
    Case(
        "07 gzip that says it is a form",
        200,
        whole(gzip.compress(call())),
        headers={"content-type": "application/x-www-form-urlencoded"},
    ),
    Case("07 JSON that says it is gzip", 200, whole(call()), headers={"content-encoding": "gzip"}),
    Case("07 truncated gzip", 400, whole(gzip.compress(call())[:-4])),
    Case("07 gzip with a wrong checksum", 400, whole(gzip.compress(call())[:-8] + b"12345678")),
    Case("07 gzip with something behind it", 400, whole(gzip.compress(call()) + b"x")),
    Case("07 gzip of gzip", 400, whole(gzip.compress(gzip.compress(call())))),
    Case("07 gzip of no JSON", 400, whole(gzip.compress(b"hello"))),
    Case("07 gzip's first two bytes", 400, whole(b"\x1f\x8b")),
    Case("08 a gzip bomb", 413, lambda: iter([bomb()])),
    Case("09 text/plain", 200, whole(call()), headers={"content-type": "text/plain;charset=UTF-8"}),
    Case("09 no content type", 200, whole(call())),
    Case(
        "10 JSON that says it is a form",
        200,
        whole(call()),
        headers={"content-type": "application/x-www-form-urlencoded"},
    ),
    *(Case(f"14 {method}", 405, whole(b""), method=method) for method in ("GET", "PUT", "PATCH", "DELETE", "HEAD")),
    *(Case(f"14 {method} with a body", 405, whole(call()), method=method) for method in ("PUT", "PATCH")),
    Case("14 an address that does not exist", 404, whole(call()), path="/v1/tracks"),
    Case("14 an address with a slash too many", 404, whole(call()), path="/v1/track/x"),
    *(
        Case(f"19 the origin {origin!r}", 401, whole(call()), headers={"origin": origin})
        for origin in (
            *("null", "", "*", "http://localhost", "https://localhost:8080", "http://localhost:8081"),
            *("http://evil-localhost:8080", "http://localhost:8080.evil.com", "http://localhost:8080/"),
            *("HTTP://LOCALHOST:8080", "http://a@localhost:8080", "http://localhost:8080, http://evil.com"),
        )
    ),
    Case("19 an origin that is allowed", 200, whole(call()), headers={"origin": ALLOWED_ORIGIN}),
    Case("20 a query of 64 KB", 414, whole(call()), path="/v1/track?" + "q" * 65_000),
)

AS_DEEP_AS_MAY_BE = Case("23 20 levels", 200, whole(with_value("[" * 18 + "]" * 18)))
"""As a single call: a batch adds two levels."""

JSON = (
    AS_DEEP_AS_MAY_BE,
    Case("28 2^63-1 and -2^63", 200, whole(with_value(f"[{2**63 - 1},{-(2**63)}]"))),
    Case("29 2^53+1", 200, whole(with_value(str(2**53 + 1)))),
    Case("30 -0.0", 200, whole(with_value("-0.0"))),
    Case("31 colons in text and names", 200, whole(with_value(r'{":":":","\u003a\u003a":"\u003A:\\u003a"}'))),
    Case("33 text that speaks of NUL", 200, whole(with_value(r'"\\u0000"'))),
    Case("34 right to left, zero width, homoglyphs", 200, whole(call(event="\u202e\u0420roduct\u200b Viewed"))),
    Case("34 an event name in NFD", 200, whole(call(event="Cafe\u0301 Viewed"))),
)

NAMES = (
    *(
        Case(f"40 the name {name!r}", 200, whole(with_name(name)))
        for name in (
            *("__proto__", "constructor", "prototype", "__class__", "__name__", "`a`", "a.b", "", "a..b", ".a", "a."),
            *("$ne", "$where", "a\nb", "a\r\nb: c", "seen", "rev", "out", "/", "~", "*", "[0]", "\u202e", "=1+1"),
        )
    ),
    Case("48 a name of 256 characters", 200, whole(with_name("ü" * 256))),
    Case("48 a name of 257 characters", 400, whole(with_name("n" * 257))),
    Case("40 an event named __proto__", 200, whole(call(event="__proto__"))),
    Case("46 an event without a name", 400, whole(call(event=...))),
    Case("46 an event with an empty name", 400, whole(call(event=""))),
    Case("46 an event whose name is a number", 400, whole(call(event=1))),
    Case("48 an event name of 257 characters", 400, whole(call(event="n" * 257))),
    Case("50 an event name with line feeds", 200, whole(call(event="a\r\nforged: line"))),
    Case("51 properties that are an array", 400, whole(call(properties=[1]))),
    Case("51 properties that are null", 200, whole(call(properties=None))),
    Case("51 a context that is text", 400, whole(call(context="page"))),
)

NO_IDS: tuple[Any, ...] = (True, False, [], {}, ["a"])

NO_GROUPS: tuple[Any, ...] = (..., None, "", "undefined", True, {}, "i" * 257)

IDS = (
    Case("52 no id", 400, whole(call(anonymousId=...))),
    *(Case(f"52 the id {id_!r}", 400, whole(call(anonymousId=id_, userId=id_))) for id_ in ("", " ", "\t\n", None)),
    *(
        Case(f"53 the id {id_!r}", 400, whole(call(anonymousId=id_)))
        for id_ in ("null", "undefined", "anonymous", "guest", "0", 0, "[object Object]", "NaN", "true", "UNDEFINED")
    ),
    Case("53 an illegal user id beside a good anonymous one", 200, whole(call(userId="undefined"))),
    *(Case(f"53 the id {id_!r}", 400, whole(call(anonymousId=id_))) for id_ in NO_IDS),
    *(
        Case(f"54 the id {id_!r}", 200, whole(call(anonymousId=id_)))
        for id_ in (
            "a/b",
            ".",
            "..",
            "__x__",
            "../../etc",
            "jo@example.com",
            "é",
            "e\u0301",
            "'; --",
            "\u202e",
            42,
            4.5,
        )
    ),
    Case("56 an id of 256 characters", 200, whole(call(anonymousId="ü" * 256))),
    Case("56 an id of 1,501 bytes", 400, whole(call(anonymousId="i" * 1_501))),
    Case("56 a message id of 100 characters", 200, whole(call(messageId="m" * 100))),
    Case("56 a message id of 101 characters", 400, whole(call(messageId="m" * 101))),
    *(Case(f"53 the group {id_!r}", 400, whole(call(groupId=id_)), path="/v1/group") for id_ in NO_GROUPS),
    *(Case(f"53 the previous id {id_!r}", 400, whole(call(previousId=id_)), path="/v1/alias") for id_ in NO_GROUPS),
    Case("60 another visitor's id as the previous one", 200, whole(call(previousId="visitor-2")), path="/v1/alias"),
    Case("61 an alias of oneself", 200, whole(call(previousId="visitor-1")), path="/v1/alias"),
)

TIMESTAMPS: tuple[Any, ...] = (
    *(..., None, "", 0, -1, 1_715_342_400, 1e308, True, [], {}, "9999-12-31T23:59:59Z", "2024-02-30", "soon"),
    *("2024-05-10T12:00:00", "2024-05-10", "x" * 10_000, 2**63 - 1, "+275760-09-13T00:00:00.000Z"),
)

EVENTS = (
    *(Case(f"63 the timestamp {timestamp!r}", 200, whole(call(timestamp=timestamp))) for timestamp in TIMESTAMPS),
    Case("65 the same message id with another body", 200, whole(call(properties={"a": 2}))),
    Case(
        "66 numbers that are none, or hardly",
        200,
        whole(call(properties={"price": "12,50", "quantity": -3, "x": 1e308})),
    ),
    Case(
        "66 a video of no length",
        200,
        whole(call(event="Video Content Playing", properties={"position": 1, "total_length": 0})),
    ),
    Case(
        "66 a video of hardly any",
        200,
        whole(call(event="Video Content Playing", properties={"position": 1e308, "total_length": 1e-308})),
    ),
    Case("67 a batch of nothing", 400, whole(batch()), path="/v1/batch"),
    Case("67 no batch", 400, whole(call()), path="/v1/batch"),
    Case("67 a batch that is no array", 400, whole(b'{"batch":{}}'), path="/v1/batch"),
    Case("67 2,500 events", 200, lambda: iter([batch(*[call(type="track")] * 2_500)]), path="/v1/batch"),
    Case("67 2,501 events", 400, lambda: iter([batch(*[call(type="track")] * 2_501)]), path="/v1/batch"),
    Case("67 an event of 33 KB", 400, whole(call(properties={"a": "x" * 33_000}))),
    Case(
        "67 an event of 33 KB once its traits are out of its context",
        400,
        whole(call(context={"traits": {"a": "x" * 17_000}})),
        path="/v1/identify",
    ),
    Case(
        "67 a batch of nothing but an event of 33 KB",
        400,
        whole(batch(call(type="track", properties={"a": "x" * 33_000}))),
        path="/v1/batch",
    ),
    Case(
        "67 a context of 30 KB for 2,500 events",
        413,
        lambda: iter([batch(*[call(type="track")] * 2_500, context={"a": "x" * 30_000})]),
        path="/v1/batch",
    ),
    Case("68 an unknown type", 400, whole(batch(call(type="purchase"))), path="/v1/batch"),
    Case("68 no type", 400, whole(batch(call())), path="/v1/batch"),
    Case("68 a type that is no text", 400, whole(batch(call(type=["track"]))), path="/v1/batch"),
    Case("68 calls that are no objects", 400, whole(batch(b"1", b"null", b'"a"', b"[]")), path="/v1/batch"),
    Case(
        "68 one good call among bad ones", 200, whole(batch(b"1", call(type="track"), call(type="x"))), path="/v1/batch"
    ),
    Case("69 no key", 401, whole(call()), key=None),
    Case("69 a wrong key", 401, whole(call()), key="wrong"),
    Case("69 an empty key", 401, whole(call(writeKey="")), key=""),
    Case("69 the secret key as a write key", 401, whole(call()), key=SECRET_KEY),
    Case("69 the write key in the address", 401, whole(call()), path=f"/v1/track?writeKey={WRITE_KEY}", key=None),
    Case("69 the write key in the body", 200, whole(call(writeKey=WRITE_KEY)), key=None),
    Case("69 a write key that is no text", 401, whole(call(writeKey=[WRITE_KEY])), key=None),
    Case("69 credentials that are no base64", 401, whole(call()), key=None, headers={"authorization": "Basic !!"}),
    Case("69 credentials that are no UTF-8", 401, whole(call()), key=None, headers={"authorization": "Basic /////w=="}),
    Case("69 another scheme", 401, whole(call()), key=None, headers={"authorization": f"Bearer {WRITE_KEY}"}),
    Case(
        "69 a log with the write key", 401, whole(batch(call(type="track", timestamp="2024-05-01"))), path="/v1/import"
    ),
    Case(
        "69 a log with the secret key in its body",
        401,
        whole(batch(call(type="track", timestamp="2024-05-01"), writeKey=SECRET_KEY)),
        path="/v1/import",
        key=None,
    ),
    Case("63 a log", 200, whole(batch(call(type="track", timestamp="2024-05-01"))), path="/v1/import", key=SECRET_KEY),
    Case("63 a log that does not say when", 400, whole(batch(call(type="track"))), path="/v1/import", key=SECRET_KEY),
    Case(
        "63 a log from the future",
        400,
        whole(batch(call(type="track", timestamp="9999-01-01"))),
        path="/v1/import",
        key=SECRET_KEY,
    ),
    Case("70 Global Privacy Control", 200, whole(call()), headers={"sec-gpc": "1"}),
)

CASES = (
    *(Case(body.name, body.status, body.chunks) for body in UNREADABLE),
    *(*TRANSPORT, *JSON, *NAMES, *IDS, *EVENTS),
)


class Address(NamedTuple):
    """Where calls are sent: with which key, and what makes a call a body for it."""

    path: str
    key: str | None
    body_of: Callable[[dict[str, Any]], bytes]


def _alone(said: dict[str, Any]) -> bytes:
    return json.dumps({"groupId": "group-1", "previousId": "visitor-0"} | said).encode()


def _in_a_batch(said: dict[str, Any]) -> bytes:
    return batch(json.dumps({"type": "track", "timestamp": "2024-05-01"} | said).encode())


ADDRESSES = (
    *(Address(f"/v1/{name}", WRITE_KEY, _alone) for name in ("identify", "page", "screen", "group", "alias")),
    *(Address(f"/v1/{letter}", WRITE_KEY, _alone) for letter in "tipsga"),
    *(Address(f"/v1/{name}", WRITE_KEY, _in_a_batch) for name in ("batch", "b")),
    Address("/v1/import", SECRET_KEY, _in_a_batch),
    Address(f"/beacon/v1/batch?writeKey={WRITE_KEY}", None, _in_a_batch),
)
"""Every address that calls are sent to, but for /v1/track, which `CASES` are sent to."""


def _everywhere(address: Address) -> Iterator[Case]:
    path, key, body_of = address
    bare = path.partition("?")[0]
    good = body_of(json.loads(call()))
    for body in UNREADABLE:
        yield Case(body.name, body.status, body.chunks, path, key=key)
    for case in (*JSON, *IDS, *(name for name in NAMES if name.status == 200)):
        if case.path == "/v1/track" and case != AS_DEEP_AS_MAY_BE:
            yield case._replace(path=path, key=key, chunks=whole(body_of(json.loads(b"".join(case.chunks())))))
    yield Case("07 gzip", 200, whole(gzip.compress(good)), path, key=key)
    yield Case("07 truncated gzip", 400, whole(gzip.compress(good)[:-4]), path, key=key)
    yield Case("08 a gzip bomb", 413, lambda: iter([bomb()]), path, key=key)
    yield Case("09 text/plain", 200, whole(good), path, key=key, headers={"content-type": "text/plain"})
    for method in ("GET", "PUT", "PATCH", "DELETE", "HEAD"):
        yield Case(f"14 {method}", 405, whole(good), path, method, key)
    yield Case("20 a query of 64 KB", 414, whole(good), f"{bare}?writeKey={WRITE_KEY}&{'q' * 65_000}", key=key)
    yield Case(
        "67 an event of 33 KB", 400, whole(body_of(json.loads(call(context={"a": "x" * 33_000})))), path, key=key
    )
    yield Case("69 no key", 401, whole(good), bare, key=None)
    yield Case("69 a wrong key", 401, whole(good), f"{bare}?writeKey=wrong", key="wrong")


def _settings(path: str) -> Iterator[Case]:
    """`path` is one that answers with settings."""
    yield Case("14 HEAD", 200, whole(b""), path, "HEAD", None)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        yield Case(f"14 {method}", 405, whole(call()), path, method, None)
    for key in ("wrong", "", "%00", "%ff", "..", "a%2Fb", "x" * 5_000, SECRET_KEY):
        refused = 404 if path.startswith("/v1/projects") else 401
        yield Case(f"69 the key {key:.20}", refused, whole(b""), path.replace(WRITE_KEY, key), "GET", None)


def _figures(path: str) -> Iterator[Case]:
    """`path` is one that drops what it is sent."""
    yield Case("04 60 MB", 413, repeated(b'{"a":"' + b"x" * 60_000, 1_000), path, key=None)
    yield Case("08 a gzip bomb", 413, lambda: iter([bomb()]), path, key=None)
    for method in ("GET", "PUT", "HEAD"):
        yield Case(f"14 {method}", 405, whole(b""), path, method, None)


EVERYWHERE: Mapping[str, tuple[Case, ...]] = {
    **{address.path: tuple(_everywhere(address)) for address in ADDRESSES},
    **{
        path: tuple(_settings(path))
        for path in (f"/v1/projects/{WRITE_KEY}/settings", f"/sourceConfig/?writeKey={WRITE_KEY}")
    },
    **{path: tuple(_figures(path)) for path in ("/v1/m", "/rsaMetrics")},
}


def _wire(*lines: str, body: bytes = b"") -> bytes:
    credentials = b64encode(f"{WRITE_KEY}:".encode()).decode()
    head = ("POST /v1/track HTTP/1.1", "Host: localhost", f"Authorization: Basic {credentials}", *lines)
    return "\r\n".join([*head, "", ""]).encode() + body


WIRE = (
    WireCase("05 a length that is too large", _wire("Content-Length: 1000", body=call())),
    WireCase("05 a length that is too small", _wire("Content-Length: 10", body=call())),
    WireCase("05 a length that is no number", _wire("Content-Length: ten", body=call())),
    WireCase("05 a negative length", _wire("Content-Length: -1", body=call())),
    WireCase(
        "06 a chunk of a wrong size",
        _wire("Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n0\r\n\r\n"),
    ),
    WireCase("14 TRACE", _wire().replace(b"POST", b"TRACE")),
    WireCase("14 a method that does not exist", _wire().replace(b"POST", b"FETCH")),
    WireCase(
        "17 a length and chunks",
        _wire("Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\nPOST /v1/track HTTP/1.1\r\n\r\n"),
    ),
    WireCase("18 a header of 64 KB", _wire("X-Long: " + "x" * 65_536, body=b"")),
    WireCase("18 1,000 headers", _wire(*(f"X-{n}: {n}" for n in range(1_000)), body=b"")),
    WireCase("02 no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
)
