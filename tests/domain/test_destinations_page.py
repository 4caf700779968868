"""The page on destinations shows what the code takes and makes."""

import re

import msgspec
from ruamel.yaml import YAML

from functions.deliver import webhook
from segue.domain import audience
from segue.domain.destination import Destination, Storage
from segue.domain.membership import Transition
from segue.domain.message import DeliveryDue
from segue.domain.profile import ProfileRef
from tests.project.files import ROOT

PAGE = (ROOT / "infra" / "catalog" / "DESTINATIONS.md").read_text(encoding="utf-8")
BODY, MANIFEST = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_its_destinations_are_right() -> None:
    for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        for destination in YAML(typ="safe").load(block)["destinations"].values():
            Destination.model_validate(destination)


def test_every_field_of_a_storage_is_in_its_table() -> None:
    assert [name for name in Storage.model_fields if f"`{name}`" not in PAGE] == []


def test_its_manifest_is_one_with_all_fields() -> None:
    manifest = audience.decode(MANIFEST.encode())
    assert msgspec.json.decode(audience.encode(manifest)) == msgspec.json.decode(MANIFEST)


def test_its_webhook_has_the_fields_of_one() -> None:
    said = msgspec.json.decode(BODY)
    profile = ProfileRef("user_id", said.pop("profile")["user_id"])
    transition = msgspec.convert(said, Transition)
    due = DeliveryDue(destination="mail", key="0" * 32, profile=profile, transition=transition, attempt=0, not_before=0)
    assert msgspec.json.decode(webhook.body(due)) == msgspec.json.decode(BODY)
