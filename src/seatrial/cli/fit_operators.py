"""`seatrial fit operators`: operator curves from tables of measured times."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from seatrial.cli.fit_flags import Date, dated
from seatrial.cli.flags import Json
from seatrial.cli.output import note, print_json, progress, show
from seatrial.core.curves import ErrorBar
from seatrial.fit.files import write_curves
from seatrial.fit.operators import OperatorFits, Result, fit_operators


def operators(
    tables: Annotated[Path, Parameter(help="a directory of gemm.parquet or gemm.csv, moe.parquet ...; docs/cost.md has the columns")],
    /,
    *,
    out: Annotated[Path | None, Parameter(help="write a curve file for each accelerator into this directory")] = None,
    report: Annotated[bool, Parameter(help="show every accelerator, and not only the mean over them", show_default=False)] = False,
    source: Annotated[
        str | None, Parameter(help="who measured, as the curve files will say; without it, the name of the directory")
    ] = None,
    date: Date = None,
    json: Json = False,
) -> None:
    when = dated(date)
    with progress("fitting operator curves", 1.0) as done:
        fits = fit_operators(tables, done)
    for sentence in fits.notes:
        note(sentence)
    if out is not None:
        files = write_curves(fits, out, source or f"operator times in {tables.resolve().name}", when)
        note(f"{len(files)} curve files are in {out}")
    if json:
        print_json(figures(fits))
        return
    from seatrial.report.fit_report import fit_report  # brings rich, which --json need not wait for

    show(*fit_report(fits, every_cell=report))


def figures(fits: OperatorFits) -> dict[str, object]:
    return {"curves": [cell_figures(result) for result in fits.results], "notes": list(fits.notes)}


def cell_figures(result: Result) -> dict[str, object]:
    cell, fit = result.cell, result.fit
    return {
        "operator": cell.operator,
        "number_format": cell.number_format,
        "accelerator": cell.accelerator.name,
        "multiplied": cell.multiplied,
        "backends": cell.backends,
        "num_times": len(cell.seconds),
        "num_fitted": int(cell.typical.sum()),
        "num_shapes": cell.num_shapes,
        "curve": asdict(fit.curve),
        "errors": {
            "fitted": error(fit.seen),
            "new_shape": error(fit.left_out),
            "larger_size": error(fit.beyond),
            "other_format": error(result.reformatted),
            "relative": error(result.scaled),
            "generic": error(result.generic),
        },
        "relative": result.relative or None,
    }


def error(bar: ErrorBar | None) -> dict[str, float] | None:
    return None if bar is None else {"median_ape_pct": 100 * bar.median, "p90_ape_pct": 100 * bar.p90}
