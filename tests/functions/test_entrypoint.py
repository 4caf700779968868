"""Every error has one answer, and a bug's says nothing of what was being done."""

import logging
from collections.abc import Mapping

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from segue.domain import errors
from segue.domain.errors import (
    Conflict,
    Invalid,
    NotFound,
    Rejected,
    SegueError,
    Throttled,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from segue.entrypoint import BugsAnswered, capped_body, cloud_event, error_response, exception_handlers

SECRET = "what a visitor sent"  # noqa: S105  # no credential

ANSWERS: Mapping[str, tuple[Exception, int, str, str | None]] = {
    "invalid": (Invalid("expected text", path="event"), 400, "bad_request", None),
    "rejected": (Rejected("never"), 400, "bad_request", None),
    "unauthorized": (Unauthorized("no key"), 401, "unauthorized", None),
    "not found": (NotFound("no such thing"), 404, "not_found", None),
    "too large": (TooLarge("too much"), 413, "request_entity_too_large", None),
    "throttled": (Throttled("too often", retry_after=7), 429, "too_many_requests", "7"),
    "unavailable": (Unavailable("again"), 503, "service_unavailable", "1"),
    "conflict": (Conflict("again"), 503, "service_unavailable", "1"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_error_has_one_status_and_says_what_is_wrong(case: str) -> None:
    error, status, code, retry_after = ANSWERS[case]
    answer = error_response(error)
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, retry_after)
    assert httpx.Response(200, content=bytes(answer.body)).json() == {
        "success": False,
        "code": code,
        "message": str(error),
    }


def test_a_bug_is_answered_500_without_its_message() -> None:
    answer = error_response(ValueError(SECRET))
    assert answer.status_code == 500
    assert SECRET.encode() not in bytes(answer.body)


def test_every_error_of_the_tree_has_an_answer() -> None:
    tree = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SegueError)}
    assert tree - {SegueError} == {type(error) for error, *_ in ANSWERS.values()}


async def raises(_request: Request) -> Response:
    raise ValueError(SECRET)


async def refuses(_request: Request) -> Response:
    raise Unauthorized("no key")


@pytest.fixture
def http() -> httpx.AsyncClient:
    routes = [Route("/bug", raises), Route("/refused", refuses)]
    app = Starlette(routes=routes, middleware=[Middleware(BugsAnswered)], exception_handlers=exception_handlers)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


async def test_an_app_answers_a_bug_itself_and_neither_server_nor_log_sees_its_message(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = await http.get("/bug")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_server_error")
    assert SECRET not in answer.text + caplog.text
    assert "ValueError" in caplog.text
    assert "test_entrypoint.py" in caplog.text


async def test_an_app_answers_errors_by_the_one_map(http: httpx.AsyncClient) -> None:
    answer = await http.get("/refused")
    assert (answer.status_code, answer.json()["message"]) == (401, "no key")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("POST", "/bug", 405)])
async def test_unknown_routes_are_answered_alike(method: str, path: str, status: int, http: httpx.AsyncClient) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == status
    assert answer.json()["success"] is False


def request_of(*chunks: bytes) -> tuple[Request, list[bytes]]:
    left = list(chunks)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return Request({"type": "http", "method": "POST", "headers": []}, receive), left


async def test_a_body_is_read_up_to_its_cap() -> None:
    request, _ = request_of(b"ab", b"cd")
    assert await capped_body(request, 4) == b"abcd"


async def test_a_body_beyond_its_cap_is_read_one_byte_further_and_no_more() -> None:
    request, unread = request_of(b"ab", b"cdef", b"gh")
    assert await capped_body(request, 4) == b"abcde"
    assert unread == [b"gh"]


HEADERS = {
    "ce-id": "message-1",
    "ce-type": "segue.tick",
    "ce-source": "//test",
    "ce-specversion": "1.0",
    "ce-time": "2024-05-10T12:00:00.25Z",
}


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", None])
def test_a_cloud_event_is_its_headers_and_its_body_as_it_came(content_type: str | None) -> None:
    headers = HEADERS | ({"content-type": content_type} if content_type else {})
    message = cloud_event(headers, b'{"at": 1}')
    assert (message.id, message.type, message.source) == ("message-1", "segue.tick", "//test")
    assert message.time == 1_715_342_400_250
    assert message.data == b'{"at": 1}'


def test_what_the_publisher_says_comes_before_what_pubsub_says() -> None:
    metadata = {"x-goog-pubsub-message-id": "77", "x-goog-pubsub-publish-time": "2025-01-01T00:00:00Z"}
    assert cloud_event(HEADERS | metadata, b"").id == "message-1"
    assert cloud_event({name: HEADERS[name] for name in HEADERS if name != "ce-id"} | metadata, b"").id == "77"
