"""The examples of sites whose servers ask Segue, in Node and in PHP, each driven through its own address."""

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from emulator.client import Client
from tests.journeys.running import ROOT, running
from tests.journeys.test_sdks import SDKS, require_packages

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "emulator" / "examples"
USUAL = "New arrivals this week"
DISCOUNT = "10 % off in the category you are looking at"
POLL_S = 0.05
ANSWERED_WITHIN_S = 10.0
ENDED_WITHIN_S = 10.0
TRIES = 20
"""A page that waits for nobody may be without its answer on a busy machine."""

BROWSING = [
    *(("Product Viewed", {"product_id": f"t-{number}", "category": "trousers"}) for number in range(4)),
    ("Product Added", {"product_id": "t-1"}),
]
"""What makes a category browser."""


class Example(NamedTuple):
    """How a site is started, and what its environment says."""

    command: Sequence[str]
    environment: Mapping[str, str]


def require_php() -> None:
    """Skips the test where PHP is not installed; where CI is set it fails."""
    curl = 'exit(extension_loaded("curl") ? 0 : 1);'
    if not shutil.which("php") or subprocess.run(["php", "-r", curl], check=False).returncode:
        absent = pytest.fail if os.environ.get("CI") else pytest.skip
        absent("needs PHP with curl (Debian and Ubuntu: php-cli php-curl)")


def node(port: int) -> Example:
    require_packages()
    environment = {"PORT": str(port), "NODE_PATH": str(SDKS / "node_modules")}
    return Example(["node", str(EXAMPLES / "node" / "server.js")], environment)


def php(port: int) -> Example:
    require_php()
    return Example(["php", "-S", f"127.0.0.1:{port}", str(EXAMPLES / "php" / "index.php")], {})


in_each_language = pytest.mark.parametrize("language", [node, php])


@contextmanager
def site(language: Callable[[int], Example], segue: str) -> Iterator[httpx.Client]:
    """The example beside this Segue, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command, environment = language(port)
    with subprocess.Popen(command, env={**os.environ, **environment, "SEGUE": segue}) as process:
        try:
            while not answers(port):
                assert process.poll() is None
                time.sleep(POLL_S)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=ANSWERED_WITHIN_S) as http:
                yield http
        finally:
            process.terminate()
            process.wait(ENDED_WITHIN_S)


def answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def page_of(site: httpx.Client, visitor: str | None) -> str:
    """The page as the visitor gets it, once it is certain that no cache may keep it."""
    answer = site.get("/", headers={"cookie": f"segue_anonymous_id={visitor}"} if visitor else {})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["vary"] == "Cookie"
    return answer.text


async def browse(segue: str) -> None:
    async with Client.connected(segue) as client:
        for event, product in BROWSING:
            call = {"type": "track", "event": event, "anonymousId": "browser", "properties": product}
            await client.call(call)
        await client.settle()


@in_each_language
def test_its_page_fits_its_visitor_and_does_without_segue(language: Callable[[int], Example], tmp_path: Path) -> None:
    with ExitStack() as site_open:
        with running(tmp_path) as segue:
            asyncio.run(browse(segue))
            shop = site_open.enter_context(site(language, segue))
            assert any(DISCOUNT in page_of(shop, "browser") for _ in range(TRIES))
            for visitor in (None, "stranger", "browser/..", "user_id:browser", "<script>"):
                assert USUAL in page_of(shop, visitor)
        assert USUAL in page_of(shop, "browser")


@in_each_language
def test_its_page_does_not_wait_for_a_segue_that_says_nothing(language: Callable[[int], Example]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_segue = "http://{}:{}".format(*silent.getsockname())
        with site(language, silent_segue) as shop:
            assert USUAL in page_of(shop, "browser")
