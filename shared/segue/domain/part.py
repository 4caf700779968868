"""What every part of the catalogue is made of: ids, names, texts, and models that let nothing else through."""

from collections.abc import Iterable
from typing import Annotated, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, JsonValue, StringConstraints


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None or parts.fragment:
        raise ValueError(f"expected an address such as https://crm.example.com/segue, found {url!r:.80}")
    return url


_ID = r"^[a-z0-9](-?[a-z0-9]){0,62}$"
_NAME = r"^[a-z0-9]([-_]?[a-z0-9]){0,62}$"
KEY_HASH = r"^[0-9a-f]{64}$"
_SIGNING_NAME = r"^[A-Za-z0-9_-]{1,64}$"
_ORIGIN = r"^https?://([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$"

_BUCKET = r"^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$"
_PREFIX = r"^([A-Za-z0-9_-][A-Za-z0-9._-]{0,62}/){0,8}$"
_REGION = r"^[a-z0-9-]{2,40}$"
_MEMBER = r"^(user_id|anonymous_id):.+$"

MEANINGS = {
    _ID: "an id of lower-case letters, digits and single hyphens",
    _NAME: "a name of lower-case letters, digits and single hyphens or underscores",
    KEY_HASH: "the SHA-256 of a key, 64 hex digits in lower case",
    _SIGNING_NAME: "the name of a secret: letters, digits, _ and -",
    _MEMBER: "a visitor such as user_id:42 or anonymous_id:x",
    _ORIGIN: "an origin such as https://shop.example.com, in lower case and without a path",
    _BUCKET: "the name of a bucket: 3 to 63 lower-case letters, digits, dots, hyphens and underscores",
    _PREFIX: "a prefix such as exports/segue/, each part with a / behind it",
    _REGION: "a region such as eu-central-1",
}
"""What a text is that matches the pattern."""

Id: TypeAlias = Annotated[str, StringConstraints(pattern=_ID)]
"""Safe in addresses, topics and logs."""

Name: TypeAlias = Annotated[str, StringConstraints(pattern=_NAME)]
"""As conditions say it of a score or a computed trait."""

Text: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
KeyHash: TypeAlias = Annotated[str, StringConstraints(pattern=KEY_HASH)]
SecretName: TypeAlias = Annotated[str, StringConstraints(pattern=_SIGNING_NAME)]
Origin: TypeAlias = Annotated[str, StringConstraints(pattern=_ORIGIN)]
"""Scheme, host and port exactly as a browser's `Origin` header gives them."""

BucketName: TypeAlias = Annotated[str, StringConstraints(pattern=_BUCKET)]
Prefix: TypeAlias = Annotated[str, StringConstraints(pattern=_PREFIX)]
"""What the paths of objects begin with."""

Region: TypeAlias = Annotated[str, StringConstraints(pattern=_REGION)]
Member: TypeAlias = Annotated[str, StringConstraints(pattern=_MEMBER, max_length=1_000)]
Url: TypeAlias = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(_web_address)]
Content: TypeAlias = dict[str, JsonValue]
"""What fills a slot: data that the CMS knows how to show."""


class Part(BaseModel):
    """A part of the catalogue: nothing is coerced, nothing unknown is let through, nothing changes once read."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Problem(NamedTuple):
    """What is wrong with one part of a catalogue, and where."""

    path: str
    message: str


def written(path: Iterable[str | int]) -> str:
    """A path as messages show it: `slots.homepage-hero.variants[0].segment`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
