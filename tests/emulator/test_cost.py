"""What ran costs what a hand-written bill says, and what a definition adds is the difference that it makes."""

from pathlib import Path
from typing import get_args

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from emulator.cost import TOGETHER, Line, Usage, Used, as_json, bill, monthly, total, used
from emulator.cost_forecast import Delivery, added, past
from emulator.cost_prices import PRICES, Item, Price, Prices, prices
from segue.catalogs import Compiled, compiled
from segue.domain.errors import Invalid, NotFound, Rejected
from segue.domain.event import Event
from segue.domain.profile import ProfileRef
from segue.domain.time import DAY, HOUR, MINUTE
from segue.ports import PublishedCatalog

START = 1_700_000_000_000 // DAY * DAY


def with_prices(**amounts: float) -> Prices:
    """The list prices, all 0 but for these."""
    listed = prices()
    changed = {
        item: price.model_copy(update={"amount": amounts.get(item, 0.0)}) for item, price in listed.prices.items()
    }
    return listed.model_copy(update={"prices": changed})


def line(lines: list[Line], item: Item) -> Line:
    return next(each for each in lines if each.item == item)


def test_every_item_has_a_price_with_its_page_and_its_date() -> None:
    listed = prices()
    assert set(listed.prices) == set(get_args(Item))
    assert all(price.source.startswith("https://cloud.google.com/") for price in listed.prices.values())
    assert len(listed.date) == len("2026-11-22")


def test_a_broken_price_list_is_refused_with_the_part_that_is_wrong(tmp_path: Path) -> None:
    broken = tmp_path / "prices.yaml"
    broken.write_text(PRICES.read_text().replace("amount: 0.03", "amount: cheap"))
    with pytest.raises(Rejected, match=r"prices\.yaml:\d+: prices\.reads\.amount: .*number"):
        prices(broken)


@pytest.mark.parametrize(
    ("item", "price", "usage", "cost"),
    [
        ("reads", 0.03, Usage(reads=2_000), 0.60),  # 2 an event, 0.03 for 100,000
        ("writes", 0.09, Usage(writes=1_000), 0.90),
        ("requests", 0.40, Usage(requests=3_000), 1.20),
        ("cpu", 0.000024, Usage(cpu=0.6), 0.024),  # 0.6 ms an event, billed as 1 ms
        ("memory", 0.0000025, Usage(cpu=0.6), 0.0025),  # 1 GiB as long
        ("published", 40, Usage(published=2**30), 39.0625),  # 1 MiB an event
        ("archived", 50, Usage(archived=2**30), 48.828125),
    ],
)
def test_a_million_events_cost_what_they_use_by_the_list(item: Item, price: float, usage: Usage, cost: float) -> None:
    lines = bill(Used(1_000, {"evaluate": usage}), with_prices(**{item: price}))
    assert total(lines) == pytest.approx(cost)
    assert line([*lines], item).cost == pytest.approx(cost)


def test_only_what_comes_from_outside_passes_the_load_balancer() -> None:
    usage = Usage(requests=1_000, received=1_000_000, answered=100_000)
    list_ = with_prices(screened=0.75, sent=0.12)
    assert total(bill(Used(1_000, {"evaluate": usage}), list_)) == 0
    outside = bill(Used(1_000, {"ingest": usage}), list_)
    assert line([*outside], "screened").cost == pytest.approx(0.75)
    assert line([*outside], "sent").an_event == 100 + list_.billing.answer_headers
    assert line([*outside], "balanced").an_event == 1_100 + list_.billing.answer_headers + list_.billing.request_headers


def test_without_events_there_is_no_cost_of_one() -> None:
    with pytest.raises(Invalid, match="expected events, found none"):
        bill(Used(0, {}), prices())


def test_instances_that_are_kept_ready_cost_the_whole_month() -> None:
    listed = with_prices(**{"idle-cpu": 0.0000025, "idle-memory": 0.0000025})
    found = monthly(listed)
    assert found["1 idle ingest"] == pytest.approx(730 * 3_600 * 0.0000025 * 1.5)  # 1 vCPU and half a GiB
    assert "1 idle evaluate" not in found


METRICS = """
segue_events_total{function="ingest",outcome="accepted"} 10
segue_events_total{function="evaluate",outcome="folded"} 9
segue_request_seconds_count{function="ingest",status="200"} 4
segue_request_seconds_count{function="ingest",status="400"} 1
segue_request_bytes_total{function="ingest",direction="received"} 2500
segue_message_seconds_count{function="evaluate",outcome="acknowledged"} 4
segue_store_operations_total{function="evaluate",collection="states",operation="read"} 4
segue_store_operations_total{function="evaluate",collection="catalog",operation="read"} 2
segue_store_operations_total{function="evaluate",collection="states",operation="write"} 3
segue_bus_messages_total{function="ingest",topic="events"} 4
segue_bus_bytes_total{function="ingest",topic="events"} 3000
segue_bus_billed_bytes_total{function="ingest",topic="events"} 4000
segue_bus_pushed_bytes_total{function="ingest",topic="events"} 4100
process_cpu_seconds_total{function="evaluate"} 1.5
"""


def counted(text: str = METRICS) -> Used:
    typed = "# TYPE process_cpu_seconds counter\n"
    return used(text_string_to_metric_families(typed + text))


def test_usage_is_what_the_metrics_tell_and_who_receives_what_is_the_topologys() -> None:
    assert counted() == Used(
        events=10,
        functions={
            "evaluate": Usage(requests=4, cpu=1.5, reads=6, writes=3, pushed=4_100),
            "ingest": Usage(requests=5, messages=4, published=4_000, archived=3_000, received=2_500),
        },
    )


def test_what_a_laptop_does_besides_is_not_paid_for_and_its_cpu_is_everybodys() -> None:
    besides = """
segue_store_operations_total{function="platform",collection="states",operation="read"} 100
segue_bus_messages_total{function="platform",topic="ticks"} 5
process_cpu_seconds_total 0.25
"""
    assert counted(besides) == Used(0, {TOGETHER: Usage(cpu=0.25)})


def test_what_was_used_earlier_can_be_left_out() -> None:
    later = counted(METRICS.replace('accepted"} 10', 'accepted"} 30').replace('"evaluate"} 1.5', '"evaluate"} 2.0'))
    assert later.since(counted()) == Used(20, {"evaluate": Usage(cpu=0.5), "ingest": Usage()})


def test_the_json_can_be_read_again() -> None:
    found = msgspec.json.decode(as_json(counted(), prices()))
    assert msgspec.convert(found["used"], Used) == counted()
    assert found["cost"]["total"] == pytest.approx(total(bill(counted(), prices())))


VISITOR = ProfileRef("user_id", "1")


def catalogue(**segments: object) -> Compiled:
    named = {id_.replace("_", "-"): {"name": id_, **when} for id_, when in segments.items() if isinstance(when, dict)}
    return compiled(PublishedCatalog(1, msgspec.json.encode({"segments": named})))


def received(at: int, name: str = "A") -> Delivery:
    event = Event(message_id=f"{name}-{at}", name=name, received_at=START + at, occurred_at=START + at, user_id="1")
    return Delivery(event.message_id, (event,))


#  A ──── 1 h ────┐
#  entered        exited, told by the tick after it
def test_a_segment_adds_its_transitions_and_the_tick_that_tells_of_its_end() -> None:
    definitions = catalogue(other={"when": {"did": "B"}}, hour={"when": {"did": "A", "within": "1h"}})
    looked_at = past({VISITOR: [received(0)]}, START + 2 * HOUR, days=30, most_events=1)
    (found,) = added(definitions, ["hour"], looked_at)
    assert found.course.flips == {"hour": 2}
    assert (found.course.folds, found.course.ticks, found.course.written) == (1, 1, 1)
    assert found.course.state_bytes > 0
    assert found.used.functions["update"].writes == found.course.announced == 1  # a new profile is announced anyway
    assert found.used.functions["tick"].messages == 1


def test_a_segment_that_nobody_enters_adds_no_message() -> None:
    definitions = catalogue(other={"when": {"did": "A"}}, never={"when": {"did": "C"}})
    looked_at = past({VISITOR: [received(0), received(MINUTE)]}, START + HOUR, days=30, most_events=2)
    (found,) = added(definitions, ["never"], looked_at)
    assert (found.course.announced, found.course.ticks, found.course.flips["never"]) == (0, 0, 0)


def test_what_another_segment_refers_to_cannot_be_left_out() -> None:
    definitions = catalogue(part={"when": {"did": "A"}}, whole={"when": {"segment": "part"}})
    looked_at = past({VISITOR: [received(0)]}, START + HOUR, days=30, most_events=1)
    with pytest.raises(Invalid, match="no other one refers to, found part"):
        added(definitions, ["part"], looked_at)


def test_only_the_days_asked_for_are_counted_and_what_came_before_is_known() -> None:
    histories = {VISITOR: [received(0), received(3 * DAY)]}
    looked_at = past(histories, START + 3 * DAY, days=1, most_events=10)
    assert looked_at.events == 1
    assert looked_at.monthly_events == pytest.approx(30)
    with pytest.raises(NotFound, match="in the last 1 days"):
        past({VISITOR: [received(0)]}, START + 3 * DAY, days=1, most_events=10)


def test_a_sample_is_of_whole_profiles() -> None:
    histories = {ProfileRef("user_id", str(user)): [received(0), received(1)] for user in range(50)}
    sample = past(histories, START + HOUR, days=30, most_events=5)
    assert len(sample.histories) == 3
    assert (sample.events, sample.known_profiles) == (6, 50)


def test_prices_may_be_another_file(tmp_path: Path) -> None:
    other = tmp_path / "prices.yaml"
    other.write_text(PRICES.read_text().replace("amount: 0.03,", "amount: 0.06,"))
    assert prices(other).prices["reads"] == Price(
        amount=0.06, per="100 thousand", seen="quoted", source="https://cloud.google.com/firestore/pricing"
    )
