"""What `seatrial fit operators` shows people: how far each curve is from the times, those that it saw and those that it did not."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table

from seatrial.core.curves import ErrorBar
from seatrial.fit.operators import OperatorFits, Result
from seatrial.report.tables import NOTHING, heading, paragraph, table


def fit_report(fits: OperatorFits, *, every_cell: bool) -> Iterator[RenderableType]:
    yield paragraph("Errors in per cent: half of the times are nearer than the first number, nine in ten nearer than the second.")
    yield summary_table(fits)
    yield paragraph("Where the sizes go beyond those fitted, and where nobody had measured the format and another's curve stood in:")
    yield elsewhere_table(fits)
    if every_cell:
        for operator in dict.fromkeys(result.cell.operator for result in fits.results):
            yield heading(operator)
            yield cell_table([result for result in fits.results if result.cell.operator == operator])


def summary_table(fits: OperatorFits) -> Table:
    """The mean over accelerators."""
    made = table("<curve", "on", "fitted", "new shape", "relative", "generic")
    for name in sorted({(result.cell.operator, result.cell.number_format) for result in fits.results}):
        mine = [result for result in fits.results if (result.cell.operator, result.cell.number_format) == name]
        made.add_row(
            ".".join(name),
            f"{len(mine)}",
            error_text(mean_bar([result.fit.seen for result in mine])),
            error_text(mean_bar([result.fit.left_out for result in mine])),
            error_text(mean_bar([result.scaled for result in mine])),
            error_text(mean_bar([result.generic for result in mine])),
        )
    return made


def elsewhere_table(fits: OperatorFits) -> Table:
    """The mean over accelerators."""
    made = table("<curve", "on", "larger size", "other format")
    for operator, number_format in sorted({(result.cell.operator, result.cell.number_format) for result in fits.results}):
        mine = [result for result in fits.results if (result.cell.operator, result.cell.number_format) == (operator, number_format)]
        bars = (mean_bar([result.fit.beyond for result in mine]), mean_bar([result.reformatted for result in mine]))
        made.add_row(f"{operator}.{number_format}", f"{len(mine)}", *map(error_text, bars))
    return made


def cell_table(results: list[Result]) -> Table:
    made = table("<accelerator", "<format", "fitted", "new shape", "relative", "generic")
    for result in results:
        cell, fit = result.cell, result.fit
        bars = (fit.seen, fit.left_out, result.scaled, result.generic)
        made.add_row(cell.accelerator.name, cell.number_format, *(error_text(bar) for bar in bars))
    return made


def mean_bar(bars: list[ErrorBar | None]) -> ErrorBar | None:
    known = [bar for bar in bars if bar is not None]
    if not known:
        return None
    return ErrorBar(sum(bar.median for bar in known) / len(known), sum(bar.p90 for bar in known) / len(known))


def error_text(bar: ErrorBar | None) -> str:
    """'5.4/17'."""
    return NOTHING if bar is None else f"{100 * bar.median:.2g}/{100 * bar.p90:.0f}"
