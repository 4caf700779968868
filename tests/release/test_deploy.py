"""A release moves every function to the new image, or none."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.release.gcloud import Done, Gcloud, ended, old

IMAGE = "europe-west1-docker.pkg.dev/p/segue/segue@sha256:" + "5e" * 32
WAVES = [["update"], ["evaluate"], ["ingest"]]

OLD = {"update": {"update-old": 100}, "evaluate": {"evaluate-old": 100}, "ingest": {"ingest-old": 100}}
NEW = {"update": {"update-new": 100}, "evaluate": {"evaluate-new": 100}, "ingest": {"ingest-new": 100}}


BEFORE = {name: old(name) for wave in WAVES for name in wave}


@pytest.fixture
def before(gcloud: Gcloud) -> Gcloud:
    """Three functions that run an old image."""
    gcloud.becomes(services=BEFORE)
    return gcloud


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Gcloud:
    """The same after a release that went well."""
    folder = tmp_path_factory.mktemp("released")
    gcloud = Gcloud(folder)
    gcloud.becomes(services=BEFORE)
    done = deploy(gcloud, folder)
    assert done.returncode == 0, done.stderr
    return gcloud


def start(
    gcloud: Gcloud, folder: Path, *, image: str = IMAGE, minutes: int = 0, errors: int = 0
) -> subprocess.Popen[str]:
    waves = folder / "waves.json"
    waves.write_text(json.dumps(WAVES), encoding="utf-8")
    place = ("--waves", str(waves), "--project", "p", "--region", "europe-west1")
    care = ("--share", "10", "--minutes", str(minutes), "--errors", str(errors))
    return gcloud.start(sys.executable, "-m", "infra.release.deploy", image, *place, *care)


def deploy(gcloud: Gcloud, folder: Path, *, image: str = IMAGE, errors: int = 0) -> Done:
    return ended(start(gcloud, folder, image=image, errors=errors))


def test_receivers_move_before_senders_first_by_a_share_and_then_wholly(released: Gcloud) -> None:
    assert released.traffic() == NEW
    assert [move for move in released.moves() if "--to" in move] == [
        *("update --to-tags=candidate=10", "update --to-tags=candidate=100"),
        *("evaluate --to-tags=candidate=10", "evaluate --to-tags=candidate=100"),
        *("ingest --to-tags=candidate=10", "ingest --to-tags=candidate=100"),
        *("update --to-latest", "evaluate --to-latest", "ingest --to-latest"),
    ]


def test_every_candidate_is_ready_before_any_has_requests(released: Gcloud) -> None:
    created = [index for index, words in enumerate(released.asked) if words[2] == "update"]
    sent = [index for index, words in enumerate(released.asked) if "--to-tags=candidate=10" in words]
    assert len(created) == 3
    assert max(created) < min(sent)
    assert all({f"--image={IMAGE}", "--no-traffic"} <= set(released.asked[index]) for index in created)


def test_what_has_moved_is_watched_to_the_end(released: Gcloud) -> None:
    read = [words[2] for words in released.asked if words[:2] == ["logging", "read"]]
    assert len(read) == 6
    assert ['"update-new"' in each for each in read] == [True] * 6
    assert ['"ingest-new"' in each for each in read] == [False] * 4 + [True] * 2


def test_a_candidate_that_does_not_get_ready_moves_nothing(before: Gcloud, tmp_path: Path) -> None:
    before.becomes(refuses=[["services update evaluate"]])
    done = deploy(before, tmp_path)
    assert (done.returncode, before.traffic()) == (1, OLD)
    assert "it does not get ready" in done.stderr
    assert before.moves() == [], "neither traffic nor the tags that lead back"


@pytest.mark.parametrize(
    ("errs", "back"),
    [
        pytest.param({"update-new": 10}, ["update"], marks=pytest.mark.slow),
        ({"evaluate-new": 100}, ["evaluate", "update"]),
        pytest.param({"ingest-new": 10}, ["ingest", "evaluate", "update"], marks=pytest.mark.slow),
    ],
    ids=["the first, with a share", "the second, with everything", "the last, with a share"],
)
def test_errors_of_a_candidate_take_back_all_that_moved_senders_first(
    before: Gcloud, tmp_path: Path, errs: Mapping[str, int], back: Sequence[str]
) -> None:
    before.becomes(errs=errs)
    done = deploy(before, tmp_path)
    assert (done.returncode, before.traffic()) == (1, OLD)
    assert "found 1" in done.stderr
    assert next(iter(errs)) in done.stderr
    assert [move.split()[0] for move in before.moves() if move.endswith("--to-tags=previous=100")] == back


@pytest.mark.slow
def test_so_many_errors_pass_as_are_said_to(before: Gcloud, tmp_path: Path) -> None:
    before.becomes(errs={"update-new": 10})
    assert deploy(before, tmp_path, errors=1).returncode == 0
    assert before.traffic() == NEW


@pytest.mark.slow
def test_a_move_that_is_refused_takes_back_all_that_moved(before: Gcloud, tmp_path: Path) -> None:
    before.becomes(refuses=[["evaluate", "candidate=100"]])
    assert deploy(before, tmp_path).returncode == 1
    assert before.traffic() == OLD


@pytest.mark.slow
def test_a_function_that_cannot_be_taken_back_is_named_and_the_others_are(before: Gcloud, tmp_path: Path) -> None:
    before.becomes(errs={"ingest-new": 10}, refuses=[["evaluate", "previous=100"]])
    done = deploy(before, tmp_path)
    assert done.returncode == 1
    assert "NOT ROLLED BACK" in done.stderr
    assert "update-traffic evaluate --to-tags=previous=100" in done.stderr
    assert before.traffic() == {**OLD, "evaluate": NEW["evaluate"]}


@pytest.mark.slow
def test_what_runs_the_image_already_is_left_alone(before: Gcloud, tmp_path: Path) -> None:
    deploy(before, tmp_path)
    before.becomes(asked=[])
    done = deploy(before, tmp_path)
    assert (done.returncode, before.moves()) == (0, [])
    assert "ingest: ingest-new runs this image already" in done.stdout


def test_no_release_begins_where_one_broke_off(before: Gcloud, tmp_path: Path) -> None:
    before.becomes(
        services={"update": old("update", old=90, new=10), "evaluate": old("evaluate"), "ingest": old("ingest")}
    )
    done = deploy(before, tmp_path)
    assert (done.returncode, before.moves()) == (1, [])
    assert "update: expected one revision with all requests, found {'update-old': 90, 'update-new': 10}" in done.stderr


def test_an_image_is_named_by_its_digest(before: Gcloud, tmp_path: Path) -> None:
    done = deploy(before, tmp_path, image="europe-west1-docker.pkg.dev/p/segue/segue:latest")
    assert (done.returncode, before.asked) == (2, [])
    assert "expected an image by its digest" in done.stderr


@pytest.mark.slow
def test_a_release_that_is_cancelled_takes_back_all_that_moved(before: Gcloud, tmp_path: Path) -> None:
    release = start(before, tmp_path, minutes=5)
    assert release.stdout
    for line in release.stdout:
        if line.startswith("update: 10 %"):
            release.terminate()
            break
    assert release.wait(timeout=30) == 1
    assert before.traffic() == OLD
