"""A file of recorded requests, read once and checked."""

from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seatrial.core.errors import PointsError, in_words

NEEDED = ("arrival_s", "input_tokens", "output_tokens")
MAY_BE_THERE = ("prompt_id", "stage")


@cache
def requests_table(file: str) -> pa.Table:
    """At least one request, and a number in every row of the columns that are read; the tokens add up to more than none."""
    name = Path(file).name
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as problem:
        raise PointsError(f"the requests file {name} cannot be read ({in_words(problem)})") from None
    for column in NEEDED:
        if column not in table.column_names:
            raise PointsError(f"the requests file {name} has no column {column!r}")
    if not len(table):
        raise PointsError(f"the requests file {name} has no request")
    for column in (*NEEDED, *(each for each in MAY_BE_THERE if each in table.column_names)):
        if not are_numbers(table[column]):
            raise PointsError(f"the requests file {name} has something in {column!r} that is no number of 0 or more; every row needs one")
    for column in NEEDED[1:]:
        if not pc.sum(table[column]).as_py():
            raise PointsError(f"the requests file {name} has only zeros in {column!r}")
    return table


def are_numbers(column: pa.ChunkedArray) -> bool:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)) or column.null_count:
        return False
    values = column.to_numpy()
    return bool((np.isfinite(values) & (values >= 0)).all())
