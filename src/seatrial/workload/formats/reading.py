"""One pass through a trace: batches of a file become checked arrivals."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seatrial.core.errors import WorkloadError
from seatrial.core.request import Arrivals, Prefixes
from seatrial.workload.formats.clock import Clock
from seatrial.workload.formats.detect import Source
from seatrial.workload.formats.layout import ARRIVAL_UNITS, TIDY_SCHEMA, ArrowArray
from seatrial.workload.formats.tabular import MAX_ROWS
from seatrial.workload.formats.values import Cells, id_lists, numbers, texts, whole_numbers

WHOLE = {"turn_index": (0, 2**31 - 1), "parent_row": (0, 2**53), "prefix_block_tokens": (1, 2**31 - 1)}
"""The lowest and highest value of our columns of optional whole numbers."""


PREFIXES = ("prefix_block_tokens", "prefix_hash_ids")
IDENTITY = ("session_id", *PREFIXES)


class Piece(NamedTuple):
    """Some requests, and the cells they were read from, row for row."""

    arrivals: Arrivals
    cells: dict[str, Cells]


class Reading:
    """A pass that is under way; it lives as long as the pass and counts what it leaves out."""

    def __init__(self, source: Source, *, limit: int | None, in_order: bool) -> None:
        self._file, self._layout = source
        self._limit = limit
        self._in_order = in_order
        self._clock = Clock(ARRIVAL_UNITS[self._layout.arrival])
        self._last_time = -np.inf
        self._num_kept = 0
        self.num_left_out = 0
        self.rows_differ = False

    @property
    def moved_start(self) -> float | None:
        """Seconds, where times in numbers are counted from the first request; else None."""
        return self._clock.moved_start

    def pieces(self, extra: Sequence[str]) -> Iterator[Piece]:
        """The requests, up to `MAX_ROWS` at a time, with the cells of these further columns where the file has them."""
        wanted = [self._layout.arrival, "input_tokens", "output_tokens", "row", *extra]
        names = {ours: self._layout.columns[ours] for ours in wanted if ours in self._layout.columns}
        row = 0
        for batch in self._file.batches(list(dict.fromkeys(names.values()))):
            start = 0
            while start < len(batch):
                # never more rows than could still be kept, so that a fault beyond the limit is none
                some = batch.slice(start, MAX_ROWS if self._limit is None else min(MAX_ROWS, self._limit - self._num_kept))
                piece = self._piece(some, names, row + start)
                if len(piece.arrivals):
                    yield piece
                if self._num_kept == self._limit:
                    return
                start += len(some)
            row += len(batch)
        if not self._num_kept:
            what = f"{self.num_left_out} rows, all without output tokens" if self.num_left_out else "no rows"
            raise WorkloadError(f"{self._file.path} has {what}; a trace has at least one request")

    def _piece(self, batch: Any, names: dict[str, str], first_row: int) -> Piece:
        row = np.arange(first_row, first_row + len(batch), dtype=np.int64)
        cells = {ours: Cells(theirs, batch.column(theirs), row, self._file.place) for ours, theirs in names.items()}
        self._compare_rows(cells)
        if self.rows_differ:
            cells.pop("parent_row", None)  # it names rows by that other count
        outputs, missing = whole_numbers(cells["output_tokens"], lowest=0)
        answered = ~missing & (outputs != 0)
        if not answered.all():
            kept = np.flatnonzero(answered)
            row, outputs = row[kept], outputs[kept]
            cells = {ours: Cells(each.column, each.values.take(pa.array(kept)), row, each.place) for ours, each in cells.items()}
            self.num_left_out += len(batch) - len(kept)
        inputs = whole_numbers(cells["input_tokens"], lowest=1, may_lack=False).values
        times = self._times(cells[self._layout.arrival])
        self._num_kept += len(row)
        return Piece(Arrivals(row, times, inputs.astype(np.int64), outputs.astype(np.int64)), cells)

    def _times(self, cells: Cells) -> NDArray[np.float64]:
        if not len(cells.row):
            return np.empty(0)
        times = self._clock.seconds(cells)
        if self._in_order:
            before = np.concatenate(([self._last_time], times[:-1]))
            cells.refuse_first(
                times < before,
                "that is earlier than the request before it, and arrivals must be in order; `seatrial workload convert --sort` sorts them",
            )
            self._last_time = times[-1]
        return times

    def _compare_rows(self, cells: dict[str, Cells]) -> None:
        """Notices a `row` column that says something else than the place in the file, which is what results are numbered by."""
        if "row" not in cells or self.rows_differ:
            return
        try:
            self.rows_differ = bool((numbers(cells["row"]).values != cells["row"].row).any())
        except WorkloadError:
            self.rows_differ = True


def with_identity(piece: Piece, prefix_block_tokens: int | None) -> Arrivals:
    """The piece's arrivals, with their sessions and how their prompts begin, where the file says it."""
    arrivals, cells = piece
    if "session_id" in cells and cells["session_id"].values.null_count < len(arrivals):
        arrivals = replace(arrivals, session_ids=texts(cells["session_id"]).to_numpy(zero_copy_only=False))
    if "prefix_hash_ids" not in cells or cells["prefix_hash_ids"].values.null_count == len(arrivals):
        return arrivals
    sizes = optional_whole(cells["prefix_block_tokens"], *WHOLE["prefix_block_tokens"]) if "prefix_block_tokens" in cells else None
    found = prefixes(cells["prefix_hash_ids"], sizes, prefix_block_tokens)
    ids = found["prefix_hash_ids"]
    lengths = ids.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    block_tokens = found["prefix_block_tokens"].fill_null(1).to_numpy(zero_copy_only=False).astype(np.int64)
    return replace(arrivals, prefixes=Prefixes(block_tokens, np.concatenate(([0], np.cumsum(lengths))), ids.flatten().to_numpy()))


def tidy_table(piece: Piece, prefix_block_tokens: int | None) -> pa.Table:
    """The piece in our schema, all columns of it; what the file does not have is null."""
    arrivals, cells = piece
    columns: dict[str, Any] = {
        "row": arrivals.row,
        "arrival_s": arrivals.arrival_time,
        "input_tokens": arrivals.num_prompt_tokens.astype(np.int32),
        "output_tokens": arrivals.num_output_tokens.astype(np.int32),
    }
    columns |= {name: texts(cells[name]) for name in ("session_id", "model", "service") if name in cells}
    columns |= {name: optional_whole(cells[name], lowest, most) for name, (lowest, most) in WHOLE.items() if name in cells}
    if "prefix_hash_ids" in cells:
        columns |= prefixes(cells["prefix_hash_ids"], columns.get("prefix_block_tokens"), prefix_block_tokens)
    absent = {field.name: pa.nulls(len(arrivals), field.type) for field in TIDY_SCHEMA if field.name not in columns}
    return pa.table(columns | absent).select(TIDY_SCHEMA.names).cast(TIDY_SCHEMA)


def optional_whole(cells: Cells, lowest: int, most: int) -> ArrowArray:
    found = whole_numbers(cells, lowest=lowest, most=most)
    return pa.array(np.where(found.missing, 0, found.values).astype(np.int64), mask=found.missing)


def prefixes(cells: Cells, block_tokens: ArrowArray | None, format_block_tokens: int | None) -> dict[str, ArrowArray]:
    """The ids, and for each row that has some the tokens that one stands for: the format's, else the file's."""
    ids = id_lists(cells)
    has_ids = ids.is_valid().to_numpy(zero_copy_only=False)
    if block_tokens is None:
        block_tokens = pa.array(np.full(len(ids), format_block_tokens), mask=~has_ids)
    unsized = has_ids & block_tokens.is_null().to_numpy(zero_copy_only=False)
    cells.refuse_first(unsized, "where there are ids, prefix_block_tokens must say how many tokens one stands for")
    return {"prefix_block_tokens": block_tokens, "prefix_hash_ids": ids}
