"""What `seatrial validate` shows people: how far off, where, beside whom, and what was left out."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from seatrial.fit.beside_curves import OperatorValidation
from seatrial.report.percent import both, pct, signed
from seatrial.report.tables import NOTHING, heading, paragraph, table
from seatrial.validate.accuracy import Error, Pair
from seatrial.validate.compared import Compared
from seatrial.validate.ratios import Change, ratio_errors
from seatrial.validate.steps import StepValidation
from seatrial.validate.validation import Validation, as_overloaded

SHOWN = ("ttft_mean", "tpot_mean", "e2e_mean", "output_tokens_per_s")
"""The metrics of the tables by group; --json and errors.csv have all."""
GROUPINGS_SHOWN = ("gpu", "model", "engine", "source", "trust", "saturated")
ROWS_SHOWN = 12
REASONS_SHOWN = 12
NOTE = "Percentage errors over points: median and p90 of their size, and the signed median (above 0: too much)."
HEADS = ("ttft", "tpot", "e2e", "out tok/s")


def validation_report(validation: Validation, kernels: OperatorValidation | None = None) -> RenderableType:
    return Group(*_parts(validation, kernels))


def _parts(validation: Validation, kernels: OperatorValidation | None) -> Iterator[RenderableType]:
    simulated = len(validation.points)
    if validation.num_points:
        yield Text(f"{validation.num_points:,} points: {simulated:,} simulated, {len(validation.skipped):,} skipped", style="bold")
    if simulated:
        yield errors_table(validation.errors)
        yield paragraph(NOTE, style="dim")
        groups = validation.groups()
        yield heading("median / p90 % by group")
        for grouping in GROUPINGS_SHOWN:
            yield from group_table(grouping, groups[grouping])
    if overloaded := validation.overloaded():
        yield heading("requests answered before the client gave up")
        yield overloaded_table(overloaded)
    if changes := validation.changes():
        yield heading("what a change of configuration does: error of the ratio")
        yield ratio_table(changes)
    if validation.steps is not None:
        yield heading("single steps, predicted against measured")
        yield from steps_table(validation.steps)
    if kernels is not None:
        yield heading("kernels by themselves: error of the shipped curve in per cent")
        yield kernels_table(kernels)
    if beside := validation.beside_peers():
        yield heading("other simulators, and ours on the same figures: median / p90 %")
        yield peers_table(beside)
    if validation.skipped:
        yield heading("skipped")
        yield from skipped_lines(validation)
    if validation.assumed:
        names = ", ".join(f"{name} ({count:,})" for name, count in validation.assumed.items())
        yield heading("assumed where a source is silent")
        yield paragraph(f"{names}; docs/validate.md says what and why.", style="dim")


def errors_table(found: Mapping[str, Error]) -> Table:
    made = table("<metric", "points", "median %", "p90 %", "signed %")
    for metric, error in found.items():
        made.add_row(metric, f"{error.n:,}", pct(error.median_ape_pct), pct(error.p90_ape_pct), signed(error.median_signed_pct))
    return made


def group_table(grouping: str, groups: Mapping[str, Mapping[str, Error]]) -> Iterator[RenderableType]:
    """Those with the most points; a grouping with one value says nothing new."""
    if len(groups) < 2:
        return
    made = table(f"<{grouping}", *HEADS)
    for value, found in list(groups.items())[:ROWS_SHOWN]:
        made.add_row(shortened(value, 22), *(both(found.get(metric), NOTHING) for metric in SHOWN))
    yield made
    if len(groups) > ROWS_SHOWN:
        yield paragraph(f"and {len(groups) - ROWS_SHOWN} more; --json and errors.csv have all", style="dim")


def overloaded_table(points: Sequence[Compared]) -> Table:
    made = table("<point", "sent", "answered", "predicted", "signed %")
    for compared in points:
        row = as_overloaded(compared)
        name = shortened(row["point_id"].removesuffix("#summary"), 36)
        pair = Pair(row["num_completed"]["predicted"], row["num_completed"]["actual"])
        error = signed(pair.signed_pct) if pair.actual else NOTHING
        made.add_row(name, f"{row['num_requests']:,}", f"{pair.actual:,}", f"{pair.predicted:,}", error)
    return made


def ratio_table(changes: Sequence[Change]) -> Table:
    made = table("<change", "<metric", "pairs", "median %", "p90 %", "right way")
    for kind, of in ratio_errors(changes).items():
        for metric, error in of.items():
            right = NOTHING if error.right_direction is None else f"{pct(100 * error.right_direction)} %"
            made.add_row(kind, metric, f"{error.n:,}", pct(error.median_ape_pct), pct(error.p90_ape_pct), right)
            kind = ""
    return made


def steps_table(steps: StepValidation) -> Iterator[RenderableType]:
    made = table("<engine; system, phase", "steps", "median %", "p90 %", "signed %")
    groups = steps.groups()
    for value, error in (groups["engine"] | dict(list(groups["system"].items())[:ROWS_SHOWN])).items():
        cells = (pct(error.median_ape_pct), pct(error.p90_ape_pct), signed(error.median_signed_pct))
        made.add_row(shortened(value, 40), f"{error.n:,}", *cells)
    yield made
    for reason, count in Counter(skipped.reason for skipped in steps.skipped).most_common(REASONS_SHOWN):
        yield paragraph(f"skipped: {reason}", label=f"{count:6,}  ", style="dim")


def kernels_table(kernels: OperatorValidation) -> Table:
    made = table("<operator, accelerator", "<took", "times", "median", "p90", "signed")
    for operator in kernels.operators:
        name = shortened(f"{operator.cell.name}, {operator.cell.accelerator.name}", 35)
        for length, error in operator.errors.items():
            cells = (pct(error.median_ape_pct), pct(error.p90_ape_pct), signed(error.median_signed_pct))
            made.add_row(name, length, f"{error.n:,}", *cells)
            name = ""
    return made


def peers_table(beside: list[tuple[str, dict[str, Error], dict[str, Error]]]) -> Table:
    made = table("<simulator", "<metric", "figures", "theirs", "ours")
    for simulator, theirs, ours in beside:
        for metric, error in theirs.items():
            made.add_row(shortened(simulator, 24), metric, f"{error.n:,}", both(error, NOTHING), both(ours.get(metric), NOTHING))
            simulator = ""
    return made


def skipped_lines(validation: Validation) -> Iterator[RenderableType]:
    reasons = Counter(skipped.reason for skipped in validation.skipped).most_common()
    for reason, count in reasons[:REASONS_SHOWN]:
        yield paragraph(reason, label=f"{count:6,}  ")
    if rest := reasons[REASONS_SHOWN:]:
        count = sum(count for _, count in rest)
        yield paragraph(f"for {len(rest)} other reasons; --json lists every point", label=f"{count:6,}  ", style="dim")


def shortened(text: str, width: int) -> str:
    """Both ends: names differ at either."""
    return text if len(text) <= width else f"{text[: width // 2 - 1]}…{text[-width // 2 :]}"
