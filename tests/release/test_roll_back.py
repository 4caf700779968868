"""The way back by hand is the way back of a release that fails."""

import sys

import pytest

from emulator.topology import topology
from infra.release.waves import waves
from tests.release.gcloud import Gcloud, old
from tests.release.test_deploy import IMAGE

PLACE = ("--project", "p", "--region", "europe-west1")
NAMES = [name for wave in waves(topology()) for name in wave]


def released(gcloud: Gcloud, *names: str) -> None:
    """Functions of which each runs a new revision, and had an old one before."""
    tags = {name: [{"revisionName": f"{name}-old", "tag": "previous"}] for name in names}
    gcloud.becomes(
        services={
            name: {**old(name, new=100), "image": IMAGE, "traffic": [*old(name, new=100)["traffic"], *tags[name]]}
            for name in names
        }
    )


@pytest.mark.slow
def test_every_function_of_the_topology_goes_back_the_last_moved_first(gcloud: Gcloud) -> None:
    released(gcloud, *NAMES)
    done = gcloud.run(sys.executable, "-m", "infra.release.roll_back", *PLACE)
    assert done.returncode == 0, done.stderr
    assert gcloud.traffic() == {name: {f"{name}-old": 100} for name in NAMES}
    assert [move.split()[0] for move in gcloud.moves()] == NAMES[::-1]


def test_one_function_goes_back_alone(gcloud: Gcloud) -> None:
    released(gcloud, "lookup")
    assert gcloud.run(sys.executable, "-m", "infra.release.roll_back", *PLACE, "lookup").returncode == 0
    assert gcloud.moves() == ["lookup --to-tags=previous=100"]


def test_a_function_that_there_is_not_is_refused(gcloud: Gcloud) -> None:
    done = gcloud.run(sys.executable, "-m", "infra.release.roll_back", *PLACE, "lookdown")
    assert (done.returncode, gcloud.asked) == (2, [])
    assert "expected functions of the topology, found lookdown" in done.stderr
