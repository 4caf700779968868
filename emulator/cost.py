"""What was used, and what that costs at list prices: counts in, money out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import msgspec
from prometheus_client import Metric
from prometheus_client.samples import Sample

from emulator.cost_prices import Billing, Item, Prices
from emulator.topology import topology
from segue.domain.errors import Invalid
from segue.metrics import PLATFORM

MILLION = 1_000_000
MONTH_S = 730 * 3_600


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a function did in a time: counts, CPU seconds, and bytes.

    `reads`, `writes` and `deletes` are of documents, as Firestore bills them. The bytes that were `published`, `pushed`
    (to the function) and `archived` (of what it published) are as Pub/Sub bills them, each message pushed once.
    `received` and `answered` are those of requests' and answers' bodies.
    """

    requests: int = 0
    cpu: float = 0.0
    reads: int = 0
    writes: int = 0
    deletes: int = 0
    messages: int = 0
    published: int = 0
    pushed: int = 0
    archived: int = 0
    received: int = 0
    answered: int = 0

    def __add__(self, other: Self) -> "Usage":
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})

    def __sub__(self, other: Self) -> "Usage":
        return Usage(**{name: getattr(self, name) - getattr(other, name) for name in self.__struct_fields__})


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a bill for a million events: how much of it an event takes, and what a million of them cost.

    `counted`: the quantity was counted; otherwise it follows from a count by an assumption.
    """

    item: Item
    an_event: float
    cost: float
    counted: bool


ASSUMED: frozenset[Item] = frozenset({"cpu", "memory", "balanced", "sent"})
"""Items whose quantity follows from the CPU seconds measured on this machine and how busy an instance is, or from how
large headers are: from `billing` in the prices."""

COUNTED: Mapping[tuple[str, str | None], str] = {
    ("segue_request_seconds_count", None): "requests",
    ("segue_message_seconds_count", None): "requests",
    ("segue_request_bytes_total", "received"): "received",
    ("segue_request_bytes_total", "answered"): "answered",
    ("segue_store_operations_total", "read"): "reads",
    ("segue_store_operations_total", "write"): "writes",
    ("segue_store_operations_total", "delete"): "deletes",
    ("segue_bus_messages_total", None): "messages",
    ("segue_bus_billed_bytes_total", None): "published",
    ("process_cpu_seconds_total", None): "cpu",
}
"""The field of a usage that a sample adds to, by its name and its label `operation` or `direction`, if it has one."""


TOGETHER = "all in one process"
"""What stands for the functions of a laptop, of which nobody can tell who used the CPU."""


class Used(msgspec.Struct, frozen=True):
    """What each function used for so many accepted events."""

    events: int
    functions: Mapping[str, Usage]

    def since(self, before: Self) -> "Used":
        """What was used after `before`."""
        functions = {name: usage - before.functions.get(name, Usage()) for name, usage in self.functions.items()}
        return Used(self.events - before.events, functions)


def used(families: Iterable[Metric]) -> Used:
    """What the functions of a platform used up to now, by what its metrics tell. What a laptop does besides, such as to
    look whether all is done, nobody pays for; the CPU of its process is that of all functions."""
    samples = [sample for family in families for sample in family.samples if _is_of_a_function(sample)]
    found: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for sample in samples:
        labels = sample.labels
        field = COUNTED.get((sample.name, labels.get("operation") or labels.get("direction")))
        if field:
            found[_function(sample)][field] += sample.value
        elif sample.name == "segue_bus_bytes_total":
            found[_function(sample)]["archived"] += sample.value * archives_of(sample.labels["topic"])
        elif sample.name == "segue_bus_pushed_bytes_total":
            for receiver in receivers_of(sample.labels["topic"]):
                found[receiver]["pushed"] += sample.value
    return Used(
        events=sum(int(sample.value) for sample in samples if _is_of_accepted(sample)),
        functions={function: _usage(fields) for function, fields in sorted(found.items())},
    )


def _usage(fields: Mapping[str, float]) -> Usage:
    counts = {name: round(value) for name, value in fields.items() if name != "cpu"}
    return Usage(**counts, cpu=fields.get("cpu", 0.0))


def _is_of_a_function(sample: Sample) -> bool:
    return sample.labels.get("function") != PLATFORM


def _function(sample: Sample) -> str:
    """On whose behalf it was counted."""
    return sample.labels.get("function", TOGETHER)


def _is_of_accepted(sample: Sample) -> bool:
    return sample.name == "segue_events_total" and sample.labels["outcome"] == "accepted"


def receivers_of(topic: str) -> Sequence[str]:
    """The functions that every message of a topic goes to, as often as it does."""
    pushed = [each["function"] for each in _subscriptions(topic) if "function" in each]
    listening = [name for name, each in topology()["functions"].items() if topic in each.get("listens", ())]
    return pushed + listening


def archives_of(topic: str) -> int:
    """How many archives keep every message of a topic."""
    return sum("archive" in each for each in _subscriptions(topic))


def _subscriptions(topic: str) -> Sequence[Mapping[str, Any]]:
    destinations = topology()["destinations"]["subscriptions"].values()
    ours = [each for each in topology()["subscriptions"].values() if each["topic"] == topic]
    return ours or [each for each in destinations if topic.startswith(each["topic"].format(destination=""))]


class Service(msgspec.Struct, frozen=True):
    """Of a function what its price depends on: the GiB of memory of an instance, whether anyone may call it, and how
    many instances are kept ready."""

    memory: float
    is_public: bool
    kept_ready: int


def services() -> Mapping[str, Service]:
    """Every function of the topology. What no function did is no service's."""
    return {
        name: Service(_gib(each["memory"]), each["callers"] == "anyone", each["instances"]["min"])
        for name, each in topology()["functions"].items()
    }


def _gib(memory: str) -> float:
    return int(memory.removesuffix("Mi")) / 1024 if memory.endswith("Mi") else float(memory.removesuffix("Gi"))


NO_SERVICE = Service(memory=1.0, is_public=False, kept_ready=0)
"""Of functions that share a process."""


def billed(usage: Usage, service: Service, billing: Billing) -> Mapping[Item, float]:
    """How much of each item a usage comes to.

    An instance is billed while it has a request, whether its CPU works or waits: the CPU's seconds / busy share.
    """
    billed_s = usage.cpu / billing.busy_share
    found: dict[Item, float] = {
        "requests": usage.requests,
        "cpu": billed_s,
        "memory": billed_s * service.memory,
        "reads": usage.reads,
        "writes": usage.writes,
        "deletes": usage.deletes,
        "published": usage.published,
        "pushed": usage.pushed,
        "archived": usage.archived,
    }
    if service.is_public:
        sent = usage.answered + usage.requests * billing.answer_headers
        found["screened"] = usage.requests
        found["balanced"] = usage.received + usage.requests * billing.request_headers + sent
        found["sent"] = sent
    return found


def bill(used: Used, prices: Prices) -> Sequence[Line]:
    """What a million events cost, item by item, if `used.events` of them take what was used. Raises Invalid without
    events."""
    if used.events <= 0:
        raise Invalid("expected events, found none: there is nothing that the cost could be divided by")
    known, together = services(), defaultdict[Item, float](float)
    for function, usage in used.functions.items():
        for item, quantity in billed(usage, known.get(function, NO_SERVICE), prices.billing).items():
            together[item] += quantity
    return [
        Line(
            item=item,
            an_event=quantity / used.events,
            cost=prices.of(item, quantity) * MILLION / used.events,
            counted=item not in ASSUMED,
        )
        for item, quantity in together.items()
    ]


def total(lines: Sequence[Line]) -> float:
    """What a million events cost."""
    return sum(line.cost for line in lines)


def monthly(prices: Prices) -> Mapping[str, float]:
    """What a month costs whatever comes, by what it is for: an address, and instances that are kept ready, idle."""
    idle = {
        f"{service.kept_ready} idle {function}": service.kept_ready
        * (prices.of("idle-cpu", MONTH_S) + prices.of("idle-memory", MONTH_S * service.memory))
        for function, service in services().items()
        if service.kept_ready
    }
    return {**{name: each.amount for name, each in prices.monthly.items()}, **idle}


def as_json(used: Used, prices: Prices) -> str:
    """What was used, and what a million such events cost if there were any, for programs."""
    lines = bill(used, prices) if used.events else []
    found = {
        "used": used,
        "cost": {"lines": lines, "total": total(lines), "monthly": monthly(prices)},
        "prices": {"date": prices.date, "region": prices.region, "currency": prices.currency},
    }
    return msgspec.json.format(msgspec.json.encode(found)).decode()
