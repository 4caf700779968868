"""Who receives a message goes out before who sends it."""

from graphlib import CycleError

import pytest

from emulator.topology import topology
from infra.release.waves import waves


def test_each_function_of_the_topology_is_in_one_wave() -> None:
    found = [name for wave in waves(topology()) for name in wave]
    assert sorted(found) == sorted(topology()["functions"])


def test_receivers_go_before_senders() -> None:
    wave_of = {name: number for number, wave in enumerate(waves(topology())) for name in wave}
    assert wave_of["update"] < wave_of["evaluate"] < wave_of["ingest"]
    assert wave_of["stream"] < wave_of["evaluate"]
    assert wave_of["privacy"] < wave_of["lookup"]
    assert wave_of["evaluate"] < wave_of["tick"]


def test_who_sends_to_itself_waits_for_nobody() -> None:
    again = {"topic": "retry-{destination}", "function": "deliver"}
    small = {
        "functions": {"deliver": {"publishes": ["retry-{destination}"]}},
        "subscriptions": {},
        "destinations": {"subscriptions": {"retry-{destination}-deliver": again}},
    }
    assert waves(small) == [["deliver"]]


def test_two_that_send_to_each_other_have_no_order() -> None:
    circle = {
        "functions": {"ask": {"publishes": ["questions"]}, "answer": {"publishes": ["answers"]}},
        "subscriptions": {
            "questions-answer": {"topic": "questions", "function": "answer"},
            "answers-ask": {"topic": "answers", "function": "ask"},
        },
        "destinations": {"subscriptions": {}},
    }
    with pytest.raises(CycleError):
        waves(circle)
