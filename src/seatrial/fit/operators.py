"""Operator curves from a directory of measured times: fitted, and judged on shapes and accelerators that they have not seen."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seatrial.catalog.curves import CURVES, GENERIC, read_curves, relatives
from seatrial.core.curves import KINDS, Curves, ErrorBar, Fitted
from seatrial.core.errors import FitError
from seatrial.cost.kernels import FloatArray
from seatrial.fit.cell import Cell
from seatrial.fit.least_squares import SEARCHES, Fit, bar, fit_die
from seatrial.fit.tables import read_cells, tables_in

FITTING = 0.5  # of a table, for the progress: as long as its cells are being fitted
FEWEST = 30  # times below which nothing is fitted
FEWEST_OF = {"point_to_point": 10}  # whose times depend on the size of a message alone


class Result(NamedTuple):
    """One cell: its curve, and the error of a relative's curve (None without one) and of the generic curve in its place."""

    cell: Cell
    fit: Fit
    relative: str
    scaled: ErrorBar | None
    generic: ErrorBar

    @property
    def name(self) -> str:
        return f"{self.cell.accelerator.name} {self.cell.name}"


class OperatorFits(NamedTuple):
    """`notes` say what was left out. `scaled` and `roofline` are the bars of curves in another's place, over all accelerators."""

    results: tuple[Result, ...]
    notes: tuple[str, ...]
    scaled: dict[tuple[str, str], ErrorBar]
    roofline: dict[tuple[str, str], ErrorBar]


def fit_operators(directory: Path, progress: Callable[[float], None] = lambda share: None) -> OperatorFits:
    """`progress` is told how much is done, from 0 to 1."""
    notes: list[str] = []
    files = tables_in(directory)
    fits: list[tuple[Cell, Fit]] = []
    for place, file in enumerate(files):
        for cells in dies(enough(cell, file, notes) for cell in read_cells(file, notes.append)):
            fits += zip(cells, fit_die(cells, KINDS[cells[0].operator]))
            progress((place + FITTING) / len(files))
        progress((place + 1) / len(files))
    if not fits:
        raise FitError(f"the tables in {directory} hold nothing that can be fitted{': ' + '; '.join(notes) if notes else ''}")
    return judged(fits, notes)


def enough(cell: Cell, file: Path, notes: list[str]) -> Cell | None:
    """None with a note, where its times are too few for a curve."""
    fewest = FEWEST_OF.get(cell.operator, FEWEST)
    if len(cell.seconds) >= fewest:
        return cell
    what = f"{cell.name} on {cell.accelerator.name}: {len(cell.seconds)} times"
    notes.append(f"{file.name}: {what} that can be used are too few for a curve, which takes {fewest}")
    return None


def dies(cells: Iterable[Cell | None]) -> list[list[Cell]]:
    """Those of one operator and format whose accelerators have the same die, as H100 and H200 have: an architecture and its peaks.

    Where a curve has nothing that belongs to the die, every accelerator is for itself.
    """
    found: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        if cell is not None:
            made_of = (cell.accelerator.architecture, *sorted(cell.accelerator.peak_flops.items()))
            die = made_of if SEARCHES[KINDS[cell.operator]].arithmetic else cell.accelerator.name
            found.setdefault((cell.operator, cell.number_format, cell.multiplied, die), []).append(cell)
    return list(found.values())


def judged(fits: Sequence[tuple[Cell, Fit]], notes: Iterable[str] = ()) -> OperatorFits:
    generic = Curves("", read_curves(CURVES / f"{GENERIC}.toml"))
    results, inherited, rough = [], {}, {}
    for cell, fit in fits:
        nearest = _nearest(cell, fits)
        if nearest is not None:
            inherited[cell.accelerator.name, cell.name] = cell.errors(nearest[1].curve)
        common = generic.find(cell.operator, cell.number_format, cell.multiplied)
        rough[cell.accelerator.name, cell.name] = cell.errors(common.curve)
        results.append(
            Result(
                cell,
                fit,
                nearest[0].accelerator.name if nearest else "",
                bar(cell.errors(nearest[1].curve)) if nearest else None,
                bar(cell.errors(common.curve)),
            )
        )
    names = {(cell.operator, cell.number_format): cell.name for cell, _ in fits}
    operators = {cell.operator for cell, _ in fits}
    scaled = {key: _pooled(inherited, {name}) for key, name in names.items() if any(name == known for _, known in inherited)}
    roofline = {}
    for operator in sorted(operators):
        mine = {name for key, name in names.items() if key[0] == operator}
        roofline[operator, "any"] = _pooled(rough, mine)
        known = mine & {name for _, name in inherited}
        scaled[operator, "any"] = _pooled(inherited, known) if known else roofline[operator, "any"]
    return OperatorFits(tuple(results), tuple(notes), scaled, roofline)


def _nearest(cell: Cell, fits: Sequence[tuple[Cell, Fit]]) -> tuple[Cell, Fit] | None:
    """What this accelerator would have inherited if it had not been measured."""
    alike = (cell.operator, cell.number_format, cell.multiplied)
    others = {
        other.accelerator.name: (other, fit)
        for other, fit in fits
        if (other.operator, other.number_format, other.multiplied) == alike and other.accelerator.name != cell.accelerator.name
    }
    near = relatives(cell.accelerator, (other.accelerator for other, _ in others.values()))
    return others[near[0].name] if near else None


def _pooled(errors: dict[tuple[str, str], FloatArray], names: set[str]) -> ErrorBar:
    """Each accelerator counts the same, however many points it has: the quantiles are means over them."""
    bars = [bar(each) for (_, name), each in errors.items() if name in names]
    return ErrorBar(round(float(np.mean([b.median for b in bars])), 3), round(float(np.mean([b.p90 for b in bars])), 3))


def fitted(result: Result, fits: OperatorFits, source: str) -> Fitted:
    """The curve as the catalogue has it. A shape that was measured has the error of the fit, one in between that of left-out shapes."""
    cell, fit = result.cell, result.fit
    scaled = fits.scaled.get((cell.operator, cell.number_format)) or fits.scaled[cell.operator, "any"]
    errors = {"measured": fit.seen, "interpolated": fit.left_out or fit.seen, "scaled": scaled}
    return Fitted(cell.operator, cell.number_format, cell.multiplied, fit.curve, cell.accelerator.name, source, dict(cell.sizes), errors)
