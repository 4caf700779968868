"""What something costs, for a reader at the terminal."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from emulator.cost import MILLION, Line, Usage, Used, bill, monthly, total
from emulator.cost_forecast import Added
from emulator.cost_prices import Prices


def ran(used: Used, prices: Prices) -> RenderableType:
    """What ran, function by function, and what a million such events cost."""
    lines = bill(used, prices)
    return Group(
        Text(f"{used.events:,} events", style="bold"),
        _functions(used),
        _bill(lines, prices, "a million such events"),
        _whatever_comes(monthly(prices), prices),
        _origin(prices),
    )


def forecast(found: Added, prices: Prices) -> RenderableType:
    """What a segment adds, and what that costs."""
    course, past = found.course, found.past
    lines = bill(found.used, prices)
    figures = Table.grid(padding=(0, 2))
    for label, value in (
        ("folded", f"{past.events:,} events of {len(past.histories):,} profiles, with it and without"),
        ("transitions", f"{_per_million(found, _flips(found))} a million events, {course.posts:,} of them posted"),
        ("announcements", f"{_per_million(found, course.announced)} more a million events"),
        ("ticks", f"{_per_million(found, course.ticks)} more a million events"),
        ("CPU of the fold", f"{_cpu(found)} µs more an event, on this machine"),
        ("state", f"{_state(found)} bytes more a profile"),
    ):
        figures.add_row(Text(label, style="dim"), Text(value))
    month = total(lines) * past.monthly_events / MILLION
    stored = prices.of("stored", course.state_bytes / len(past.histories) * past.known_profiles)
    monthly_cost = (
        f"{past.monthly_events:,.0f} events a month, as many as there were: {month:.4f} {prices.currency};"
        f" to store what {past.known_profiles:,} profiles have more: {stored:.6f}"
    )
    return Group(
        Text(found.segment, style="bold"),
        figures,
        _bill(lines, prices, "a million events more"),
        Text(monthly_cost),
        _origin(prices),
    )


def segments(found: Sequence[Added], prices: Prices) -> RenderableType:
    """What each segment adds to all others, of a million events."""
    table = _numbers(
        "segment", "transitions", "announcements", "ticks", "µs an event", "bytes a profile", prices.currency
    )
    for each in found:
        table.add_row(
            each.segment,
            _per_million(each, _flips(each)),
            _per_million(each, each.course.announced),
            _per_million(each, each.course.ticks),
            _cpu(each),
            _state(each),
            f"{total(bill(each.used, prices)):.4f}",
        )
    return Group(table, Text("What two segments share is neither's.", style="dim"), _origin(prices))


def _flips(found: Added) -> int:
    return found.course.flips[found.segment]


def _cpu(found: Added) -> str:
    return f"{found.course.cpu * MILLION / found.past.events:.2f}"


def _state(found: Added) -> str:
    return f"{found.course.state_bytes / len(found.past.histories):.1f}"


def _per_million(found: Added, count: int) -> str:
    return f"{count * MILLION / found.past.events:,.0f}"


def _functions(used: Used) -> Table:
    table = _numbers("function", "requests", "CPU ms", "reads", "writes", "deletes", "messages", "KiB published")
    for function, usage in used.functions.items():
        table.add_row(function, *_row(usage))
    table.add_section()
    together = sum(used.functions.values(), Usage())
    table.add_row("all", *_row(together), style="bold")
    if used.events:
        table.add_row("an event", *(f"{value / used.events:.3f}" for value in _values(together)))
    return table


def _numbers(first: str, *others: str) -> Table:
    """A table of numbers, to the right of what they are of."""
    table = Table(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _values(usage: Usage) -> Sequence[float]:
    return (
        usage.requests,
        usage.cpu * 1_000,
        usage.reads,
        usage.writes,
        usage.deletes,
        usage.messages,
        usage.published / 1_024,
    )


def _row(usage: Usage) -> Sequence[str]:
    return [f"{value:,.0f}" for value in _values(usage)]


def _bill(lines: Sequence[Line], prices: Prices, of: str) -> Table:
    table = _numbers("item", "an event", "price", prices.currency, "quantity")
    table.title, table.title_justify = f"Cost of {of}", "left"
    for line in filter(_is_paid_for, lines):
        price = prices.prices[line.item]
        basis = "counted" if line.counted else "assumed"
        table.add_row(line.item, f"{line.an_event:,.6g}", f"{price.amount:g} a {price.per}", f"{line.cost:.4f}", basis)
    table.add_section()
    table.add_row("all", "", "", f"{total(lines):.4f}", "", style="bold")
    return table


def _is_paid_for(line: Line) -> bool:
    return line.an_event != 0


def _whatever_comes(found: Mapping[str, float], prices: Prices) -> Text:
    said = ", ".join(f"{name} {amount:.2f}" for name, amount in found.items())
    return Text(f"besides, a month, whatever comes: {said}: {sum(found.values()):.2f} {prices.currency}")


def _origin(prices: Prices) -> Text:
    return Text(
        f"List prices of {prices.date}, {prices.region}, without free tiers (infra/prices.yaml). CPU is this machine's;"
        f" an instance is billed for CPU time / {prices.billing.busy_share:g}.",
        style="dim",
    )
