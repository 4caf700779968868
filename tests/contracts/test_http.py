"""What a call to a webhook promises: an answer's status, in time, and never from inside our own network."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import httpcore
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from segue.adapters.web import LONGEST_ANSWER, WebHttp
from segue.domain.errors import Rejected, Unavailable
from tests.contracts.receiver import serving

PUBLIC, PUBLIC_V6, LOOPBACK, METADATA = "93.184.215.14", "2606:2800:21f::1", "127.0.0.1", "169.254.169.254"


class Internet(httpcore.AsyncMockBackend):
    """A network where every address gives the same answer and closes; it notes which were connected to."""

    def __init__(self, *, refusing: Sequence[str] = ()) -> None:
        super().__init__([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"])
        self.connected: list[str] = []
        self._refusing = refusing

    async def connect_tcp(self, host: str, port: int, *_: object) -> httpcore.AsyncNetworkStream:
        self.connected.append(host)
        if host in self._refusing:
            raise httpcore.ConnectError("refused")
        return await super().connect_tcp(host, port)


def resolving(*answers: Sequence[str]) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A resolver that gives these answers, one a call."""
    remaining = iter(answers)

    async def resolve(*_: object) -> Sequence[str]:
        return next(remaining)

    return resolve


async def post(http: WebHttp, url: str = "https://shop.example/hook", timeout_s: float = 10) -> int:
    return await http.post(url, b'{"a": 1}', {"Content-Type": "application/json", "Idempotency-Key": "k:1"}, timeout_s)


@pytest.mark.parametrize("addresses", [[PUBLIC], [PUBLIC_V6], [PUBLIC_V6, PUBLIC]])
async def test_a_public_address_is_called_as_it_was_resolved(addresses: Sequence[str]) -> None:
    internet = Internet()
    assert await post(WebHttp(resolve=resolving(addresses), network=internet)) == 200
    assert internet.connected == addresses[:1]


async def test_an_address_that_refuses_gives_way_to_the_next() -> None:
    internet = Internet(refusing=[PUBLIC_V6])
    assert await post(WebHttp(resolve=resolving([PUBLIC_V6, PUBLIC]), network=internet)) == 200
    assert internet.connected == [PUBLIC_V6, PUBLIC]


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/",
        "http://169.254.169.254/",
        "http://metadata.google.internal",
        "http://[::ffff:127.0.0.1]",
        "http://0x7f.1",
        "file:///etc/passwd",
        "gopher://shop.example/",
        "ftp://shop.example/",
        "https:///no-host",
        "https://user:password@shop.example/",
        "https://shop.example:99999/",
        "https://[::1",
        "shop.example",
        "//shop.example/",
        "",
    ],
)
async def test_only_an_https_url_of_a_host_is_called(url: str) -> None:
    internet = Internet()
    with pytest.raises(Rejected):
        await post(WebHttp(resolve=resolving([PUBLIC]), network=internet), url)
    assert internet.connected == []


@pytest.mark.parametrize(
    "host", ["0x7f.1", "0177.0.0.1", "2130706433", "127.1", "0x7f000001", "1.2.3", "127.0.0.1.", "0"]
)
async def test_a_number_in_disguise_is_refused_whatever_the_resolver_makes_of_it(host: str) -> None:
    internet = Internet()
    with pytest.raises(Rejected):
        await post(WebHttp(resolve=resolving([PUBLIC]), network=internet), f"https://{host}/")
    assert internet.connected == []


@pytest.mark.parametrize(
    "address",
    [
        METADATA,
        LOOPBACK,
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "10.0.0.1",
        "100.64.0.1",
        "172.16.0.1",
        "192.0.0.8",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:93.184.215.14",
        "64:ff9b::7f00:1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "fc00::1",
        "fd20:ce::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "not an address",
    ],
)
async def test_a_name_of_an_address_that_is_not_public_is_refused(address: str) -> None:
    for addresses in ([address], [PUBLIC, address], [address, PUBLIC]):
        internet = Internet()
        with pytest.raises(Rejected, match="no public address"):
            await post(WebHttp(resolve=resolving(addresses), network=internet), "https://metadata.google.internal/")
        assert internet.connected == []


@pytest.mark.parametrize("literal", ["169.254.169.254", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"])
async def test_a_literal_address_is_vetted_like_a_name(literal: str) -> None:
    internet = Internet()
    with pytest.raises(Rejected):
        await post(WebHttp(network=internet), f"https://{literal}/")
    assert internet.connected == []


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example", "a" * 300])
async def test_what_can_be_no_name_is_refused(host: str) -> None:
    with pytest.raises(Rejected):
        await post(WebHttp(network=Internet()), f"https://{host}/")


async def test_a_name_that_changes_its_address_is_resolved_once_a_connection_and_vetted_each_time() -> None:
    internet = Internet()
    rebinding = WebHttp(resolve=resolving([PUBLIC], [LOOPBACK]), network=internet)
    assert await post(rebinding) == 200
    with pytest.raises(Rejected):
        await post(rebinding)
    assert internet.connected == [PUBLIC]


async def test_a_laptop_may_call_itself_over_plain_http() -> None:
    internet = Internet()
    assert (
        await post(WebHttp(allow_private=True, resolve=resolving([LOOPBACK]), network=internet), "http://cms/") == 200
    )
    assert internet.connected == [LOOPBACK]


async def test_a_laptop_calls_no_other_schemes_either() -> None:
    for url in ("file:///etc/passwd", "gopher://cms/"):
        with pytest.raises(Rejected):
            await post(WebHttp(allow_private=True, resolve=resolving([LOOPBACK]), network=Internet()), url)


async def test_a_name_without_an_address_is_worth_another_try() -> None:
    with pytest.raises(Unavailable):
        await post(WebHttp(resolve=resolving([]), network=Internet()))
    with pytest.raises(Unavailable):
        await post(WebHttp(), "https://no-such-host.invalid/")


async def test_a_header_that_would_split_the_request_is_refused() -> None:
    http = WebHttp(resolve=resolving([PUBLIC]), network=Internet())
    with pytest.raises(Rejected):
        await http.post("https://shop.example/", b"", {"Idempotency-Key": "a\r\nHost: b"}, 10)


class Destination:
    """A real receiver with its faults, each under its own path."""

    url: str

    def __init__(self) -> None:
        self.url = ""
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.app = Starlette(routes=[Route("/{what}", self.take, methods=["POST", "GET"])])

    async def take(self, request: Request) -> Response:
        what = request.path_params["what"]
        self.received.append((request.method + " /" + what, dict(request.headers), await request.body()))
        match what:
            case "moved":
                return RedirectResponse("/elsewhere")
            case "endless":
                return StreamingResponse(_repeated(bytes(LONGEST_ANSWER), request))
            case "dripping":
                return StreamingResponse(_repeated(b".", request))
            case "silent":
                await asyncio.sleep(60)
        return Response(status_code=int(what) if what.isdecimal() else 200)


async def _repeated(chunk: bytes, request: Request) -> AsyncIterator[bytes]:
    while not await request.is_disconnected():
        yield chunk
        await asyncio.sleep(0.01)


@pytest.fixture
async def destination() -> AsyncIterator[Destination]:
    destination = Destination()
    async with serving(destination.app) as destination.url:
        yield destination


@pytest.fixture
async def laptop() -> AsyncIterator[WebHttp]:
    http = WebHttp(allow_private=True)
    yield http
    await http.close()


async def test_body_and_headers_arrive(destination: Destination, laptop: WebHttp) -> None:
    assert await post(laptop, f"{destination.url}hook?a=%2F&b=1") == 200
    ((called, headers, body),) = destination.received
    assert (called, body) == ("POST /hook", b'{"a": 1}')
    assert (headers["content-type"], headers["idempotency-key"]) == ("application/json", "k:1")
    assert headers["host"] == destination.url.removeprefix("http://").rstrip("/")


@pytest.mark.parametrize("status", [201, 204, 400, 410, 429, 500, 503])
async def test_the_answer_is_its_status(destination: Destination, laptop: WebHttp, status: int) -> None:
    assert await post(laptop, f"{destination.url}{status}") == status


async def test_a_redirect_is_an_answer_and_not_followed(destination: Destination, laptop: WebHttp) -> None:
    assert await post(laptop, f"{destination.url}moved") == 307
    assert [called for called, _, _ in destination.received] == ["POST /moved"]


async def test_an_endless_answer_is_given_up(destination: Destination, laptop: WebHttp) -> None:
    assert await post(laptop, f"{destination.url}endless", timeout_s=30) == 200
    assert await post(laptop, f"{destination.url}204") == 204


@pytest.mark.parametrize("what", ["silent", "dripping"])
async def test_no_answer_in_time_is_worth_another_try(destination: Destination, laptop: WebHttp, what: str) -> None:
    with pytest.raises(Unavailable):
        await post(laptop, f"{destination.url}{what}", timeout_s=0.3)
    assert await post(laptop, f"{destination.url}204") == 204


async def test_nobody_listening_is_worth_another_try(laptop: WebHttp, unused_tcp_port: int) -> None:
    with pytest.raises(Unavailable):
        await post(laptop, f"http://127.0.0.1:{unused_tcp_port}/")


async def test_of_an_answer_that_is_no_http_no_word_is_told(laptop: WebHttp) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)
        writer.write(b"HTTP/1.1 200 OK\r\nada@example.com\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unavailable) as raised:
            await post(laptop, f"http://127.0.0.1:{port}/")
    assert "127.0.0.1 does not answer" in str(raised.value)
    assert "ada" not in str(raised.value)
