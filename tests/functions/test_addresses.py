"""The topology's paths are the addresses that functions answer, and none that it does not name."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from importlib import import_module
from itertools import count
from types import FunctionType

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp

from emulator.topology import function_of, topology
from segue.entrypoint import BESIDE
from tests.functions.ingesting import ingesting

PATHS: Mapping[str, list[str]] = {
    name: function["paths"] for name, function in topology()["functions"].items() if "paths" in function
}

FURTHER = {
    "/v1/projects/*": "/v1/projects/demo-write-key/settings",
    "/segue/*": "/segue/0123456789abcdef/segue.js",
    "/v1/profiles/*": "/v1/profiles/anonymous_id:ada/segments",
    "/v1/spaces/*": "/v1/spaces/shop/collections/users/profiles/anonymous_id:ada/traits",
    "/ofrep/*": "/ofrep/v1/evaluate/flags",
}
"""One address of all those that a path stands for."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def apps(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mapping[str, ASGIApp]]:
    """What each function with paths answers with."""
    numbers = count()
    async with ingesting(tmp_path_factory.mktemp("addresses")) as ingest:
        yield {
            name: import_module(f"functions.{name}.routes").application(ingest.platform, lambda: str(next(numbers)))
            for name in PATHS
        }


def routes_in(app: object) -> Iterator[BaseRoute]:
    """The routes of every app that an app consists of."""
    if isinstance(app, Starlette):
        yield from app.routes
    elif isinstance(app, FunctionType):
        for cell in app.__closure__ or ():
            yield from routes_in(cell.cell_contents)
    elif type(app).__module__ == "segue.entrypoint":
        for part in vars(app).values():
            yield from routes_in(part)


def addresses(routes: Iterator[BaseRoute] | list[BaseRoute], before: str = "") -> Iterator[str]:
    """An address of each route."""
    for route in routes:
        path = before + re.sub(r"\{\w+(:\w+)?\}", "1", route.path)  # type: ignore[attr-defined]
        if isinstance(route, Mount):
            yield from addresses(route.routes, path)
        else:
            yield path


@pytest.mark.parametrize("name", PATHS)
async def test_a_path_is_an_address_of_its_function(apps: Mapping[str, ASGIApp], name: str) -> None:
    """Where nothing is, the answer is 404 whatever the method."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(apps[name]), base_url="http://segue") as http:
        found = {path: (await http.request("PATCH", FURTHER.get(path, path))).status_code for path in PATHS[name]}
        assert found == dict.fromkeys(PATHS[name], 405)
        assert (await http.request("PATCH", "/v1/nothing")).status_code == 404


@pytest.mark.parametrize("name", PATHS)
async def test_an_address_of_a_function_is_one_of_its_paths(apps: Mapping[str, ASGIApp], name: str) -> None:
    found = set(addresses(routes_in(apps[name]))) - BESIDE.keys()
    assert {path for path in PATHS[name] if not path.endswith("/*")} <= found
    assert {address: function_of(address) for address in found} == dict.fromkeys(found, name)
