"""What a bucket promises, whoever's it is: whole objects, conditional writes, and no way into our own network."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from obstore.store import GCSStore, MemoryStore
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from segue.adapters.web import WebObjects
from segue.adapters.web.proxy import Streams, VettingProxy
from segue.domain.destination import Storage
from segue.domain.errors import Conflict, NotFound, Rejected, SegueError, Unavailable
from segue.ports import ABSENT
from tests.buckets import BUCKET, S3_CREDENTIALS, Gcs, certified, s3, service_account
from tests.contracts.receiver import serving

if TYPE_CHECKING:
    from obstore.store import ClientConfig

SECRETS = {"ads": S3_CREDENTIALS}
PUBLIC = "93.184.215.14"


def storage(**fields: Any) -> Storage:
    return Storage.model_validate({"provider": "s3", "bucket": BUCKET, "prefix": "a/", "secret": "ads", **fields})


class Bucket:
    """A storage with its objects."""

    def __init__(self, objects: WebObjects, storage: Storage) -> None:
        self._objects = objects
        self._storage = storage

    async def get(self, path: str) -> bytes | None:
        found = await self._objects.get(self._storage, path)
        return found.data if found else None

    async def version(self, path: str) -> str:
        found = await self._objects.get(self._storage, path)
        assert found
        return found.version

    async def put(self, path: str, data: bytes, expects: str | None = None) -> None:
        await self._objects.put(self._storage, path, data, expects)


async def _memory() -> AsyncIterator[Bucket]:
    kept = MemoryStore()
    yield Bucket(WebObjects({}, opened=lambda _: kept), storage())


async def _s3() -> AsyncIterator[Bucket]:
    with s3() as url:
        yield Bucket(WebObjects(SECRETS, allow_private=True), storage(endpoint=url))


async def _gcs() -> AsyncIterator[Bucket]:
    gcs, account = Gcs(), service_account()
    async with serving(gcs.app) as url:
        objects = WebObjects({"ads": account}, allow_private=True)
        yield Bucket(objects, storage(provider="gcs", endpoint=url.rstrip("/")))
    assert all(token.startswith("Bearer ey") for token in gcs.tokens)


KINDS = [
    pytest.param(_memory, id="in memory"),
    pytest.param(_s3, id="S3 by moto", marks=pytest.mark.slow),
    pytest.param(_gcs, id="a stand-in for GCS", marks=pytest.mark.slow),
]


@pytest.fixture(params=KINDS)
async def bucket(request: pytest.FixtureRequest) -> AsyncIterator[Bucket]:
    async for each in request.param():
        yield each


async def test_what_was_put_is_there_and_nothing_else(bucket: Bucket) -> None:
    assert await bucket.get("s/manifest.json") is None
    await bucket.put("s/manifest.json", b"\x00" * 6_000_000)
    assert await bucket.get("s/manifest.json") == b"\x00" * 6_000_000
    await bucket.put("s/manifest.json", b"")
    assert await bucket.get("s/manifest.json") == b""


async def test_a_first_object_is_written_once(bucket: Bucket) -> None:
    await bucket.put("m", b"1", ABSENT)
    with pytest.raises(Conflict):
        await bucket.put("m", b"2", ABSENT)
    assert await bucket.get("m") == b"1"


async def test_an_object_takes_the_place_only_of_the_version_that_was_read(bucket: Bucket) -> None:
    await bucket.put("m", b"1")
    version = await bucket.version("m")
    await bucket.put("m", b"2", version)
    with pytest.raises(Conflict):
        await bucket.put("m", b"3", version)
    assert await bucket.get("m") == b"2"


async def test_of_many_who_write_at_once_on_the_same_version_one_is_first(bucket: Bucket) -> None:
    await bucket.put("m", b"0")
    version = await bucket.version("m")
    outcomes = await asyncio.gather(
        *(bucket.put("m", b"%d" % number, version) for number in range(1, 6)), return_exceptions=True
    )
    assert [type(each) for each in outcomes].count(type(None)) == 1
    assert all(each is None or isinstance(each, Conflict) for each in outcomes)


async def _refused(objects: WebObjects, **fields: Any) -> SegueError:
    with pytest.raises(SegueError) as refused:
        await objects.put(storage(**fields), "m", b"1")
    return refused.value


def resolving(*answers: Sequence[str]) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    remaining = iter(answers)

    async def resolve(*_: object) -> Sequence[str]:
        return next(remaining)

    return resolve


async def test_credentials_that_are_not_there_or_are_none_are_named() -> None:
    assert isinstance(await _refused(WebObjects({}, resolve=resolving())), NotFound)
    broken = await _refused(WebObjects({"ads": {"access_key_id": "only this"}}, allow_private=True))
    assert isinstance(broken, Rejected)
    assert "access_key_id secret_access_key session_token" in str(broken)
    account = await _refused(WebObjects({"ads": {"type": "nothing"}}, allow_private=True), provider="gcs")
    assert isinstance(account, Rejected)


@pytest.mark.parametrize(
    "endpoint", ["http://169.254.169.254", "http://shop.example", "https://0x7f.1", "https://2130706433"]
)
async def test_only_an_https_endpoint_of_a_name_or_an_address_is_called(endpoint: str) -> None:
    assert isinstance(await _refused(WebObjects(SECRETS, resolve=resolving([PUBLIC])), endpoint=endpoint), Rejected)


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.8", "::1", "::ffff:127.0.0.1"])
async def test_an_endpoint_at_an_address_that_is_not_public_is_refused(address: str) -> None:
    error = await _refused(WebObjects(SECRETS, resolve=resolving([address])), endpoint="https://minio.example")
    assert isinstance(error, Rejected)
    assert "no public address" in str(error)


async def test_a_name_that_changes_its_address_in_between_is_not_connected_to() -> None:
    """What is vetted is what is connected to: the library resolves nothing by itself."""
    resolve = resolving([PUBLIC], *[["127.0.0.1"]] * 10)
    async with _listening() as (port, connected):
        objects = WebObjects(SECRETS, resolve=resolve)
        assert isinstance(await _refused(objects, endpoint=f"https://minio.example:{port}"), Unavailable)
        await objects.close()
    assert connected == []


async def test_the_library_reaches_a_vetted_address_through_the_proxy_and_in_tls(tmp_path: Path) -> None:
    connected: list[str] = []
    gcs = Gcs()
    key, certificate = certified(tmp_path, "bucket.example")
    async with serving(gcs.app, key, certificate) as url:
        port = int(url.rstrip("/").rpartition(":")[2])

        async def connect(address: str, _port: int) -> Streams:
            connected.append(address)
            return await asyncio.open_connection("127.0.0.1", port)

        proxy = VettingProxy(resolving([PUBLIC]), connect)
        client: ClientConfig = {"proxy_url": await proxy.url(), "root_certificate": certificate.read_bytes()}
        bucket = GCSStore(
            BUCKET,
            base_url="https://bucket.example",
            service_account_key=msgspec.json.encode(service_account()).decode(),
            client_options=client,
        )
        await bucket.put_async("m", b"through", use_multipart=False)
        assert bytes(await (await bucket.get_async("m")).bytes_async()) == b"through"
        await proxy.close()
    assert connected == [PUBLIC]


async def test_the_proxy_serves_only_whom_it_was_made_for() -> None:
    proxy = VettingProxy(resolving([PUBLIC]))
    url = await proxy.url()
    port = int(url.rpartition(":")[2])
    for request in ("CONNECT shop.example:443 HTTP/1.1", "GET http://169.254.169.254/ HTTP/1.1"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{request}\r\nHost: x\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 403")
        writer.close()
    await proxy.close()


@pytest.mark.slow
async def test_nobody_listening_is_worth_another_try_and_no_bucket_is_not() -> None:
    objects = WebObjects(SECRETS, allow_private=True)
    assert isinstance(await _refused(objects, endpoint="http://127.0.0.1:9"), Unavailable)
    with s3() as url:
        missing = await _refused(objects, endpoint=url, bucket="nobodys")
    assert isinstance(missing, Rejected)
    assert "nobodys" in str(missing)


async def test_what_else_the_environment_says_of_amazon_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Request] = []

    async def take(request: Request) -> Response:
        asked.append(request)
        return Response(headers={"etag": '"1"'})

    monkeypatch.setenv("AWS_SESSION_TOKEN", "another one's")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another one's")
    async with serving(Starlette(routes=[Route("/{path:path}", take, methods=["PUT"])])) as url:
        objects = WebObjects(SECRETS, allow_private=True)
        await objects.put(storage(endpoint=url.rstrip("/")), "m", b"1")
    (request,) = asked
    assert S3_CREDENTIALS["access_key_id"] in request.headers["authorization"]
    assert "x-amz-security-token" not in request.headers


async def test_what_is_denied_is_final_and_no_error_shows_a_credential() -> None:
    async def deny(request: Request) -> Response:
        return Response(f"<Error><Code>AccessDenied</Code>{request.headers['authorization']}</Error>", 403)

    async with serving(Starlette(routes=[Route("/{path:path}", deny, methods=["PUT"])])) as url:
        error = await _refused(WebObjects(SECRETS, allow_private=True), endpoint=url.rstrip("/"))
    assert isinstance(error, Rejected)
    assert "AccessDenied" in str(error)
    assert not any(credential in str(error) for credential in S3_CREDENTIALS.values())


@asynccontextmanager
async def _listening() -> AsyncIterator[tuple[int, list[object]]]:
    """A port of this machine, and who connected to it."""
    connected: list[object] = []
    server = await asyncio.start_server(lambda *who: connected.append(who), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], connected
    server.close()
