"""Creating the topology on the Pub/Sub emulator."""

import pytest

from emulator.google_emulators import GoogleEmulators
from segue.adapters.google import admin
from segue.adapters.google.platform import GooglePlatform
from segue.ports import Message
from tests.contracts.conftest import TOPOLOGY, UNHURRIED_S
from tests.contracts.receiver import receiving

pytestmark = pytest.mark.google


def message(identifier: str) -> Message:
    return Message(id=identifier, type="segue.test", source="//segue/tests", time=0, data=b"{}")


async def test_creating_it_again_moves_the_subscriptions_to_their_new_addresses(
    emulators: GoogleEmulators, project: str
) -> None:
    google = GooglePlatform.open(project, "catalog", environment=emulators.environment, deadline_s=UNHURRIED_S)
    async with receiving() as old, receiving() as new:
        for receiver in (old, new):
            endpoints = admin.Endpoints(functions={"receiver": receiver.url}, archives={})
            await admin.create(project, TOPOLOGY, endpoints, environment=emulators.environment)
        await google.bus.publish("contract", [message("1")])
        await new.until_all(["1"])
        assert old.pushed == []
    await google.close()


async def test_each_destination_has_a_topic_and_a_subscription_of_its_own(
    emulators: GoogleEmulators, project: str
) -> None:
    topology = {
        **TOPOLOGY,
        "destinations": {
            "topics": ["retry-{destination}"],
            "subscriptions": {
                "retry-{destination}-deliver": {"topic": "retry-{destination}", "function": "receiver"},
            },
        },
    }
    google = GooglePlatform.open(project, "catalog", environment=emulators.environment, deadline_s=UNHURRIED_S)
    async with receiving() as receiver:
        endpoints = admin.Endpoints(functions={"receiver": receiver.url}, archives={})
        await admin.create(project, topology, endpoints, ["crm", "mail"], environment=emulators.environment)
        await google.bus.publish("retry-crm", [message("to crm")])
        await google.bus.publish("retry-mail", [message("to mail")])
        await receiver.until_all(["to crm", "to mail"])
    await google.close()


async def test_an_archive_is_pushed_to_where_it_has_an_address_and_left_out_otherwise(
    emulators: GoogleEmulators, project: str
) -> None:
    topology = {
        **TOPOLOGY,
        "subscriptions": {
            "kept": {"topic": "contract", "archive": "events"},
            "left-out": {"topic": "contract", "archive": "elsewhere"},
        },
    }
    google = GooglePlatform.open(project, "catalog", environment=emulators.environment, deadline_s=UNHURRIED_S)
    async with receiving() as archive:
        endpoints = admin.Endpoints(functions={}, archives={"events": archive.url})
        await admin.create(project, topology, endpoints, environment=emulators.environment)
        await google.bus.publish("contract", [message("kept")])
        await archive.until_all(["kept"])
    await google.close()


async def test_what_is_never_acknowledged_becomes_a_dead_letter_in_the_end(
    emulators: GoogleEmulators, project: str
) -> None:
    push = {**TOPOLOGY["push"], "dead_letter": {"topic": "dead-letters", "after_attempts": 5}}
    subscriptions = {
        "contract-receiver": {"topic": "contract", "function": "receiver"},
        "dead-letters-archive": {"topic": "dead-letters", "archive": "dead-letters"},
    }
    topology = {**TOPOLOGY, "push": push, "subscriptions": subscriptions}
    google = GooglePlatform.open(project, "catalog", environment=emulators.environment, deadline_s=UNHURRIED_S)
    async with receiving() as receiver, receiving() as dead_letters:
        receiver.answers["poison"] = [500] * 100
        endpoints = admin.Endpoints(functions={"receiver": receiver.url}, archives={"dead-letters": dead_letters.url})
        await admin.create(project, topology, endpoints, environment=emulators.environment)
        await google.bus.publish("contract", [message("poison")])
        await dead_letters.until_all(["poison"])
        assert len(receiver.pushed) >= 5
    await google.close()
