"""Every function starts from the image as Cloud Run starts it, answers what it has to, and ends when it is told to."""

import json
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path

import pytest

from emulator.server import HOST
from emulator.topology import topology
from segue.entrypoint import HEALTH, METRICS
from tests.image.assembled import Image
from tests.image.cloud_run import ENDED_WITHIN_S, NOWHERE, Service, command, cut_off, in_the_cloud, settings, started
from tests.project.files import ROOT

pytestmark = pytest.mark.slow

FUNCTIONS = topology()["functions"]
PUSHED = sorted(name for name, function in FUNCTIONS.items() if function["callers"] == "subscriptions")

CALL = json.dumps({"event": "Product Viewed", "anonymousId": "ada", "messageId": "1"}).encode()
QUESTION = json.dumps({"profile": {"anonymous_id": "ada"}, "slots": ["homepage-hero"]}).encode()
JSON = {"content-type": "application/json", "authorization": "Basic a2V5Og=="}


@pytest.fixture(scope="module")
def files(image: Image) -> Mapping[Path, int]:
    """Every file of the image, and when it was changed last."""
    return changed(image)


def changed(image: Image) -> Mapping[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in image.root.rglob("*")}


@pytest.fixture(scope="module")
def services(
    image: Image, files: Mapping[Path, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Service]]:
    """Every function, in a cloud in which nothing else can be reached."""
    assert files
    folder = tmp_path_factory.mktemp("services")
    with ExitStack() as stack:
        found = {
            name: stack.enter_context(started(image, name, folder, {**in_the_cloud(name), **cut_off(folder)}))
            for name in FUNCTIONS
        }
        for service in found.values():
            service.until_healthy()
        yield found


def test_without_its_store_a_public_function_says_that_it_is_to_be_asked_again(
    services: Mapping[str, Service],
) -> None:
    for name, method, path, body in (
        ("ingest", "POST", "/v1/track", CALL),
        ("lookup", "POST", "/v1/decide", QUESTION),
        ("stream", "GET", "/v1/stream?profile=anonymous_id:ada", b""),
    ):
        status, said = services[name].answer(method, path, body, JSON)
        assert (name, status, json.loads(said)["code"]) == (name, 503, "service_unavailable")


@pytest.mark.parametrize("name", PUSHED)
def test_who_pushes_without_a_token_or_with_any_is_refused(services: Mapping[str, Service], name: str) -> None:
    assert services[name].answer("POST", "/", b"{}", {"ce-id": "1"})[0] == 403
    assert services[name].answer("POST", "/", b"{}", {"ce-id": "1", "authorization": "Bearer a.b.c"})[0] == 403


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_a_function_has_counted_is_told_to_a_neighbour_and_not_to_who_comes_from_outside(
    services: Mapping[str, Service], name: str
) -> None:
    status, said = services[name].answer("GET", METRICS)
    assert (status, b"process_cpu_seconds_total" in said) == (200, True)
    assert services[name].answer("GET", METRICS, headers={"x-forwarded-for": "203.0.113.7"})[0] == 404


@pytest.mark.parametrize("name", ["segue.js", "segue-datalayer.js"])
def test_ingest_serves_the_trackers_scripts(services: Mapping[str, Service], name: str) -> None:
    script = (ROOT / "tracker" / name).with_suffix(".min.js").read_bytes()
    assert services["ingest"].answer("GET", f"/{name}") == (200, script)


@pytest.mark.parametrize(("name", "path"), [("ingest", "/v1/track"), ("lookup", "/v1/decide")])
def test_what_is_under_way_when_a_function_is_told_to_end_is_answered(
    services: Mapping[str, Service], name: str, path: str
) -> None:
    service = services[name]
    head = f"POST {path} HTTP/1.1\r\nhost: segue\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n"
    with socket.create_connection((HOST, service.port), ENDED_WITHIN_S) as asking:
        asking.sendall(f"{head}{{".encode())
        assert service.answer("GET", HEALTH)[0] == 204  # it has begun with the request before by now
        service.process.terminate()
        asking.sendall(b"}")
        answer = HTTPResponse(asking)
        answer.begin()
        said = json.loads(answer.read())
    assert said["success"] is False
    assert service.process.wait(ENDED_WITHIN_S) == 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_whatever_a_function_says_is_a_line_of_json(services: Mapping[str, Service], name: str) -> None:
    for line in services[name].said.read_text().splitlines():
        assert json.loads(line)["severity"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_is_told_to_end_ends_in_time_and_well(services: Mapping[str, Service], name: str) -> None:
    assert services[name].ended() == 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_that_a_function_said_in_its_life_is_json_lines(services: Mapping[str, Service], name: str) -> None:
    assert all("event" in json.loads(line) for line in services[name].said.read_text().splitlines())


def test_a_function_writes_nothing_into_the_image(
    image: Image, files: Mapping[Path, int], services: Mapping[str, Service]
) -> None:
    assert services
    assert changed(image) == files


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_ends_at_once_with_one_line_if_an_emulator_is_named_in_the_cloud(image: Image, name: str) -> None:
    emulators = {"FIRESTORE_EMULATOR_HOST": NOWHERE}
    ended = subprocess.run(
        command(name),
        cwd=image.folder,
        env={**image.environment, **settings(name), **in_the_cloud(name), **emulators},
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert (ended.returncode, ended.stderr) == (1, b"")
    (line,) = ended.stdout.splitlines()
    assert json.loads(line)["error"].startswith("FIRESTORE_EMULATOR_HOST: ")
