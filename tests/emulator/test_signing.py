"""What the emulator pushes arrives as Pub/Sub would push it: with a token for the function that it is for."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import jwt
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulator.server import listening
from emulator.signing import Signer, signing

AUDIENCES = {"evaluate": "segue-evaluate", "update": "segue-update"}
LARGE = b"x" * 1_000_000


async def told(request: Request) -> Response:
    """What a function sees of a push."""
    scheme, _, token = request.headers["authorization"].partition(" ")
    claims = jwt.decode(token, options={"verify_signature": False})
    return JSONResponse([request.headers["ce-id"], len(await request.body()), scheme, claims["aud"]])


@pytest.fixture
async def function() -> AsyncIterator[str]:
    """The address of a function."""
    app = Starlette(routes=[Route("/", told, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    with listening(0) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        yield "http://{}:{}/".format(*listener.getsockname())
        server.should_exit = True
        await serving


async def test_each_message_arrives_whole_with_a_token_for_its_function(function: str) -> None:
    async with (
        signing(Signer("laptop"), AUDIENCES, dict.fromkeys(AUDIENCES, function)) as addresses,
        httpx.AsyncClient(trust_env=False) as emulator,
    ):
        for name, address in addresses.items():
            for number, body in enumerate([b"", b"{}", LARGE]):
                answer = await emulator.post(address, content=body, headers={"ce-id": str(number)})
                assert answer.json() == [str(number), len(body), "Bearer", AUDIENCES[name]]


async def test_a_function_that_is_not_there_answers_nothing_and_the_message_comes_again() -> None:
    with listening(0) as free:
        nobody = "http://{}:{}/".format(*free.getsockname())
    async with (
        signing(Signer("laptop"), AUDIENCES, {"update": nobody}) as addresses,
        httpx.AsyncClient(trust_env=False) as emulator,
    ):
        with pytest.raises(httpx.TransportError):
            await emulator.post(addresses["update"], content=b"{}")
