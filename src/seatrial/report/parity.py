"""Predicted against measured: a picture, and a page with the same picture and every table."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import floor, log10
from pathlib import Path

from seatrial.report.parity_plot import BAND, BAND_LABEL, COLOURS, Panel, write_panels
from seatrial.report.percent import both
from seatrial.validate.accuracy import Error, Pair
from seatrial.validate.compared import Compared
from seatrial.validate.point import METRICS
from seatrial.validate.validation import Validation

PANELS = ("ttft_mean", "tpot_mean", "e2e_mean", "output_tokens_per_s")


def by_gpu(validation: Validation, metric: str) -> dict[str, list[Compared]]:
    """The points that have the metric, those of the most frequent accelerator first."""
    with_metric = [c for c in validation.points if metric in c.pairs and min(c.pairs[metric]) > 0]
    names = [c.system.pool.accelerator for c in with_metric]
    order = sorted(set(names), key=lambda name: (-names.count(name), name))
    return {name: [c for c in with_metric if c.system.pool.accelerator == name] for name in order}


def panels(validation: Validation) -> list[str]:
    """The metrics that are drawn: the usual ones, or whatever there is."""
    found = [metric for metric in PANELS if by_gpu(validation, metric)]
    return found or [metric for metric in METRICS if by_gpu(validation, metric)][:4]


def colours(validation: Validation) -> dict[str, str]:
    names = sorted({c.system.pool.accelerator for c in validation.points})
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def label(metric: str) -> str:
    return f"{metric} (s)" if not metric.endswith("_per_s") else metric


def write_png(validation: Validation, file: Path) -> None:
    """Where there is nothing to draw there is no picture, nor one from before."""
    file.unlink(missing_ok=True)
    if metrics := panels(validation):
        write_panels(file, [panel_of(validation, metric) for metric in metrics], colours(validation))


def panel_of(validation: Validation, metric: str) -> Panel:
    groups = {name: [c.pairs[metric] for c in group] for name, group in by_gpu(validation, metric).items()}
    error = validation.errors[metric]
    return Panel(f"{metric}: median error {error.median_ape_pct:.1f} %, p90 {error.p90_ape_pct:.1f} %", label(metric), groups)


# The page


def limits(pairs: Sequence[Pair]) -> tuple[float, float]:
    """Whole decades around all values."""
    values = [value for pair in pairs for value in pair]
    return 10.0 ** floor(log10(min(values))), 10.0 ** (floor(log10(max(values))) + 1)


def write_html(validation: Validation, file: Path) -> None:
    """One file that needs no other: drawn points tell their name, figures and error under the pointer."""
    file.write_text("\n".join(page(validation)), encoding="utf-8")


def page(validation: Validation) -> Iterator[str]:
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>seatrial validate</title><style>{STYLE}</style>"
    yield "<h1>Predicted against measured</h1>"
    yield f"<p>{validation.num_points:,} points: {len(validation.points):,} simulated, {len(validation.skipped):,} skipped. "
    yield "Errors are percentages over points: median and p90 of their size, and the signed median (above 0: too much).</p>"
    yield error_table("metric", validation.errors)
    yield "<div class=panels>"
    for metric in panels(validation):
        yield from panel(validation, metric)
    yield "</div>"
    for grouping, groups in validation.groups().items():
        if len(groups) > 1:
            yield f"<h2>by {grouping}</h2>"
            yield group_table(grouping, groups)
    if beside := validation.beside_peers():
        yield "<h2>Other simulators, and ours on the same figures</h2><table><tr><th>simulator<th>metric<th>figures<th>theirs<th>ours</tr>"
        for simulator, theirs, ours in beside:
            for metric, error in theirs.items():
                yield f"<tr><td>{escape(simulator)}<td>{metric}<td>{error.n:,}<td>{both(error)}<td>{both(ours.get(metric))}</tr>"
        yield "</table>"
    why = validation.as_dict()["assumptions"]
    yield "<h2>Assumed where a source is silent</h2><table><tr><th>name<th>points<th>what and why</tr>"
    for name, about in why.items():
        yield f"<tr><td>{escape(name)}<td>{about['num_points']:,}<td class=text>{escape(about['why'])}</tr>"
    yield "</table><h2>Skipped</h2><table><tr><th>point<th>reason</tr>"
    for point_id, reason in validation.skipped:
        yield f"<tr><td>{escape(point_id)}<td class=text>{escape(reason)}</tr>"
    yield "</table></html>"


STYLE = (
    "body{font:14px system-ui,sans-serif;max-width:1200px;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.15em .8em;text-align:right;border-bottom:1px solid #ddd;font-weight:normal}"
    "th{color:#666}td:first-child,th:first-child,td.text{text-align:left}.panels{display:flex;flex-wrap:wrap;gap:1em}"
    "svg{width:560px;max-width:100%;background:#fff}svg text{font-size:11px;fill:#444}circle{fill-opacity:.55}circle:hover{fill-opacity:1}"
)
SIZE, LEFT, TOP = 560, 60, 30  # of a panel; its square of points has the same margins right and below


def panel(validation: Validation, metric: str) -> Iterator[str]:
    groups, colour = by_gpu(validation, metric), colours(validation)
    low, high = limits([c.pairs[metric] for group in groups.values() for c in group])
    span = SIZE - LEFT - TOP

    def at(value: float) -> float:
        return (log10(min(max(value, low), high)) - log10(low)) / (log10(high) - log10(low)) * span

    def x(value: float) -> str:
        return f"{LEFT + at(value):.1f}"

    def y(value: float) -> str:
        return f"{TOP + span - at(value):.1f}"

    yield f'<svg viewBox="0 0 {SIZE} {SIZE}" role="img" aria-label="{metric}">'
    corners = ((low, low * BAND), (high / BAND, high), (high, high), (high, high / BAND), (low * BAND, low), (low, low))
    yield f'<polygon points="{" ".join(f"{x(a)},{y(b)}" for a, b in corners)}" fill="#000" fill-opacity=".07"/>'
    yield f'<line x1="{x(low)}" y1="{y(low)}" x2="{x(high)}" y2="{y(high)}" stroke="#000"/>'
    decade = low
    while decade <= high * 1.001:
        yield f'<line x1="{x(decade)}" y1="{y(low)}" x2="{x(decade)}" y2="{y(high)}" stroke="#eee"/>'
        yield f'<line x1="{x(low)}" y1="{y(decade)}" x2="{x(high)}" y2="{y(decade)}" stroke="#eee"/>'
        yield f'<text x="{x(decade)}" y="{TOP + span + 14}" text-anchor="middle">{decade:g}</text>'
        yield f'<text x="{LEFT - 6}" y="{y(decade)}" text-anchor="end" dominant-baseline="middle">{decade:g}</text>'
        decade *= 10
    for number, (name, group) in enumerate(groups.items()):
        yield f'<g fill="{colour[name]}">'
        for c in group:
            pair = c.pairs[metric]
            told = f"{c.point.point_id}: measured {pair.actual:.4g}, predicted {pair.predicted:.4g} ({pair.signed_pct:+.1f} %)"
            yield f'<circle cx="{x(pair.actual)}" cy="{y(pair.predicted)}" r="3"><title>{escape(told)}</title></circle>'
        yield f'<circle cx="{LEFT + 10}" cy="{TOP + 12 + 14 * number}" r="4"/></g>'
        yield f'<text x="{LEFT + 18}" y="{TOP + 16 + 14 * number}">{escape(name)} ({len(group):,})</text>'
    below = TOP + 16 + 14 * len(groups)
    yield f'<rect x="{LEFT + 5}" y="{below - 9}" width="10" height="10" fill="#000" fill-opacity=".07"/>'
    yield f'<text x="{LEFT + 18}" y="{below}">{BAND_LABEL}</text>'
    yield f'<text x="{LEFT + span / 2}" y="{SIZE - 2}" text-anchor="middle">measured {label(metric)}</text>'
    turned = f'text-anchor="middle" transform="rotate(-90 14 {TOP + span / 2})"'
    yield f'<text x="14" y="{TOP + span / 2}" {turned}>predicted {label(metric)}</text>'
    yield f'<text x="{LEFT + span / 2}" y="16" text-anchor="middle">{metric}: {both(validation.errors[metric])} %</text></svg>'


def error_table(first: str, found: Mapping[str, Error]) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}<td>{e.n:,}<td>{e.median_ape_pct:.1f}<td>{e.p90_ape_pct:.1f}<td>{e.median_signed_pct:+.1f}</tr>"
        for name, e in found.items()
    )
    return f"<table><tr><th>{first}<th>points<th>median %<th>p90 %<th>signed %</tr>{rows}</table>"


def group_table(grouping: str, groups: Mapping[str, Mapping[str, Error]]) -> str:
    metrics = [metric for metric in METRICS if any(metric in found for found in groups.values())]
    head = "".join(f"<th>{metric}" for metric in metrics)
    rows = "".join(
        f"<tr><td>{escape(value)}{''.join(f'<td>{both(found.get(m))}' for m in metrics)}</tr>" for value, found in groups.items()
    )
    return f"<table><tr><th>{grouping}{head}</tr>{rows}</table>"
