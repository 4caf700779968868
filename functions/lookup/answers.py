"""What lookup answers with: JSON."""

from http import HTTPStatus

import msgspec
from starlette.responses import Response


def answered(value: object, status: int = HTTPStatus.OK) -> Response:
    """A value as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")
