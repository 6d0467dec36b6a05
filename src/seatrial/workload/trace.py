"""A trace: requests that a file remembers, as a workload."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from seatrial.core.errors import WorkloadError
from seatrial.core.request import Arrival, Arrivals
from seatrial.workload.formats.detect import Source, find_source
from seatrial.workload.formats.layout import OPTIONAL, TIDY_SCHEMA
from seatrial.workload.formats.reading import IDENTITY, Piece, Reading, tidy_table, with_identity
from seatrial.workload.formats.sharegpt import CountTokens

NO_EPOCH_SECONDS = 1e11  # since 1970, that is the year 5138: more likely a finer unit


def open_trace(
    path: str | Path,
    *,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    limit: int | None = None,
    count_tokens: CountTokens | None = None,
) -> "Trace":
    """The trace in a file, whose kind shows by its content and column names unless `format` says it.

    `columns` maps our names (`arrival_s`, or `arrival_ms`, `arrival_us`, `arrival_ns` for other units; `input_tokens`, `output_tokens`,
    `session_id` ...) to the file's. `limit` is the most requests to read. `count_tokens` gives the lengths of files that hold text.
    Only the beginning of the file is looked at now; a fault further in is raised when reading comes to it.
    """
    if limit is not None and limit < 1:
        raise WorkloadError(f"a limit of {limit} leaves no request; give at least 1, or no limit")
    return Trace(find_source(Path(path), format, columns, count_tokens), limit)


class Trace:
    """Requests read from a file, anew on each call, a stretch at a time.

    `row` is the place among the file's data rows, from 0. Rows without output tokens are left out and counted; other faults are refused.
    """

    def __init__(self, source: Source, limit: int | None = None) -> None:
        self._source = source
        self._limit = limit
        self._num_left_out = 0
        self._rows_differ = False
        self._moved_start: float | None = None

    @property
    def path(self) -> Path:
        return self._source.file.path

    @property
    def format(self) -> str:
        return self._source.layout.name

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of our schema that the file fills."""
        layout = self._source.layout
        given = {"row", "arrival_s"} | set(layout.columns) | ({"prefix_block_tokens"} if layout.has_prefixes else set())
        return tuple(name for name in TIDY_SCHEMA.names if name in given)

    @property
    def has_follow_ups(self) -> bool:
        return False

    @property
    def num_requests(self) -> int | None:
        """Known for a parquet file whose metadata say that no row will be left out; else None."""
        known = self._source.file.num_rows_above_zero(self._source.layout.columns["output_tokens"])
        return known if known is None or self._limit is None else min(known, self._limit)

    def chunks(self) -> Iterator[Arrivals]:
        layout = self._source.layout
        for piece in self._read(IDENTITY if layout.has_prefixes else ("session_id",), in_order=True):
            yield with_identity(piece, layout.prefix_block_tokens)

    def tables(self, *, in_order: bool = True) -> Iterator[pa.Table]:
        """All that the file says, in `TIDY_SCHEMA`.

        With `in_order` False, unsorted arrivals pass, and times that count from the first request may be negative.
        """
        for piece in self._read(OPTIONAL, in_order=in_order):
            yield tidy_table(piece, self._source.layout.prefix_block_tokens)

    def follow_ups(self, row: int, finish_time: float) -> Sequence[Arrival]:
        return ()

    def notes(self) -> list[str]:
        """What a user of this trace should know, a sentence each: what its format implies, and what reading has left out so far."""
        notes = [f"{self.path}: {remark}" for remark in self._source.layout.remarks]
        if self._moved_start is not None:
            notes.append(f"{self.path}: {moved_note(self._moved_start)}")
        if self._num_left_out:
            rows = "1 row was" if self._num_left_out == 1 else f"{self._num_left_out:,} rows were"
            notes.append(f"{self.path}: {rows} left out for having no output tokens (failed or unanswered in the original)")
        if self._rows_differ:
            notes.append(f"{self.path}: its row column does not count the rows from 0, as results do: join by place; parent_row is ignored")
        return notes

    def _read(self, extra: Sequence[str], *, in_order: bool) -> Iterator[Piece]:
        reading = Reading(self._source, limit=self._limit, in_order=in_order)
        try:
            yield from reading.pieces(extra)
        finally:
            # of several passes, some of them partial, the longest knows best
            self._num_left_out = max(self._num_left_out, reading.num_left_out)
            self._rows_differ |= reading.rows_differ
            self._moved_start = reading.moved_start or self._moved_start


def moved_note(start: float) -> str:
    note = f"arrivals count from the first request, which is at {start:.10g} s in the file"
    if start > NO_EPOCH_SECONDS:
        note += "; that many seconds are no date of our time: map arrival_ms, arrival_us or arrival_ns if it counts in those"
    return note
