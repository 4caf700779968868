"""The metrics of several processes as one text: each function's own, and labelled with its name."""

import asyncio
from collections.abc import Iterator, Mapping

import httpx
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from segue.domain.errors import Unavailable
from segue.entrypoint import METRICS


async def scraped(functions: Mapping[str, str], http: httpx.AsyncClient) -> bytes:
    """What the process of each function (its address, by its name) has counted. Raises Unavailable if one is silent."""
    texts = await asyncio.gather(*(_text(name, url, http) for name, url in functions.items()))
    registry = CollectorRegistry()
    registry.register(_Merged(dict(zip(functions, texts, strict=True))))
    return generate_latest(registry)


async def _text(function: str, url: str, http: httpx.AsyncClient) -> str:
    try:
        return (await http.get(url + METRICS)).raise_for_status().text
    except httpx.HTTPError as error:
        raise Unavailable(f"{function} does not tell its metrics") from error


class _Merged:
    """What Prometheus' library collects."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        merged: dict[str, Metric] = {}
        for function, text in self._texts.items():
            for family in text_string_to_metric_families(text):
                found = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for each in family.samples:
                    found.add_sample(each.name, {**each.labels, "function": function}, each.value)
        yield from merged.values()
