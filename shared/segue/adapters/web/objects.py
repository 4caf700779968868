"""Objects in S3 and Google Cloud Storage, and in whatever else speaks like one of them, through one library: obstore.

Credentials are Segue's settings, by the name that the catalogue has, and no others that the environment may hold; what
a provider says is told without them.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

import httpx
import msgspec

from segue.adapters.web.proxy import VettingProxy
from segue.adapters.web.vetting import Resolve, resolve, vetted
from segue.domain.destination import Storage
from segue.domain.errors import Conflict, NotFound, Rejected, SegueError, Unavailable
from segue.ports import ABSENT, Document

if TYPE_CHECKING:
    from obstore import PutMode, UpdateVersion
    from obstore.store import ClientConfig, GCSStore, MemoryStore, RetryConfig, S3Credential, S3Store

    Bucket: TypeAlias = S3Store | GCSStore | MemoryStore

Credentials: TypeAlias = Mapping[str, str]
"""`access_key_id`, `secret_access_key` and perhaps `session_token` for S3; the fields of a service account's key file
for GCS."""

S3_FIELDS = {"access_key_id", "secret_access_key", "session_token"}

TIMEOUT = timedelta(seconds=15)
CONNECT_TIMEOUT = timedelta(seconds=5)
RETRIES = 1
RETRIED_FOR = timedelta(seconds=20)

LONGEST_WORDS = 300


class WebObjects:
    """`ports.Objects`. It belongs to the event loop of its first call.

    `allow_private` is for a laptop: any address and plain http too. `resolve` is the system's, and `opened` takes the
    place of what is in the network, unless a test brings its own.
    """

    def __init__(
        self,
        secrets: Mapping[str, Credentials],
        *,
        allow_private: bool = False,
        resolve: Resolve = resolve,
        opened: Callable[[Storage], "Bucket"] | None = None,
    ) -> None:
        self._secrets = secrets
        self._allow_private = allow_private
        self._resolve = resolve
        self._proxy = None if allow_private else VettingProxy(resolve)
        self._opened = opened
        self._buckets: dict[str, Bucket] = {}

    async def get(self, storage: Storage, path: str) -> Document | None:
        import obstore  # takes its time, and most functions need none of it

        bucket = await self._bucket(storage)
        try:
            found = await obstore.get_async(bucket, storage.prefix + path)
            data = bytes(await found.bytes_async())
        except FileNotFoundError:
            return None
        except (obstore.exceptions.BaseError, ValueError) as error:
            raise self._told(storage, error) from None
        return Document(data, _version(found.meta["e_tag"], found.meta["version"]))

    async def put(self, storage: Storage, path: str, data: bytes, expects: str | None = None) -> None:
        import obstore

        bucket = await self._bucket(storage)
        try:
            await obstore.put_async(bucket, storage.prefix + path, data, mode=_mode(expects), use_multipart=False)
        except (obstore.exceptions.AlreadyExistsError, obstore.exceptions.PreconditionError):
            raise Conflict(f"{path} in {storage.bucket} is another one than was expected") from None
        except (obstore.exceptions.BaseError, ValueError, FileNotFoundError) as error:
            raise self._told(storage, error) from None

    async def close(self) -> None:
        if self._proxy:
            await self._proxy.close()

    async def _bucket(self, storage: Storage) -> "Bucket":
        """The bucket as the library has it. Raises NotFound if there are no such credentials, and Rejected if they are
        none or the endpoint is not allowed."""
        if self._opened:
            return self._opened(storage)
        await self._vet(storage)
        known = storage.model_dump_json(include={"provider", "bucket", "region", "endpoint", "secret"})
        if known not in self._buckets:
            self._buckets[known] = await self._open(storage)
        return self._buckets[known]

    async def _open(self, storage: Storage) -> "Bucket":
        from obstore.exceptions import BaseError
        from obstore.store import GCSStore, S3Store

        credentials = self._secrets.get(storage.secret)
        if credentials is None:
            raise NotFound(f"there are no storage credentials {storage.secret!r}")
        client: ClientConfig = {
            "timeout": TIMEOUT,
            "connect_timeout": CONNECT_TIMEOUT,
            "allow_http": self._allow_private,
        }
        if self._proxy:
            client["proxy_url"] = await self._proxy.url()
        retry: RetryConfig = {"max_retries": RETRIES, "retry_timeout": RETRIED_FOR}
        try:
            if storage.provider == "s3":
                credential = _s3_credential(storage, credentials)
                return S3Store(
                    storage.bucket,
                    region=storage.region,
                    endpoint=storage.endpoint or f"https://s3.{storage.region}.amazonaws.com",
                    conditional_put="etag",
                    credential_provider=lambda: credential,
                    client_options=client,
                    retry_config=retry,
                )
            return GCSStore(
                storage.bucket,
                base_url=storage.endpoint or "https://storage.googleapis.com",
                service_account_key=msgspec.json.encode(credentials).decode(),
                client_options=client,
                retry_config=retry,
            )
        except (BaseError, ValueError) as error:
            raise Rejected(f"storage credentials {storage.secret!r}: {self._words(storage, error)}") from None

    async def _vet(self, storage: Storage) -> None:
        """Raises Rejected in words of our own; the proxy would only refuse to connect."""
        if storage.endpoint is None or self._allow_private:
            return
        url = httpx.URL(storage.endpoint)
        if url.scheme != "https":
            raise Rejected(f"expected https://, found the endpoint {storage.endpoint!r:.200}")
        await vetted(url.host, url.port or 443, self._resolve, allow_private=False)

    def _told(self, storage: Storage, error: Exception) -> SegueError:
        """What it means for whoever asked."""
        kind = Unavailable if type(error).__name__ in _PASSING else Rejected
        return kind(f"{storage.provider} bucket {storage.bucket}: {self._words(storage, error)}")

    def _words(self, storage: Storage, error: Exception) -> str:
        """The beginning of what the library says, without any credential."""
        words = str(error).partition("\n")[0]
        for credential in self._secrets.get(storage.secret, {}).values():
            words = words.replace(credential, "…") if credential else words
        return words[:LONGEST_WORDS]


_PASSING = {"GenericError", "JoinError"}
"""The library's errors that are worth another attempt: no connection, no answer in time, a status from 500 on."""


def _s3_credential(storage: Storage, credentials: Credentials) -> "S3Credential":
    if not {"access_key_id", "secret_access_key"} <= credentials.keys() <= S3_FIELDS:
        raise Rejected(f"storage credentials {storage.secret!r}: expected {' '.join(sorted(S3_FIELDS))}")
    return {
        "access_key_id": credentials["access_key_id"],
        "secret_access_key": credentials["secret_access_key"],
        "token": credentials.get("session_token"),
        "expires_at": None,
    }


def _mode(expects: str | None) -> "PutMode":
    if expects is None or expects == ABSENT:
        return "overwrite" if expects is None else "create"
    version: UpdateVersion = msgspec.json.decode(expects)
    return version


def _version(e_tag: str | None, version: str | None) -> str:
    """What a conditional write names: the parts of it that the provider has."""
    known = {"e_tag": e_tag, "version": version}
    return msgspec.json.encode({name: value for name, value in known.items() if value is not None}).decode()
