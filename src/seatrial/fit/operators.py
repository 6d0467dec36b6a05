"""Operator curves from a directory of measured times: fitted, and judged on shapes and accelerators that they have not seen."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seatrial.catalog.curves import CURVES, GENERIC, read_curves, relatives
from seatrial.core.curves import KINDS, Curve, Curves, ErrorBar, ExpertsCurve, Fitted, GemmCurve
from seatrial.core.errors import FitError
from seatrial.core.model import FORMATS
from seatrial.cost.formats import compute_rate
from seatrial.cost.operators import UNPACKING
from seatrial.fit.cell import Cell
from seatrial.fit.least_squares import SEARCHES, Fit, bar, fit_die
from seatrial.fit.tables import read_cells, tables_in

FITTING = 0.5  # of a table, for the progress: as long as its cells are being fitted
FEWEST = 30  # times below which nothing is fitted
MATRICES = ("gemm", "experts")  # whose formats are those of weights
FEWEST_OF = {"point_to_point": 10}  # whose times depend on the size of a message alone


class Result(NamedTuple):
    """One cell: its curve, and the error of a relative's curve, of another format's (None without one) and of the generic curve in its
    place."""

    cell: Cell
    fit: Fit
    relative: str
    scaled: ErrorBar | None
    reformatted: ErrorBar | None
    generic: ErrorBar

    @property
    def name(self) -> str:
        return f"{self.cell.accelerator.name} {self.cell.name}"


class OperatorFits(NamedTuple):
    """`notes` say what was left out."""

    results: tuple[Result, ...]
    notes: tuple[str, ...]

    def elsewhere(self, cause: str, operator: str, number_format: str = "any") -> ErrorBar | None:
        """The bar of curves in another's place, over all accelerators: of a relative's curve (`scaled`), another format's (`reformatted`)
        and beyond the sizes that were measured (`extrapolated`). Of the operator, where none is known of the format."""
        bars_of: Callable[[Result], ErrorBar | None] = {
            "scaled": lambda result: result.scaled,
            "reformatted": lambda result: result.reformatted,
            "extrapolated": lambda result: result.fit.beyond,
        }[cause]
        mine = [(result.cell.number_format, bars_of(result)) for result in self.results if result.cell.operator == operator]
        return mean(each for format, each in mine if format == number_format) or mean(each for _, each in mine)

    def roofline(self, operator: str) -> ErrorBar | None:
        """Of the generic curve on the architectures where it is furthest off: who needs it has no relative that was measured."""
        bars: dict[str, list[ErrorBar]] = {}
        for result in self.results:
            if result.cell.operator == operator:
                bars.setdefault(result.cell.accelerator.architecture, []).append(result.generic)
        means = [found for each in bars.values() if (found := mean(each))]
        return ErrorBar(max(each.median for each in means), max(each.p90 for each in means)) if means else None


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
    results = []
    for cell, fit in fits:
        near, common = _nearest(cell, fits), generic.find(cell.operator, cell.number_format, cell.multiplied)
        other = _another_format(cell, fits)
        results.append(
            Result(
                cell,
                fit,
                near[0].accelerator.name if near else "",
                bar(cell.errors(near[1].curve)) if near else None,
                bar(cell.errors(other)) if other else None,
                bar(cell.errors(common.curve)),
            )
        )
    return OperatorFits(tuple(results), tuple(notes))


def _nearest(cell: Cell, fits: Sequence[tuple[Cell, Fit]]) -> tuple[Cell, Fit] | None:
    """What this accelerator would have inherited if it had not been measured, from one that has not the very same times."""
    alike, name = (cell.operator, cell.number_format, cell.multiplied), cell.accelerator.name
    others = {
        other.accelerator.name: (other, fit)
        for other, fit in fits
        if (other.operator, other.number_format, other.multiplied) == alike
        and other.accelerator.name not in (name, *cell.siblings)
        and name not in other.siblings
    }
    near = relatives(cell.accelerator, (other.accelerator for other, _ in others.values()))
    return others[near[0].name] if near else None


def _another_format(cell: Cell, fits: Sequence[tuple[Cell, Fit]]) -> Curve | None:
    """What this accelerator would use if nobody had measured this format; none for the plain one, which is measured first."""
    if cell.number_format not in FORMATS or cell.number_format == "bf16":
        return None
    others = [
        (other, fit) for other, fit in fits if other.operator == cell.operator and other.number_format not in (cell.number_format, "any")
    ]
    order = relatives(cell.accelerator, {other.accelerator.name: other.accelerator for other, _ in others}.values())
    known = tuple(catalogued(other, fit) for near in order for other, fit in others if other.accelerator.name == near.name)
    if not known:
        return None
    found = Curves(cell.accelerator.name, known).find(cell.operator, cell.number_format, cell.multiplied)
    weights = FORMATS[cell.number_format]
    if cell.operator not in MATRICES or not compute_rate(weights, cell.accelerator).weight_only:
        return found.curve
    assert isinstance(found.curve, GemmCurve | ExpertsCurve)
    return replace(found.curve, compute=UNPACKING * found.curve.compute)  # as `Device.matrix_peaks` has it


def catalogued(cell: Cell, fit: Fit) -> Fitted:
    """The curve as the catalogue has it, but for errors and source."""
    return Fitted(cell.operator, cell.number_format, cell.multiplied, fit.curve, cell.accelerator.name, "", cell.sizes, {})


def mean(bars: Iterable[ErrorBar | None]) -> ErrorBar | None:
    """Each accelerator counts the same, however many points it has: the quantiles are means over them."""
    known = [each for each in bars if each is not None]
    if not known:
        return None
    return ErrorBar(round(float(np.mean([b.median for b in known])), 3), round(float(np.mean([b.p90 for b in known])), 3))


def fitted(result: Result, fits: OperatorFits, source: str) -> Fitted:
    """The curve as the catalogue has it. A shape that was measured has the error of the fit, one in between that of left-out shapes."""
    cell, fit = result.cell, result.fit
    errors = {"measured": fit.seen, "interpolated": fit.left_out or fit.seen}
    scaled = fits.elsewhere("scaled", cell.operator, cell.number_format) or fits.roofline(cell.operator)
    found = {
        "scaled": scaled,
        "reformatted": fits.elsewhere("reformatted", cell.operator),
        "extrapolated": fits.elsewhere("extrapolated", cell.operator, cell.number_format),
    }
    errors |= {cause: each for cause, each in found.items() if each}
    return replace(catalogued(cell, fit), source=source, errors=errors, shapes=cell.shapes, reach=cell.reach)
