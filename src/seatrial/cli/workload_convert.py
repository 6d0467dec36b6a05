"""`seatrial workload convert`: the same trace in another file."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from seatrial.cli.flags import TraceColumns, TraceFormat, TraceLimit, column_map
from seatrial.cli.output import note, say
from seatrial.workload import convert as converted
from seatrial.workload import open_trace


def convert(
    file: Annotated[Path, Parameter(help="a trace: parquet, CSV, JSON or JSON lines; text may be packed with gzip")],
    out: Annotated[Path, Parameter(help="the file to write, as its name ends: .parquet, .csv or .jsonl (Mooncake)")],
    /,
    *,
    format: TraceFormat = None,
    column: TraceColumns = (),
    limit: TraceLimit = None,
    sort: Annotated[bool, Parameter(help="put requests in order of arrival; holds the whole trace in memory", show_default=False)] = False,
) -> None:
    written = converted(open_trace(file, format=format, columns=column_map(column), limit=limit), out, sort=sort)
    for remark in written.notes:
        note(remark)
    say(f"{written.path}: {written.num_requests:,} requests")
