"""The address of all segments: how large each is, and whether it answers as it is defined."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from functions.lookup import asked
from functions.lookup.admission import admit
from functions.lookup.answers import answered
from functions.lookup.lookup import Lookup
from segue import entrypoint


class Segments:
    """Tells who has the secret key of every segment."""

    def __init__(self, platform: entrypoint.Serving, lookup: Lookup) -> None:
        self._ports = platform.ports
        self._catalogs = platform.catalogs
        self._lookup = lookup

    @property
    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/v1/segments", self.listed, methods=["GET"])]

    async def listed(self, request: Request) -> Response:
        """GET /v1/segments: every segment with its size and its last change, now or `?at=` an instant.

        `status` is `live`, or `filling` while a segment still answers as it was defined before: its past is looked
        through for what is newly measured, and `filled` is the share of the profiles for which that is done.
        """
        compiled = await self._catalogs.current()
        admit(request, compiled)
        at = asked.at(request)
        at = self._ports.clock.now() if at is None else at
        sizes = await self._ports.archive.sizes(at)
        filled = await self._lookup.filled(compiled)
        segments = [
            {
                "id": id_,
                "name": segment["name"],
                "description": segment.get("description", ""),
                "members": sizes[id_].members if id_ in sizes else 0,
                "last_change": sizes[id_].last_change if id_ in sizes else None,
                **({"status": "filling", "filled": filled} if id_ in compiled.waiting else {"status": "live"}),
            }
            for id_, segment in compiled.catalog.segments.items()
        ]
        return answered({"as_of": at, "catalog": compiled.version, "segments": segments})
