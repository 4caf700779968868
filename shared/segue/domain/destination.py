"""Destinations in the catalogue: webhooks, which get each transition, and storage, which gets members as files."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from segue.domain.part import BucketName, Id, Name, Part, Prefix, Region, SecretName, Text, Url
from segue.domain.rules.model import Duration, Refused
from segue.domain.time import DAY

IdentifierName: TypeAlias = Literal["user_id", "anonymous_id", "email"]
Format: TypeAlias = Literal["csv", "jsonl"]


class Webhook(Part):
    """An address that gets each transition by POST."""

    url: Url
    """Where to."""
    secret: SecretName
    """The name of the secret that signs it."""


class Storage(Part):
    """A bucket that gets the members of each segment as files: all of them now and then, in between what changed."""

    provider: Literal["s3", "gcs"]
    """Whose interface it has: S3's (MinIO, R2 and others too) or Google Cloud Storage's."""
    bucket: BucketName
    """Its name."""
    region: Region = "us-east-1"
    """Where it lies, for S3."""
    endpoint: Url | None = None
    """Where it answers, if not at Amazon's or Google's own address."""
    prefix: Prefix = ""
    """What the paths of all files begin with."""
    secret: SecretName
    """The name of the credentials, which the environment has."""
    identifier: IdentifierName = "user_id"
    """By what members are named; those who have none are left out. `anonymous_id`: every browser of theirs."""
    hashed: bool = True
    """As the SHA-256 of the identifier in its normal form, in hex, as ad platforms want it; an e-mail address is never
    told otherwise."""
    format: Format = "csv"
    """Lines of CSV, or of JSON; packed by gzip either way."""
    full_every: Annotated[Duration, Field(ge=1, json_schema_extra={"default": "1d"})] = DAY
    """How old the newest file of all members may be until there is another one."""
    purposes: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    """What members must have consented to, besides what the segment asks for; the others are left out."""

    @model_validator(mode="after")
    def _tells_no_address(self) -> "Storage":
        if self.identifier == "email" and not self.hashed:
            raise Refused("expected hashed: true, for an e-mail address is told as its hash alone")
        return self

    @property
    def column(self) -> str:
        """What the identifier is called in files."""
        return f"{self.identifier}_sha256" if self.hashed else self.identifier


class Destination(Part):
    """Who is told of the named segments, or of all without `segments`: either a webhook or a storage."""

    name: Text | None = None
    """What people call it."""
    description: Text | None = None
    """For people, too."""
    webhook: Webhook | None = None
    """Gets each transition as it happens."""
    storage: Storage | None = None
    """Gets the members as files."""
    segments: Annotated[tuple[Id, ...], Field(strict=False, min_length=1)] | None = None
    """Whose transitions or members; all if left out."""

    @model_validator(mode="after")
    def _is_either(self) -> "Destination":
        if (self.webhook is None) == (self.storage is None):
            raise Refused("expected either a webhook or a storage")
        return self
