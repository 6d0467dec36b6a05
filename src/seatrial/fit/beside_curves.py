"""Measured operator times beside the curves that ship for their accelerators. Nothing is fitted."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from seatrial.catalog.curves import load_curves
from seatrial.core.curves import Fitted
from seatrial.core.errors import FitError
from seatrial.fit.cell import Cell
from seatrial.fit.tables import read_cells, tables_in
from seatrial.validate.accuracy import Error, error_of

ALL = "all"
LENGTHS = {"to 20 us": 20e-6, "to 100 us": 100e-6, "to 1 ms": 1e-3, "longer": inf}
"""Short kernels are launch and latency, long ones are arithmetic or memory."""


class BesideCurve(NamedTuple):
    """The times of one operator, and the errors of the curve that an estimate would take: `all`, and by how long the kernel took."""

    cell: Cell
    fitted: Fitted
    errors: dict[str, Error]

    @property
    def backend(self) -> str:
        return ", ".join(self.cell.backends)


@dataclass(frozen=True, slots=True)
class OperatorValidation:
    """`notes` say which rows were left out."""

    operators: tuple[BesideCurve, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:  # Any: as nested as JSON is
        return {"operators": [as_plain(each) for each in self.operators], "notes": list(self.notes)}


def validate_operators(directory: Path, progress: Callable[[float], None] = lambda share: None) -> OperatorValidation:
    """`progress` is told how much is done, from 0 to 1."""
    files, notes, found = tables_in(directory), list[str](), list[BesideCurve]()
    for place, file in enumerate(files, 1):
        found += [beside_curve(cell) for cell in read_cells(file, notes.append)]
        progress(place / len(files))
    if not found:
        raise FitError(f"the tables in {directory} hold nothing to compare{': ' + '; '.join(notes) if notes else ''}")
    return OperatorValidation(tuple(found), tuple(notes))


def beside_curve(cell: Cell) -> BesideCurve:
    fitted = load_curves(cell.accelerator).find(cell.operator, cell.number_format, cell.multiplied)
    signed = 100 * (cell.law(fitted.curve, None) / cell.seconds - 1)
    errors, least = {ALL: error_of(signed)}, 0.0
    for name, most in LENGTHS.items():
        mine = (cell.seconds > least) & (cell.seconds <= most)
        if mine.any():
            errors[name] = error_of(signed[mine])
        least = most
    return BesideCurve(cell, fitted, errors)


def as_plain(beside: BesideCurve) -> dict[str, Any]:
    cell, fitted = beside.cell, beside.fitted
    return {
        "accelerator": cell.accelerator.name,
        "operator": cell.operator,
        "number_format": cell.number_format,
        "backends": list(cell.backends),
        "curve": {"accelerator": fitted.accelerator, "number_format": fitted.number_format, "source": fitted.source},
        "errors": {length: error._asdict() for length, error in beside.errors.items()},
    }
