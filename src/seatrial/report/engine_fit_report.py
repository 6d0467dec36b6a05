"""A fitted engine profile for people: its numbers, and how far off it is, in sample and left out."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType

from seatrial.fit.engine_file import BELIEVED, give_or_take
from seatrial.report.tables import paragraph, table


def engine_fit_report(figures: Mapping[str, Any]) -> Iterator[RenderableType]:  # Any: what `--json` prints
    numbers = table("<number", "fitted", "give or take", "<")
    for place, value in figures["values"].items():
        mark = "*" if place in figures["mostly_believed"] else ""
        numbers.add_row(place, f"{value:.3g}", give_or_take(figures["standard_errors_pct"][place] / 100), mark)
    yield numbers
    if figures["mostly_believed"]:
        yield paragraph(f"* {BELIEVED}: these runs say less of it.")
    if figures["untold"]:
        yield paragraph(f"Not told by these runs, left as in {figures['base']}: {', '.join(figures['untold'])}.")
    yield paragraph(f"From {figures['num_points']} points. Errors of these numbers hang together: one can often stand in for another.")
    off = table("<median/p90 error, %", "ttft", "ttft p90", "tpot", "e2e", "n")
    off.padding = (0, 1, 0, 0)
    off.add_row("in sample", *row(figures["in_sample"]))
    for what, left_out in figures["left_out"].items():
        for name, errors in left_out.items():
            off.add_row(f"each {what} left out" if name == "all" else f"  {name}", *row(errors))
    yield off


def row(errors: Mapping[str, Any]) -> list[str]:
    texts = [
        f"{errors[m]['median_ape_pct']:.1f}/{errors[m]['p90_ape_pct']:.1f}" if m in errors else "-"
        for m in ("ttft_mean", "ttft_p90", "tpot_mean", "e2e_mean")
    ]
    return [*texts, str(max((int(error["n"]) for error in errors.values()), default=0))]
