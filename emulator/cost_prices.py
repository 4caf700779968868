"""`infra/prices.yaml`: what Google asks for what is used, at list prices of one day."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from emulator.topology import ROOT
from emulator.yaml_file import Broken, Problem, place_of, read

PRICES = ROOT / "infra" / "prices.yaml"

Item: TypeAlias = Literal[
    "requests",
    "cpu",
    "memory",
    "idle-cpu",
    "idle-memory",
    "reads",
    "writes",
    "deletes",
    "stored",
    "published",
    "pushed",
    "archived",
    "kept",
    "scanned",
    "screened",
    "balanced",
    "sent",
    "logged",
]
"""What is paid for: a number of calls or documents, seconds (of memory: GiB-seconds), or bytes; what is `stored` and
`kept` is so for a month."""

PER: Mapping[str, float] = {
    "100 thousand": 1e5,
    "million": 1e6,
    "GiB": 2**30,
    "TiB": 2**40,
    "second": 1,
    "GiB-second": 1,
}

Seen: TypeAlias = Literal["quoted", "as known"]


class _Strict(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=lambda name: name.replace("_", "-")
    )


class Price(_Strict):
    """What so much of an item costs. `source`: the page that says it now; `seen`: how the figure came here."""

    amount: float
    per: Literal["100 thousand", "million", "GiB", "TiB", "second", "GiB-second"]
    seen: Seen
    source: str

    @property
    def of_one(self) -> float:
        return self.amount / PER[self.per]


class Monthly(_Strict):
    """What a month costs, whatever happens in it."""

    amount: float
    seen: Seen
    source: str


class Billing(_Strict):
    """How what is counted becomes what is billed: the share of an instance's billed time in which its CPU works, and
    the bytes of the headers of a request from outside and of its answer."""

    busy_share: float
    request_headers: int
    answer_headers: int


class Prices(_Strict):
    """The list prices of a day and a region."""

    date: str
    region: str
    currency: str
    prices: Mapping[Item, Price]
    monthly: Mapping[str, Monthly]
    billing: Billing

    def of(self, item: Item, quantity: float) -> float:
        return quantity * self.prices[item].of_one


def prices(path: Path = PRICES) -> Prices:
    """The file's content. Raises `Broken` with all that is wrong."""
    file = read(path)
    try:
        return Prices.model_validate(file.value)
    except ValidationError as error:
        wrong = [(".".join(map(str, each["loc"])), each["msg"]) for each in error.errors()]
        problems = [Problem(place_of(part, file.places, file.whole), part, message) for part, message in wrong]
        raise Broken(problems) from None
