"""The functions of the topology in this process, each the app that is served in the cloud."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import PurePath

from functions_framework.aio import create_asgi_app
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Scope

from emulator.topology import ROOT, topology
from segue import ports


def apps() -> Mapping[str, Starlette]:
    """The app of each function, by its name."""
    return {name: _APPS[server_of(function)](function) for name, function in topology()["functions"].items()}


def server_of(function: Mapping[str, str]) -> str:
    """What serves a function of the topology."""
    return function.get("server", "functions-framework")


def package_of(function: Mapping[str, str]) -> str:
    """The folder of a function's source, as a module."""
    return ".".join(PurePath(function["source"]).parent.parts)


def _framework_app(function: Mapping[str, str]) -> Starlette:
    app: Starlette = create_asgi_app(function["target"], str(ROOT / function["source"]), "http")  # type: ignore[no-untyped-call]
    return app


def _own_app(function: Mapping[str, str]) -> Starlette:
    app: Starlette = getattr(import_module(f"{package_of(function)}.main"), function["target"])()
    return app


_APPS: Mapping[str, Callable[[Mapping[str, str]], Starlette]] = {
    "functions-framework": _framework_app,
    "uvicorn": _own_app,
}


async def push(app: ASGIApp, message: ports.Message, published_at: int | None = None) -> int:
    """Send a message as the request that an unwrapped push subscription makes of it; the answer's status.

    `published_at` (epoch ms) is when it was published; its own time, unless told otherwise.

    httpx can call an app in this process too, at 190 µs a request; this takes 15.
    """
    request = [{"type": "http.request", "body": message.data, "more_body": False}]
    status = 500

    async def receive() -> Message:
        return request.pop() if request else {"type": "http.disconnect"}

    async def send(answer: Message) -> None:
        nonlocal status
        if answer["type"] == "http.response.start":
            status = answer["status"]

    await app(_scope(message, message.time if published_at is None else published_at), receive, send)
    return status


def _scope(message: ports.Message, published_at: int) -> Scope:
    headers = {
        "ce-id": message.id,
        "ce-type": message.type,
        "ce-source": message.source,
        "ce-specversion": "1.0",
        "ce-time": _written(message.time),
        "x-goog-pubsub-publish-time": _written(published_at),
        "content-type": "application/json",
        "content-length": str(len(message.data)),
        "function-execution-id": message.id,  # the framework would draw one at random, at 20 µs a request
    }
    if message.trace:
        headers["ce-traceparent"] = message.trace
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode("utf-8")) for name, value in headers.items()],
        "client": None,
        "server": None,
    }


def _written(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).isoformat(timespec="milliseconds")
