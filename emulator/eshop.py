"""The clothing shop's clickstream of 2008 (`year;month;day;order;…`) as Segment calls.

The log has neither users nor a time of day: a session stands for a visitor, and the clicks of a session follow each
other by a second from midnight UTC of its day, so that their order is kept.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from segue.domain.event import Json

HEADER = (
    "year;month;day;order;country;session ID;page 1 (main category);page 2 (clothing model);colour;location;"
    "model photography;price;price 2;page"
)
CATEGORIES = {"1": "trousers", "2": "skirts", "3": "blouses", "4": "sale"}
CATEGORY_OF_LETTER = {"A": "trousers", "B": "skirts", "C": "blouses", "P": "sale"}
COLOUR_NAMES = "beige black blue brown burgundy gray green navy_blue many_colours olive pink red violet white"
COLOURS = {number: name.replace("_", " ") for number, name in enumerate(COLOUR_NAMES.split(), 1)}
LOCATIONS = dict(enumerate(["top left", "top middle", "top right", "bottom left", "bottom middle", "bottom right"], 1))
PHOTOGRAPHS = {1: "en face", 2: "profile"}


def calls(lines: Iterable[bytes], dirt: Counter[str]) -> Iterator[dict[str, Json]]:
    """One `Product Viewed` a click, in the file's order; rows that say nothing usable are only counted in `dirt`."""
    columns = HEADER.count(";") + 1
    for raw in lines:
        row = raw.decode(errors="replace").rstrip("\r\n")
        if row == HEADER:
            continue
        cells = row.split(";")
        if len(cells) != columns:
            dirt["cut row"] += 1
            continue
        try:
            call = _click(cells)
        except (KeyError, ValueError):
            dirt["unreadable row"] += 1
            continue
        properties = call["properties"]
        if CATEGORY_OF_LETTER.get(properties["product_id"][:1]) != properties["category"]:
            dirt["model filed under another category"] += 1
        yield call


def _click(cells: list[str]) -> dict[str, Json]:
    year, month, day, order, country, session, category, model, colour, location, photograph, price, above, page = cells
    clicked = datetime(int(year), int(month), int(day), tzinfo=UTC) + timedelta(seconds=int(order))
    return {
        "type": "track",
        "event": "Product Viewed",
        "messageId": f"eshop-{session}-{order}",
        "anonymousId": f"session-{session}",
        "timestamp": clicked.isoformat(),
        "properties": {
            "product_id": model,
            "category": CATEGORIES[category],
            "colour": COLOURS[int(colour)],
            "price": int(price),
            "above_average_price": above == "1",
            "on_sale": category == "4",
            "location": LOCATIONS[int(location)],
            "photograph": PHOTOGRAPHS[int(photograph)],
            "page": int(page),
            "country": int(country),
        },
    }
