"""REES46 shop logs (`event_time,event_type,product_id,…`) as Segment calls.

A view becomes `Product Viewed`, a cart `Product Added`, a purchase `Order Completed` with the product as its only line.
A row has no id of its own, so its text stands for it: copies of a row share a `messageId`, are counted here, sent all
the same, and count once in the engine.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from segue.domain.event import Json

HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
NAMES = {"view": "Product Viewed", "cart": "Product Added", "purchase": "Order Completed"}


def calls(lines: Iterable[bytes], dirt: Counter[str]) -> Iterator[dict[str, Json]]:
    """One track call a row, in the file's order; rows that say nothing usable are only counted in `dirt`.

    Copies are looked for among the rows of one second: the log is in order of time.
    """
    columns = HEADER.count(",") + 1
    second, rows_of_second = "", set[str]()
    user_of_session: dict[str, str] = {}
    for raw in lines:
        row = raw.decode(errors="replace").rstrip("\r\n")
        if row == HEADER:
            continue
        cells = row.split(",")
        if len(cells) != columns:
            dirt["cut row"] += 1
            continue
        happened, kind, product_id, category_id, category, brand, price, user, session = cells
        try:
            timestamp = datetime.strptime(happened, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
            product = _product(product_id, category_id, category, brand, float(price))
            name = NAMES[kind]
        except (KeyError, ValueError):
            dirt["unreadable row"] += 1
            continue
        if happened != second:
            second, rows_of_second = happened, set()
        if row in rows_of_second:
            dirt["copy of a row"] += 1
        rows_of_second.add(row)
        if user_of_session.setdefault(session, user) != user:
            dirt["row of a session shared by two users"] += 1
        if product["price"] == 0:
            dirt["price of 0"] += 1
        yield {
            "type": "track",
            "event": name,
            "messageId": "rees46-" + hashlib.blake2b(row.encode(), digest_size=16).hexdigest(),
            "userId": user,
            "timestamp": timestamp.isoformat(),
            "properties": _order(product, session) if kind == "purchase" else {**product, "session": session},
        }


def _product(product_id: str, category_id: str, category: str, brand: str, price: float) -> dict[str, Json]:
    """What is known of the product; ids stay text, for category ids exceed 2^53, and an empty cell is left out."""
    known = {"product_id": product_id, "category_id": category_id, "category": category, "brand": brand}
    return {**{name: value for name, value in known.items() if value}, "price": price}


def _order(product: dict[str, Json], session: str) -> dict[str, Json]:
    return {"revenue": product["price"], "products": [product], "session": session}
