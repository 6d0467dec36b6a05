"""`seatrial workload describe`: what a trace is like."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from seatrial.cli.flags import Json, TraceColumns, TraceFormat, TraceLimit, column_map
from seatrial.cli.output import console, note, print_json
from seatrial.core.errors import WorkloadError
from seatrial.report.description import description_report
from seatrial.report.traffic import Traffic
from seatrial.workload import open_trace
from seatrial.workload.convert import replacing
from seatrial.workload.describe import Description
from seatrial.workload.describe import describe as described
from seatrial.workload.fit import fragment


def describe(
    file: Annotated[Path, Parameter(help="a trace: parquet, CSV, JSON or JSON lines; text may be packed with gzip")],
    /,
    *,
    format: TraceFormat = None,
    column: TraceColumns = (),
    limit: TraceLimit = None,
    fit: Annotated[Path | None, Parameter(help="write the generator that resembles it best to this .yaml file, for `seatrial run`")] = None,
    json: Json = False,
) -> None:
    if fit is not None and fit.suffix not in (".yaml", ".yml"):
        raise WorkloadError(f"--fit writes YAML, and {fit} does not look like it; give a name that ends in .yaml")
    trace = open_trace(file, format=format, columns=column_map(column), limit=limit)
    traffic = Traffic(trace)
    told = described(traffic)
    if fit is not None:
        write_fit(told, file, fit)
    for remark in told.notes:
        note(remark)
    if json:
        print_json({"path": str(file), "format": trace.format, **told.figures()})
        return
    out = console()
    out.print(f"{file} ({trace.format})")
    for part in description_report(told, traffic, ascii_only=out.options.ascii_only):
        out.print(part)


def write_fit(told: Description, file: Path, fit: Path) -> None:
    text = fragment(told, str(file))
    with replacing(fit) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    note(f"the fitted generator is in {fit}")
