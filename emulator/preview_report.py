"""A preview for a reader: at the terminal, and as a page or a picture that needs nothing from elsewhere."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from emulator.preview import OFTEN, Day, Preview
from segue.domain.time import DAY, HOUR, MINUTE, SECOND

BARS = " ▁▂▃▄▅▆▇█"

WIDTH, HEIGHT, MARGIN = 720, 220, 40


def shown(found: Preview) -> RenderableType:
    """The preview at a terminal."""
    figures = Table.grid(padding=(0, 2))
    for label, value in _figures(found):
        figures.add_row(Text(label, style="dim"), Text(value))
    parts: list[RenderableType] = [Text(f"{found.name} ({found.segment})", style="bold"), figures, _curves(found.days)]
    if found.overlaps:
        overlaps = Table("also in", "members", "both", "Jaccard", "computed by", title="Overlap", title_justify="left")
        for other in found.overlaps:
            figures_of_both = (f"{other.members:,}", f"{other.both:,}", f"{other.jaccard:.3f}")
            overlaps.add_row(Text(other.segment), *figures_of_both, Text(other.computed))
        parts.append(overlaps)
    for one in found.sample:
        parts.append(Text(f"{one.profile}: since {_instant(one.since)}, {_until(one.until)}", style="bold"))
        parts += [Text(f"  {reason}") for reason in one.reasons]
    return Group(*parts)


def page(found: Preview) -> str:
    """The preview as one HTML page."""
    figures = "".join(f"<tr><th>{escape(label)}</th><td>{escape(value)}</td></tr>" for label, value in _figures(found))
    overlaps = "".join(
        f"<tr><td>{escape(one.segment)}</td><td>{one.members:,}</td><td>{one.both:,}</td><td>{one.jaccard:.3f}</td>"
        f"<td>{escape(one.computed)}</td></tr>"
        for one in found.overlaps
    )
    days = "".join(
        f"<tr><td>{escape(day.date)}</td><td>{day.entered:,}</td><td>{day.exited:,}</td><td>{day.members:,}</td></tr>"
        for day in found.days
    )
    sample = "".join(
        f"<h3>{escape(one.profile)}</h3><p>since {_instant(one.since)}, {_until(one.until)}</p><ul>"
        + "".join(f"<li>{escape(reason)}</li>" for reason in one.reasons)
        + "</ul>"
        for one in found.sample
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(found.name)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(found.name)} <small>{escape(found.segment)}</small></h1><table>{figures}</table>"
        f"{picture(found)}"
        "<h2>Overlap</h2><table><tr><th>segment</th><th>members</th><th>both</th><th>Jaccard</th>"
        f"<th>computed by</th></tr>{overlaps}</table>"
        f"<h2>Some members</h2>{sample}"
        f"<h2>Days</h2><table><tr><th>day</th><th>entered</th><th>exited</th><th>members</th></tr>{days}</table>"
        "</body></html>\n"
    )


def picture(found: Preview) -> str:
    """Entries (up), exits (down) and members (the line) per day, as one SVG."""
    days = found.days
    step = (WIDTH - 2 * MARGIN) / max(len(days), 1)
    flow = max((max(day.entered, day.exited) for day in days), default=0) or 1
    most = max((day.members for day in days), default=0) or 1
    middle, half = HEIGHT / 2, HEIGHT / 2 - MARGIN / 2
    bars = "".join(_bars(day, MARGIN + number * step, step, middle, half / flow) for number, day in enumerate(days))
    line = " ".join(
        f"{MARGIN + (number + 0.5) * step:.1f},{HEIGHT - MARGIN / 2 - day.members * 2 * half / most:.1f}"
        for number, day in enumerate(days)
    )
    first, last = (days[0].date, days[-1].date) if days else ("", "")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT + 20}" width="{WIDTH}" role="img">'
        f"<title>{escape(found.name)}: entries, exits and members per day</title>{bars}"
        f'<polyline points="{line}" fill="none" stroke="#333" stroke-width="1.5"/>'
        f'<text x="{MARGIN}" y="{HEIGHT + 14}" font-size="11">{escape(first)}</text>'
        f'<text x="{WIDTH - MARGIN}" y="{HEIGHT + 14}" font-size="11" text-anchor="end">{escape(last)}</text>'
        f'<text x="2" y="{MARGIN / 2}" font-size="11">{flow:,} a day, {most:,} members</text></svg>'
    )


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{text-align:left;padding:.15rem 1rem .15rem 0}small{color:#666}"
)


def _bars(day: Day, left: float, step: float, middle: float, scale: float) -> str:
    width = max(step * 0.8, 0.5)
    up, down = day.entered * scale, day.exited * scale
    return (
        f'<rect x="{left:.1f}" y="{middle - up:.1f}" width="{width:.1f}" height="{up:.1f}" fill="#2a7"/>'
        f'<rect x="{left:.1f}" y="{middle:.1f}" width="{width:.1f}" height="{down:.1f}" fill="#c53"/>'
    )


def _figures(found: Preview) -> Iterator[tuple[str, str]]:
    share = found.members / found.known if found.known else 0.0
    yield "members", f"{found.members:,} of {found.known:,} profiles ({share:.1%}) at {_instant(found.at)}"
    entered = sum(day.entered for day in found.days)
    yield f"in {len(found.days)} days", f"{entered:,} entered, {found.ended:,} left"
    if found.dwell is not None and found.dwell_90 is not None:
        yield "stayed", f"{_length(found.dwell)} (half of them longer), a tenth longer than {_length(found.dwell_90)}"
    yield "flapping", f"{found.flapping:,} profiles entered {OFTEN} times or more in one day"
    yield "computed by", found.computed


def _curves(days: Sequence[Day]) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    for label, values in (
        ("entered", [day.entered for day in days]),
        ("exited", [day.exited for day in days]),
        ("members", [day.members for day in days]),
    ):
        most = max(values, default=0)
        bars = "".join(BARS[-(-value * (len(BARS) - 1) // most) if most else 0] for value in values)
        grid.add_row(Text(label, style="dim"), Text(bars), Text(f"at most {most:,} a day", style="dim"))
    if days:
        grid.add_row("", Text(f"{days[0].date} to {days[-1].date}", style="dim"))
    return grid


def _instant(at: int) -> str:
    return datetime.fromtimestamp(at / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _until(until: int | None) -> str:
    return "for good" if until is None else f"until {_instant(until)}"


def _length(milliseconds: int) -> str:
    """A length in its largest unit."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s")):
        if milliseconds >= unit:
            return f"{milliseconds / unit:.1f} {name}"
    return f"{milliseconds} ms"
