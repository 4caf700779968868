"""Bodies that nobody sends on purpose: good ones in which something was changed, the same ones for the same seed."""

import gzip
import json
from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from random import Random
from typing import Any, NamedTuple, get_args

import jwt

from functions.ingest.body import GZIP, inflated
from functions.ingest.ingest import Accepted, Address, ingest
from segue.domain.call import CallType, Reception
from segue.domain.errors import Rejected
from segue.domain.event import Json
from segue.domain.profile import profile_key
from segue.domain.untrusted import decode
from tests.functions.bad_input import CASES
from tests.functions.ingesting import NOW

ADDRESSES: tuple[Address, ...] = (*get_args(CallType), "batch", "import")

CALL: dict[str, Any] = {
    "type": "track",
    "event": "Product Added",
    "name": "Home",
    "category": "Start",
    "messageId": "ajs-next-1715342399000-0b1c",
    "anonymousId": "visitor-1",
    "userId": "ada-1",
    "previousId": "visitor-0",
    "groupId": "club-7",
    "timestamp": "2024-05-10T11:59:59.000Z",
    "originalTimestamp": "2024-05-10T11:59:58.000+02:00",
    "sentAt": "2024-05-10T12:00:00.000Z",
    "channel": "web",
    "properties": {
        **{"product_id": "d-1", "price": 59.9, "quantity": 1, "currency": "eur", "position": 30, "total_length": 60},
        "products": [{"product_id": "d-1", "price": 59.9}, {"product_id": "d-2", "price": 79}],
    },
    "traits": {"email": "ada@example.com", "phone": "+33 1 23 45 67 89", "address": {"city": "Paris"}, "age": 36},
    "context": {
        "ip": "198.51.100.1",
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36",
        "userAgentData": {"brands": [{"brand": "Chromium", "version": "130"}], "mobile": False, "platform": "Linux"},
        "page": {
            "url": "https://shop.example.com/?utm_source=news&utm_medium=email&gclid=1",
            "referrer": "https://www.google.com/search?q=dress",
            **{"path": "/", "title": "Shop", "search": "?utm_source=news"},
        },
        "campaign": {"name": "spring", "source": "news", "medium": "email"},
        "consent": {"categoryPreferences": {"Analytics": True, "Advertising": False}, "version": "3"},
        "consentManagement": {"allowedConsentIds": ["functional"], "deniedConsentIds": ["ads"]},
        "device": {"id": "x", "type": "mobile"},
        "library": {"name": "analytics.js", "version": "1.84"},
        "location": {"country": "FR", "latitude": 48.8, "longitude": 2.3},
        "traits": {"plan": "gold"},
        **{"locale": "fr-FR", "timezone": "Europe/Paris", "screen": {"width": 1, "height": 2}, "groupId": "club-7"},
    },
    "integrations": {"All": True},
}
"""A call that says all that one can."""

SITE_SECRET = "what the site's backend signs with"  # noqa: S105  # the tests' own

TOKENS: tuple[str, ...] = tuple(
    jwt.api_jws.encode(claims, SITE_SECRET, algorithm="HS256")
    for claims in (
        *(
            b'{"sub":"ada-1","exp":%d}' % (NOW // 1_000 + 60),
            b'{"sub":"ada-1","exp":1}',
            b'{"sub":"","exp":1715342460}',
        ),
        *(b'{"sub":{},"exp":[]}', b'{"sub":7,"exp":1e308}', b'{"sub":"a","exp":NaN}', b'{"sub":null,"exp":true}'),
        *(b'{"sub":"a","exp":1715342460,"anonymous_id":{}}', b'{"sub":"a","exp":1715342460,"aud":[1,{}],"nbf":"x"}'),
        *(b"[]", b"1", b"null", b"", b"{", b"\xff", b"[" * 2_000, b'{"sub":"%s","exp":1715342460}' % (b"x" * 2_000)),
        *(rb'{"sub":"\ud800","exp":1715342460}', b'{"sub":"a","exp":1715342460,"iat":-1e400,"crit":["b64"]}'),
    )
)
"""What a site may have signed, in truth or by mistake; all carry its signature."""

STRANGE: tuple[Json, ...] = (
    *(None, True, False, 0, -1, 1.5, -0.0, 1e308, 5e-324, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**200),
    *("", " ", "null", "undefined", "x", "x" * 257, "x" * 5_000, "\u202e", "\x00", "\ud800", "e\u0301", "\U0001f600"),
    *(
        "https://[",
        "//",
        "http://\u0660.example:99999/?utm_source=%ff",
        "?utm_source=a&utm_source=b",
        "999.1.2.3",
        "::1",
    ),
    *(
        "2024-02-30",
        "9999-12-31T23:59:59Z",
        "0001-01-01",
        "@",
        "a@b",
        "+",
        "__proto__",
        "Segment Consent Preference Updated",
    ),
    *([], {}, [[]], [{}], {"": {}}, {"a.b": {"$ne": 1}}, {"__proto__": {"constructor": []}}, [None] * 50, {"id": {}}),
)

PIECES: tuple[bytes, ...] = (
    *(b"NaN", b"-Infinity", b"1e400", b"-0", b"01", b"9" * 400, b"null", b"true", b"[" * 40, b"]" * 5, b'{"a":' * 25),
    *(
        rb"\ud800",
        rb"\u0000",
        rb"\u003a",
        b"\\",
        b'"',
        b"\xff",
        b"\xc0\x80",
        b"\xf0\x9f\x98\x80",
        b"\xef\xbb\xbf",
        b"\x00",
    ),
    *(b",", b":", b"{", b"}", b'"event":"B",', b'"batch":[],', b"//", b"\n", b"'", b"\x1f\x8b"),
)

LARGE = {"04 as many bytes as may be", "67 2,500 events"}
SEEDS: tuple[bytes, ...] = tuple(
    b"".join(case.chunks())
    for case in CASES
    if case.status == 200 and case.name not in LARGE and not case.name.startswith("07")
)
"""The good bodies of the table."""


class Sent(NamedTuple):
    """A body, and the address that it is sent to."""

    address: Address
    body: bytes


def mutated(seed: int) -> Iterator[Sent]:
    """Bodies without end."""
    random = Random(seed)
    while True:
        address = random.choice(ADDRESSES)
        body = random.choice(SEEDS) if random.random() < 0.2 else _said(random, address)
        for _ in range(random.choice((0, 0, 0, 1, 1, 3))):
            body = _with_other_bytes(random, body)
        if random.random() < 0.05:
            body = _with_other_bytes(random, gzip.compress(body, 1))
        yield Sent(address, body)


def answered(sent: Sent, reception: Reception, secret: bytes = b"a secret of the tests") -> Accepted | None:
    """What ingest makes of it, with keys derived with this secret; None if it is refused. Whatever else is raised is a
    bug."""
    try:
        body = inflated(sent.body) if sent.body.startswith(GZIP) else sent.body
        return ingest(decode(body), sent.address, reception, partial(profile_key, secret), lambda: "id")
    except Rejected:
        return None


def _said(random: Random, address: Address) -> bytes:
    """A call or a batch with strange values in it, as JSON."""
    said: Json = _call(random)
    if address in ("batch", "import"):
        said = {"batch": [_call(random) for _ in range(random.randint(1, 3))], "context": {"a": 1}, "sentAt": 1}
        if random.random() < 0.2:
            _change(random, said)
    return json.dumps(said, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")


def _call(random: Random) -> dict[str, Json]:
    call = json.loads(random.choice(CALLS)) if random.random() < 0.5 else json.loads(CALLS[0])
    call["type"] = random.choice(get_args(CallType))
    for name in random.sample(sorted(call), min(len(call), random.choice((0, 0, 1, 8)))):
        del call[name]
    if random.random() < 0.2 and "context" in call:
        call["context"]["identityToken"] = random.choice(TOKENS)
    for _ in range(random.choice((0, 1, 1, 2, 5))):
        _change(random, call)
    return call  # type: ignore[no-any-return]


def _change(random: Random, value: Json) -> None:
    """Change one member somewhere inside of an object or an array, as deep as chance leads."""
    while True:
        if not value:
            return
        place: Any = random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value))
        inner = value[place]
        if not isinstance(inner, dict | list) or not inner or random.random() < 0.3:
            break
        value = inner
    match random.randrange(4):
        case 0:
            del value[place]
        case 1 if isinstance(value, dict):
            value[random.choice(("", "a.b", "__proto__", "$ne", "id", "traits", "type", "x" * 256))] = deepcopy(
                value[place]
            )
        case _:
            value[place] = deepcopy(random.choice(STRANGE))


def _with_other_bytes(random: Random, body: bytes) -> bytes:
    start = random.randint(0, len(body))
    end = min(len(body), start + random.choice((0, 0, 1, 2, 8)))
    new = (
        random.choice(PIECES)
        if random.random() < 0.7
        else random.choice((b"", body[start:end] * 2, random.randbytes(3)))
    )
    return body[:start] + new + body[end:]


CALLS: tuple[str, ...] = (
    json.dumps(CALL),
    json.dumps({"event": "A", "anonymousId": "visitor-1"}),
    json.dumps({"event": "Video Content Playing", "userId": 7, "properties": {"position": 1, "total_length": 2}}),
    json.dumps({"event": "Segment Consent Preference Updated", "anonymousId": "v", "context": CALL["context"]}),
)
