"""Starting and ending Google's emulators."""

import socket

import pytest

from emulator.google_emulators import HOST, google_emulators, missing
from segue.adapters.google import admin
from segue.adapters.google.platform import GooglePlatform
from segue.domain.errors import Unavailable
from segue.ports import ABSENT, Message, Write
from tests.contracts.conftest import TOPIC, TOPOLOGY, UNHURRIED_S

NO_RECEIVER = admin.Endpoints(functions={"receiver": "http://127.0.0.1:9/"}, archives={})


def accepts_connections(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@pytest.mark.google
async def test_they_answer_within_the_block_and_keep_nothing_after_it(project: str) -> None:
    message = Message(id="1", type="segue.test", source="//segue/tests", time=0, data=b"{}")
    with google_emulators() as first:
        ports = {"firestore_port": first.firestore.port, "pubsub_port": first.pubsub.port}
        google = GooglePlatform.open(project, "catalog", environment=first.environment, deadline_s=UNHURRIED_S)
        await admin.create(project, TOPOLOGY, NO_RECEIVER, environment=first.environment)
        await google.bus.publish(TOPIC, [message])
        await google.store.commit([Write(path="states/a", data=b"lost", expects=ABSENT)])
    assert not any(accepts_connections(port) for port in ports.values())
    with google_emulators(**ports) as second:
        assert second.environment == first.environment
        reopened = GooglePlatform.open(project, "catalog", environment=second.environment, deadline_s=UNHURRIED_S)
        assert await reopened.store.get("states/a") is None
        with pytest.raises(Unavailable):
            await reopened.bus.publish(TOPIC, [message])
        await admin.create(project, TOPOLOGY, NO_RECEIVER, environment=second.environment)
        await reopened.bus.publish(TOPIC, [message])
        await reopened.close()
    await google.close()


@pytest.mark.google
@pytest.mark.parametrize("name", ["firestore", "pubsub"])
def test_a_port_that_is_taken_is_said_and_nothing_stays_running(name: str, unused_tcp_port: int) -> None:
    other = {"firestore": "pubsub", "pubsub": "firestore"}[name]
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        holder.listen()
        taken = holder.getsockname()[1]
        with (
            pytest.raises(Unavailable, match=rf"{name} emulator .* port {taken}"),
            google_emulators(**{f"{name}_port": taken, f"{other}_port": unused_tcp_port}),
        ):
            pass
    assert not accepts_connections(unused_tcp_port)


def test_a_machine_without_gcloud_and_java_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert missing() == ["gcloud", "Java"]
    with pytest.raises(Unavailable, match="need gcloud, Java: install"), google_emulators():
        pass
