"""A trace written to another file: our schema as parquet or CSV, or Mooncake JSONL."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from seatrial.core.errors import WorkloadError, in_words
from seatrial.workload.formats.layout import TIDY_SCHEMA, ArrowArray
from seatrial.workload.formats.mooncake import MOONCAKE_BLOCK_TOKENS
from seatrial.workload.trace import Trace

MOONCAKE_CARRIES = {"row", "arrival_s", "input_tokens", "output_tokens", "prefix_block_tokens", "prefix_hash_ids"}


class Converted(NamedTuple):
    """What was written, and what its reader should know, a sentence each."""

    path: Path
    num_requests: int
    notes: list[str]


def convert(trace: Trace, out_path: str | Path, *, sort: bool = False) -> Converted:
    """Writes the trace to a `.parquet`, `.csv` (our schema, the columns that the trace has) or `.jsonl` (Mooncake) file, or nothing at all.

    Rows are numbered anew from 0 in the order written, and `parent_row` follows; a parent that was left out becomes null.
    `sort` puts them in order of arrival (equal times keep their order) and holds the whole trace in memory; without it the trace streams.
    """
    check_out(out := Path(out_path))
    tables = renumbered(in_arrival_order(trace) if sort else trace.tables(), has_parents="parent_row" in trace.columns)
    with replacing(out) as unfinished:
        num_requests = WRITERS[out.suffix](tables, trace.columns, unfinished)
    return Converted(out, num_requests, trace.notes() + losses(trace, out))


def check_out(out: Path) -> None:
    """Refuses a path at which no trace can be written, before the work is done."""
    if out.suffix not in WRITERS:
        raise WorkloadError(f"cannot tell how to write {out}; its name must end in one of {', '.join(WRITERS)}")
    if not out.parent.is_dir():
        raise WorkloadError(f"there is no directory {out.parent} to write {out.name} into; make it first")


def in_arrival_order(trace: Trace) -> Iterator[pa.Table]:
    table = pa.concat_tables(trace.tables(in_order=False))
    times = table["arrival_s"].to_numpy()
    order = np.argsort(times, kind="stable")
    times = times[order] - min(times.min(), 0.0)  # negative where they count from the first row, which is not the earliest
    yield table.take(order).set_column(1, TIDY_SCHEMA.field("arrival_s"), pa.array(times))


def renumbered(tables: Iterator[pa.Table], *, has_parents: bool) -> Iterator[pa.Table]:
    num_written = 0
    old_rows = np.empty(0, np.int64)  # in their new order; kept only to find parents
    for table in tables:
        rows = np.arange(num_written, num_written + len(table))
        if has_parents:
            old_rows = np.concatenate((old_rows, table["row"].to_numpy()))
            parents = table["parent_row"].to_numpy()
            table = table.set_column(table.schema.names.index("parent_row"), TIDY_SCHEMA.field("parent_row"), new_places(parents, old_rows))
        num_written += len(table)
        yield table.set_column(0, TIDY_SCHEMA.field("row"), pa.array(rows))


def new_places(parents: NDArray[np.generic], old_rows: NDArray[np.int64]) -> ArrowArray:
    """Where each parent (NaN for none) stands in `old_rows`; null for none and for one that is not there."""
    by_old_row = np.argsort(old_rows)
    nearest = by_old_row[np.searchsorted(old_rows, parents, sorter=by_old_row).clip(max=len(old_rows) - 1)]
    return pa.array(nearest, pa.int64(), mask=old_rows[nearest] != parents)


def losses(trace: Trace, out: Path) -> list[str]:
    lost = [name for name in trace.columns if name not in MOONCAKE_CARRIES] if out.suffix == ".jsonl" else []
    return [f"{out}: {', '.join(lost)} not written, since Mooncake JSONL has no place for it"] if lost else []


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it takes the place of `path` at the end, and is gone if anything goes wrong."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as problem:
        raise WorkloadError(f"cannot write {path} ({in_words(problem)}); choose another place") from problem
    finally:
        unfinished.unlink(missing_ok=True)


def write_parquet(tables: Iterator[pa.Table], columns: Sequence[str], path: Path) -> int:
    num_rows = 0
    with pyarrow.parquet.ParquetWriter(path, schema_of(columns)) as writer:
        for table in tables:
            writer.write_table(table.select(columns))
            num_rows += len(table)
    return num_rows


def write_csv(tables: Iterator[pa.Table], columns: Sequence[str], path: Path) -> int:
    """Ids stand with spaces between them. Numbers are written so that they read back the same."""
    num_rows = 0
    schema = pa.schema([pa.field(field.name, pa.string()) if pa.types.is_list(field.type) else field for field in schema_of(columns)])
    with pyarrow.csv.CSVWriter(path, schema) as writer:
        for table in tables:
            if "prefix_hash_ids" in columns:
                joined = [None if ids is None else " ".join(map(str, ids)) for ids in table["prefix_hash_ids"].to_pylist()]
                table = table.set_column(table.schema.names.index("prefix_hash_ids"), "prefix_hash_ids", pa.array(joined, pa.string()))
            writer.write_table(table.select(columns))
            num_rows += len(table)
    return num_rows


def write_mooncake(tables: Iterator[pa.Table], columns: Sequence[str], path: Path) -> int:
    num_rows = 0
    with path.open("w", encoding="utf-8") as file:
        for table in tables:
            sizes = set(table["prefix_block_tokens"].unique().to_pylist()) - {None, MOONCAKE_BLOCK_TOKENS}
            if sizes:
                raise WorkloadError(
                    f"the trace's prefix ids stand for {sizes.pop()} tokens each and Mooncake's for {MOONCAKE_BLOCK_TOKENS}; "
                    "convert to .parquet or .csv"
                )
            file.writelines(json.dumps(mooncake_line(row)) + "\n" for row in table.to_pylist())
            num_rows += len(table)
    return num_rows


def mooncake_line(row: dict[str, Any]) -> dict[str, Any]:
    milliseconds = round(row["arrival_s"] * 1e3, 6)
    return {
        "timestamp": int(milliseconds) if milliseconds.is_integer() else milliseconds,
        "input_length": row["input_tokens"],
        "output_length": row["output_tokens"],
        "hash_ids": row["prefix_hash_ids"] or [],
    }


def schema_of(columns: Sequence[str]) -> pa.Schema:
    return pa.schema([TIDY_SCHEMA.field(name) for name in columns])


WRITERS: dict[str, Callable[[Iterator[pa.Table], Sequence[str], Path], int]] = {
    ".parquet": write_parquet,
    ".csv": write_csv,
    ".jsonl": write_mooncake,
}
