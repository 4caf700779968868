"""What Terraform itself says of the files: their form, and what it reads in the topology."""

import json
from shutil import copy
from typing import Any

import pytest

from emulator.topology import topology
from segue.domain.time import SECOND, duration
from tests.terraform.binary import terraform
from tests.terraform.configuration import FOLDER

DESTINATIONS = """\
destinations:
  crm: {webhook: {url: "https://crm.example/hook", secret: crm}, segments: [loyal]}
  ads: {storage: {provider: gcs, bucket: ads, secret: ads}, segments: [loyal]}
"""


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What Terraform makes of the topology, with the destinations of a small catalogue."""
    folder = tmp_path_factory.mktemp("infra")
    (folder / "terraform").mkdir()
    (folder / "catalog").mkdir()
    (folder / "catalog" / "destinations.yaml").write_text(DESTINATIONS)
    (folder / "catalog" / "segments.yaml").write_text("segments: {}\n")
    copy(FOLDER.parent / "topology.yaml", folder)
    for name in ("topology.tf", "variables.tf"):
        copy(FOLDER / name, folder / "terraform")
    names = ("functions", "public", "commands", "topics", "pushes", "archives", "publishing", "listening", "seconds")
    asked = f"jsonencode({{{', '.join(f'{name} = local.{name}' for name in names)}}})"
    variables = [f"-var={name}=x" for name in ("project", "domain", "image")]
    return json.loads(json.loads(terraform("console", *variables, folder=folder / "terraform", said=asked)))


def test_the_files_have_the_canonical_form() -> None:
    assert terraform("fmt", "-check", "-diff", "-recursive", folder=FOLDER) == ""


def test_the_functions_are_those_of_the_topology(read: Any) -> None:
    assert read["functions"] == topology()["functions"]
    assert sorted(read["public"]) == ["ingest", "lookup", "stream"]


def test_each_function_is_started_as_the_emulator_starts_it(read: Any) -> None:
    assert read["commands"]["stream"] == ["python", "-m", "functions.stream"]
    assert read["commands"]["tick"] == [
        *("functions-framework", "--asgi"),
        *("--target", "tick", "--source", "functions/tick/main.py"),
    ]


def test_each_destination_has_a_topic_and_a_subscription_of_its_own(read: Any) -> None:
    assert sorted(read["topics"]) == sorted([*topology()["topics"], "retry-ads", "retry-crm"])
    assert {name: read["pushes"][name]["topic"] for name in read["pushes"] if name.startswith("retry")} == {
        "retry-ads-deliver": "retry-ads",
        "retry-crm-deliver": "retry-crm",
    }


def test_subscriptions_are_those_of_the_topology_as_it_says_they_deliver(read: Any) -> None:
    found = read["pushes"] | read["archives"]
    for name, wanted in topology()["subscriptions"].items():
        assert found[name] == {**topology()["push"], **wanted}
    assert sorted(read["archives"]) == ["dead-letters-archive", "events-archive", "memberships-archive"]


def test_a_function_publishes_and_listens_to_what_the_topology_says(read: Any) -> None:
    assert sorted((each["function"], each["topic"]) for each in read["publishing"].values()) == [
        ("deliver", "retry-ads"),
        ("deliver", "retry-crm"),
        ("evaluate", "memberships"),
        ("ingest", "events"),
        ("lookup", "erasures"),
        ("tick", "events"),
        ("tick", "sweeps"),
    ]
    assert read["listening"] == {"stream-memberships": {"function": "stream", "topic": "memberships"}}


def test_durations_are_the_same_for_terraform_and_the_emulator(read: Any) -> None:
    assert {"1s", "24h", "60m", "7d"} <= set(read["seconds"])
    assert read["seconds"] == {text: duration(text) // SECOND for text in read["seconds"]}
