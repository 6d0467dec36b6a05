"""Writes fitted curves as the data files of the catalogue."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from seatrial.catalog.curves import CURVES, GENERIC, read_curves
from seatrial.core.curves import ErrorBar, Fitted
from seatrial.core.errors import FitError, in_words
from seatrial.fit.operators import OperatorFits, fitted
from seatrial.fit.toml import quoted, write_whole

HEADER = "# Written by `seatrial fit operators`; docs/catalog.md explains the keys. Seconds, and shares of the accelerator's peaks.\n"


def write_curves(fits: OperatorFits, directory: Path, source: str, date: str) -> list[Path]:
    """A file for each accelerator, and the generic one with its errors as they were found here."""
    texts = {name: accelerator_text(fits, name, source, date) for name in sorted({each.cell.accelerator.name for each in fits.results})}
    texts[GENERIC] = generic_text(fits)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return [write_whole(directory / f"{name}.toml", text) for name, text in texts.items()]
    except OSError as problem:
        raise FitError(f"cannot write curves to {directory}: {in_words(problem)}") from problem


def accelerator_text(fits: OperatorFits, accelerator: str, source: str, date: str) -> str:
    parts = [HEADER, f"[sources]\ntables = {{ text = {quoted(source)}, date = {quoted(date)} }}\n"]
    for result in fits.results:
        if result.cell.accelerator.name == accelerator:
            cell = result.cell
            measured = f"{int(cell.typical.sum())} of {len(cell.seconds)} times of {cell.num_shapes} shapes; {', '.join(cell.backends)}"
            parts.append(curve_text(fitted(result, fits, source), "tables", measured))
    return "\n".join(parts)


def generic_text(fits: OperatorFits) -> str:
    """The curves stay as they are; only what they are wrong by is new, for operators that were measured."""
    file = CURVES / f"{GENERIC}.toml"
    head, _, _ = file.read_text(encoding="utf-8").partition("\n[gemm")
    parts = [head.rstrip() + "\n"]
    for each in read_curves(file):
        found = fits.roofline(each.operator)
        errors = {"roofline": found} if found else each.errors
        parts.append(curve_text(each, "practice", "", errors))
    return "\n".join(parts)


def curve_text(each: Fitted, source: str, measured: str, errors: Mapping[str, ErrorBar] | None = None) -> str:
    lines = [f"[{each.operator}.{each.number_format}]"]
    if each.multiplied:
        lines.append(f"multiplied = {quoted(each.multiplied)}")
    lines.append(f"curve = {{ {', '.join(f'{name} = {_number(value)}' for name, value in asdict(each.curve).items())} }}")
    if measured:
        lines.append(f"measured = {quoted(measured)}")
    for name, sizes in each.sizes.items():
        lines.append(f"sizes.{name} = [{', '.join(_number(size) for size in sizes)}]")
    if len(each.sizes) > 1:
        lines += ["shapes = [", *(f"    {quoted(row)}," for row in shape_rows(each)), "]"]
    for name, (least, most) in each.reach.items():
        lines.append(f"reach.{name} = [{_number(least)}, {_number(most)}]")
    for name, bar in (each.errors if errors is None else errors).items():
        lines.append(f"errors.{name} = [{_number(bar.median)}, {_number(bar.p90)}]")
    lines.append(f"source = {quoted(source)}")
    return "\n".join(lines) + "\n"


def shape_rows(each: Fitted) -> list[str]:
    """The sizes of all dimensions but the last, and a mark for each of the last one's: # where they were measured together, else a dot."""
    *_, last = each.sizes.values()
    width = max(len(_number(size)) for size in (0.0, *(size for shape in each.shapes for size in shape[:-1])))
    rows = []
    for lead in sorted({shape[:-1] for shape in each.shapes}):
        marks = "".join("#" if (*lead, size) in each.shapes else "." for size in last)
        rows.append(" ".join((*(f"{_number(size):>{width}}" for size in lead), marks)))
    return rows


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.4g}"
