"""Logs of Segment calls, one JSON object a line, as a Segment archive or a data warehouse exports them."""

from collections import Counter
from collections.abc import Iterable, Iterator

import orjson

from segue.domain.event import Json


def calls(lines: Iterable[bytes], dirt: Counter[str]) -> Iterator[dict[str, Json]]:
    """The calls as they stand, in the file's order; whether a call is acceptable is for ingest to say."""
    for raw in lines:
        if not raw.strip():
            continue
        try:
            call = orjson.loads(raw)
        except orjson.JSONDecodeError:
            dirt["line that is no JSON"] += 1
            continue
        if isinstance(call, dict):
            yield call
        else:
            dirt["line that is no object"] += 1
