"""The environment, read once: which platform this is, its names and its secrets.

- SEGUE_PLATFORM: `embedded` (the default) or `google`.
- SEGUE_PROFILE_SECRET: the secret that document ids are derived with, at least 16 bytes; required.
- SEGUE_DATA: the folder of the embedded platform's files, and of the laptop's archive; `.segue` by default.
- SEGUE_PROJECT: the Google Cloud project; required on `google`.
- SEGUE_ARCHIVE_DATASET: the BigQuery dataset of the archive, which Pub/Sub writes; required on Cloud Run. Without it
  the archive of `google` is a file in the folder, as that of the laptop.
- SEGUE_CATALOG_DATABASE: the Firestore database of the catalogue; `catalog` by default.
- SEGUE_PUSH_AUDIENCE, SEGUE_PUSH_ACCOUNT: the audience and the e-mail that a push request's token must carry, both or
  neither; without them pushes are not verified.
- SEGUE_PUSH_CERTIFICATES: a file with the certificates that push tokens are verified by, a JSON object from key id to
  PEM; Google's by default, and always on Cloud Run.
- SEGUE_GEO_HEADERS: whose headers tell where a visitor is: `client-geo` (X-Client-Geo-Country, -Region, -City and
  -CityLatLong) or `appengine` (X-AppEngine-…). Only where a load balancer in front sets all of them on every request:
  otherwise any client can say that it is anywhere. None by default.
- SEGUE_GEOIP: a MaxMind file (.mmdb) with the places of IP addresses; none by default. Behind a proxy the server has to
  be told whom to trust with the client's address (FORWARDED_ALLOW_IPS).
- SEGUE_WEBHOOK_SECRETS: the secrets that webhooks are signed with, a JSON object from name to secret.
- SEGUE_IDENTITY_SECRETS: the secrets that sites sign identity tokens with, as well; at least 32 bytes each.
- SEGUE_RECENT_MS: for how long an instance of lookup may go on deciding by a visitor's document that it has read, 0 to
  1000; 250 by default.
- SEGUE_STORAGE_SECRETS: the credentials of buckets, a JSON object from name to an object: `access_key_id`,
  `secret_access_key` and perhaps `session_token` for S3, a service account's key file for GCS.
- SEGUE_ALLOW_PRIVATE_DESTINATIONS: `true` lets webhooks and files go to private addresses; `false` by default.

On Cloud Run, which sets K_SERVICE, nothing is left to what is meant for a laptop: the platform is `google`, no emulator
has an address, the archive is BigQuery's, pushes are verified by Google's certificates, and a variable that begins with
SEGUE_ is one of these.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

import msgspec

from segue.domain.enrichment import GeoHeaders
from segue.domain.errors import Invalid

PlatformName: TypeAlias = Literal["embedded", "google"]

SHORTEST_SECRET = 16

SHORTEST_IDENTITY_SECRET = 32
"""Bytes, as HS256 has them."""

RECENT_MS, LONGEST_RECENT_MS = 250, 1_000


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the environment says. Its `repr` shows no secret."""

    platform: PlatformName
    profile_secret: bytes
    data: Path
    project: str
    archive_dataset: str
    catalog_database: str
    push_audience: str
    push_account: str
    push_certificates: Path | None
    geo_headers: GeoHeaders | None
    geoip: Path | None
    webhook_secrets: Mapping[str, str]
    identity_secrets: Mapping[str, str]
    recent_ms: int
    storage_secrets: Mapping[str, Mapping[str, str]]
    allow_private_destinations: bool

    def __repr__(self) -> str:
        return f"Settings(platform={self.platform!r}, project={self.project!r}, data={str(self.data)!r})"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *, pushed: bool = False) -> "Settings":
        """Raises Invalid, naming the variable, if one is missing or broken, or has no place where this is. `pushed`:
        for a function that nobody but push subscriptions may call."""
        env = _Asked(environment)
        platform = _platform(env)
        settings = cls(
            platform=platform,
            profile_secret=_secret(env),
            data=Path(env.get("SEGUE_DATA", ".segue")),
            project=_required(env, "SEGUE_PROJECT") if platform == "google" else env.get("SEGUE_PROJECT", ""),
            archive_dataset=env.get("SEGUE_ARCHIVE_DATASET", ""),
            catalog_database=env.get("SEGUE_CATALOG_DATABASE", "catalog"),
            push_audience=_paired(env, "SEGUE_PUSH_AUDIENCE", "SEGUE_PUSH_ACCOUNT"),
            push_account=_paired(env, "SEGUE_PUSH_ACCOUNT", "SEGUE_PUSH_AUDIENCE"),
            push_certificates=_path(env, "SEGUE_PUSH_CERTIFICATES"),
            geo_headers=_geo_headers(env),
            geoip=_path(env, "SEGUE_GEOIP"),
            webhook_secrets=_named_secrets(env, "SEGUE_WEBHOOK_SECRETS"),
            identity_secrets=_identity_secrets(env),
            recent_ms=_recent_ms(env),
            storage_secrets=_storage_secrets(env),
            allow_private_destinations=_flag(env, "SEGUE_ALLOW_PRIVATE_DESTINATIONS"),
        )
        if "K_SERVICE" in env:
            _refuse_in_the_cloud(env, settings, pushed)
        return settings


class _Asked(Mapping[str, str]):
    """An environment that remembers which of its variables somebody asked for."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._environment[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environment)

    def __len__(self) -> int:
        return len(self._environment)


def _refuse_in_the_cloud(env: _Asked, settings: Settings, pushed: bool) -> None:
    if settings.platform != "google":
        raise Invalid(f"expected google on Cloud Run, found {settings.platform!r}", path="SEGUE_PLATFORM")
    if pushed:
        _required(env, "SEGUE_PUSH_ACCOUNT")
    _required(env, "SEGUE_ARCHIVE_DATASET")  # a file knows nothing of other instances, and goes with its own
    for name in sorted(env):
        if name.endswith("_EMULATOR_HOST"):
            raise Invalid("an emulator's address has no place on Cloud Run (K_SERVICE is set)", path=name)
        if name == "SEGUE_PUSH_CERTIFICATES":
            raise Invalid("pushes are verified by Google's own certificates on Cloud Run (K_SERVICE is set)", path=name)
        if name.startswith("SEGUE_") and name not in env.asked:
            raise Invalid("is no setting of Segue's", path=name)


def _required(env: Mapping[str, str], name: str) -> str:
    if not env.get(name):
        raise Invalid("is missing or empty", path=name)
    return env[name]


def _path(env: Mapping[str, str], name: str) -> Path | None:
    return Path(env[name]) if env.get(name) else None


def _paired(env: Mapping[str, str], name: str, other: str) -> str:
    return _required(env, name) if env.get(other) else env.get(name, "")


def _platform(env: Mapping[str, str]) -> PlatformName:
    name = env.get("SEGUE_PLATFORM", "embedded")
    if name not in get_args(PlatformName):
        raise Invalid(f"expected one of {', '.join(get_args(PlatformName))}, found {name!r}", path="SEGUE_PLATFORM")
    return cast(PlatformName, name)


def _geo_headers(env: Mapping[str, str]) -> GeoHeaders | None:
    name = env.get("SEGUE_GEO_HEADERS")
    if name and name not in get_args(GeoHeaders):
        raise Invalid(f"expected one of {', '.join(get_args(GeoHeaders))}, found {name!r}", path="SEGUE_GEO_HEADERS")
    return cast(GeoHeaders, name) if name else None


def _secret(env: Mapping[str, str]) -> bytes:
    secret = _required(env, "SEGUE_PROFILE_SECRET").encode()
    if len(secret) < SHORTEST_SECRET:
        raise Invalid(f"expected at least {SHORTEST_SECRET} bytes, found {len(secret)}", path="SEGUE_PROFILE_SECRET")
    return secret


def _named_secrets(env: Mapping[str, str], name: str) -> Mapping[str, str]:
    try:
        return msgspec.json.decode(env.get(name) or "{}", type=dict[str, str])
    except msgspec.DecodeError:
        raise Invalid("expected a JSON object of texts, name to secret", path=name) from None


def _identity_secrets(env: Mapping[str, str]) -> Mapping[str, str]:
    found = _named_secrets(env, "SEGUE_IDENTITY_SECRETS")
    for name, secret in found.items():
        if len(secret.encode()) < SHORTEST_IDENTITY_SECRET:
            expected = f"expected at least {SHORTEST_IDENTITY_SECRET} bytes, found {len(secret.encode())}"
            raise Invalid(expected, path=f"SEGUE_IDENTITY_SECRETS.{name}")
    return found


def _recent_ms(env: Mapping[str, str]) -> int:
    value = env.get("SEGUE_RECENT_MS") or str(RECENT_MS)
    if not (value.isascii() and value.isdigit() and len(value) <= 4 and int(value) <= LONGEST_RECENT_MS):
        raise Invalid(f"expected 0 to {LONGEST_RECENT_MS}, found {value!r:.40}", path="SEGUE_RECENT_MS")
    return int(value)


def _storage_secrets(env: Mapping[str, str]) -> Mapping[str, Mapping[str, str]]:
    try:
        return msgspec.json.decode(env.get("SEGUE_STORAGE_SECRETS") or "{}", type=dict[str, dict[str, str]])
    except msgspec.DecodeError:
        expected = "expected a JSON object, name to an object of texts"
        raise Invalid(expected, path="SEGUE_STORAGE_SECRETS") from None


def _flag(env: Mapping[str, str], name: str) -> bool:
    value = env.get(name, "false")
    if value not in ("true", "false"):
        raise Invalid(f"expected true or false, found {value!r}", path=name)
    return value == "true"
