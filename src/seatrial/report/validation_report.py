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
from seatrial.validate.validation import GROUPINGS, Validation, as_overloaded

SHOWN = ("ttft_mean", "tpot_mean", "e2e_mean", "output_tokens_per_s")
"""The metrics of the tables by group; --json and errors.csv have all."""
GROUPINGS_SHOWN = ("gpu", "model", "engine", "workload", "trust", "provenance", "source", "saturated")
ROWS_SHOWN = 12
REASONS_SHOWN = 12
NOTE = "Percentage errors over points: median and p90 of their size, and the signed median (above 0: too much)."
HEADS = {"ttft_mean": "ttft", "tpot_mean": "tpot", "e2e_mean": "e2e", "output_tokens_per_s": "out tok/s"}


def validation_report(validation: Validation, kernels: OperatorValidation | None = None) -> RenderableType:
    return Group(*_parts(validation, kernels))


def _parts(validation: Validation, kernels: OperatorValidation | None) -> Iterator[RenderableType]:
    simulated = len(validation.points)
    if validation.num_points:
        yield Text(f"{validation.num_points:,} points: {simulated:,} simulated, {len(validation.skipped):,} skipped", style="bold")
    if simulated:
        yield errors_table(validation.errors)
        yield paragraph(NOTE, style="dim")
        yield heading("by group: points, and median/p90 % of their errors")
        yield from groups_table(validation)
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
        yield heading("kernels by themselves: error of the shipped curve")
        yield kernels_table(kernels)
    if beside := validation.beside_peers():
        yield heading("other simulators, and ours on the same figures: median/p90 %")
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


def groups_table(validation: Validation) -> Iterator[RenderableType]:
    """Of each grouping the groups with the most points; where all points are in one, it is named below."""
    found = validation.errors
    metrics = [metric for metric in SHOWN if metric in found] or list(found)[: len(SHOWN)]
    made = table("<", "points", *(HEADS.get(metric, metric) for metric in metrics))
    made.padding = (0, 1, 0, 0)
    groups, alike = validation.groups(), list[str]()
    for grouping in GROUPINGS_SHOWN:
        counts = Counter(GROUPINGS[grouping](compared) for compared in validation.points)
        if len(counts) == 1:
            alike.append(f"{grouping} {next(iter(counts))}")
            continue
        made.add_row(Text(f"by {grouping}", style="bold"))
        for value, of in list(groups[grouping].items())[:ROWS_SHOWN]:
            made.add_row(f"  {shortened(value, 22)}", f"{counts[value]:,}", *(median_p90(of.get(metric)) for metric in metrics))
        if len(counts) > ROWS_SHOWN:
            rest = list(groups[grouping])[ROWS_SHOWN:]
            made.add_row(f"  {len(rest)} more", f"{sum(counts[value] for value in rest):,}", style="dim")
    if made.row_count:
        yield made
    if alike:
        yield paragraph(f"The same for all: {', '.join(alike)}.", style="dim")
    yield paragraph("--json and errors.csv have every group and metric.", style="dim")


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
            cells = (pct(error.median_ape_pct), pct(error.p90_ape_pct), right)
            made.add_row(kind, HEADS[metric], f"{error.n:,}", *cells)
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
    made = table("<operator on", "<took", "times", "median %", "p90 %", "signed %")
    for operator in kernels.operators:
        name = f"{operator.cell.name} {operator.cell.accelerator.name}"
        for length, error in operator.errors.items():
            cells = (pct(error.median_ape_pct), pct(error.p90_ape_pct), signed(error.median_signed_pct))
            made.add_row(name, length, f"{error.n:,}", *cells)
            name = ""
    return made


def peers_table(beside: list[tuple[str, dict[str, Error], dict[str, Error]]]) -> Table:
    made = table("<simulator", "<metric", "figures", "theirs", "ours")
    for simulator, theirs, ours in beside:
        for metric, error in theirs.items():
            made.add_row(shortened(simulator, 24), metric, f"{error.n:,}", median_p90(error), median_p90(ours.get(metric)))
            simulator = ""
    return made


def skipped_lines(validation: Validation) -> Iterator[RenderableType]:
    reasons = Counter(skipped.reason for skipped in validation.skipped).most_common()
    for reason, count in reasons[:REASONS_SHOWN]:
        yield paragraph(reason, label=f"{count:6,}  ")
    if rest := reasons[REASONS_SHOWN:]:
        count = sum(count for _, count in rest)
        yield paragraph(f"for {len(rest)} other reasons; --json lists every point", label=f"{count:6,}  ", style="dim")


def median_p90(error: Error | None) -> str:
    return both(error, NOTHING, "/")


def shortened(text: str, width: int) -> str:
    """Both ends: names differ at either."""
    return text if len(text) <= width else f"{text[: width // 2 - 1]}…{text[-width // 2 :]}"
