"""The flags that several commands share."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from seatrial.core.errors import WorkloadError

Json = Annotated[bool, Parameter(help="print one JSON object instead of tables", show_default=False)]
TraceFormat = Annotated[str | None, Parameter(help="the trace's, where its content does not show it: azure, burstgpt, mooncake ...")]
TraceColumns = Annotated[
    tuple[str, ...], Parameter(help="OURS=THEIRS, like arrival_ms=timestamp: a column of the trace; once for each", show_default=False)
]
TraceLimit = Annotated[int | None, Parameter(help="take the first so many requests of the trace")]


def column_map(columns: Sequence[str]) -> dict[str, str] | None:
    """What `--column` says, each OURS=THEIRS; None if it says nothing."""
    names: dict[str, str] = {}
    for text in columns:
        ours, equals, theirs = text.partition("=")
        if not (ours and equals and theirs):
            raise WorkloadError(f"--column {text} maps nothing; write OURS=THEIRS, like arrival_ms=timestamp")
        if ours in names:
            raise WorkloadError(f"--column {text}: {ours} is {names[ours]!r} already; give it once")
        names[ours] = theirs
    return names or None
