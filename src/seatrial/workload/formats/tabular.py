"""Files that are tables, streamed by column name: parquet, CSV, JSON lines."""

import csv
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, cast

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from seatrial.core.errors import WorkloadError, in_words
from seatrial.workload.formats.layout import ArrowArray

MAX_ROWS = 65_536
"""The longest stretch that a trace hands out, and the most rows that a file's batch may have in memory where we choose."""

JSON_ROWS = 8_192  # parsed objects weigh far more than the arrays made of them
CSV_BLOCK_BYTES = 4 * 2**20  # also the longest line that can be read
DELIMITERS = ",;\t|"


class TableFile(Protocol):
    """A file that gives batches of rows, any number of times."""

    @property
    def path(self) -> Path: ...

    @property
    def column_names(self) -> Sequence[str]: ...

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows in the file's order, with these columns, in whatever type they are stored."""

    def num_rows_above_zero(self, column: str) -> int | None:
        """How many rows there are, if that is known without reading them, and also that this column is above zero in all; else None."""

    def place(self, row: int) -> str:
        """Where a data row (from 0) stands, for an error."""


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What a damaged file makes the libraries raise, as one sentence."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, UnicodeError, csv.Error) as problem:
        raise WorkloadError(f"{path} cannot be read ({in_words(problem)}); is the file complete?") from problem


def open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, unpacked if it is gzip."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path)) if packed else path.open("rb")


def open_text(path: Path) -> io.TextIOWrapper:
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig", newline="")


class ParquetTable:
    def __init__(self, path: Path) -> None:
        self.path = path
        with readable(path), pyarrow.parquet.ParquetFile(path) as file:
            self._metadata: Any = file.metadata
            self.column_names: tuple[str, ...] = tuple(file.schema_arrow.names)
        if not self._metadata.num_rows:
            raise WorkloadError(f"{path} has no rows; a trace has at least one request")

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with readable(self.path), pyarrow.parquet.ParquetFile(self.path, metadata=self._metadata) as file:
            yield from file.iter_batches(MAX_ROWS, columns=list(columns), use_threads=False)

    def num_rows_above_zero(self, column: str) -> int | None:
        groups = [self._metadata.row_group(i) for i in range(self._metadata.num_row_groups)]
        chunks = [group.column(i) for group in groups for i in range(group.num_columns) if group.column(i).path_in_schema == column]
        facts = [chunk.statistics for chunk in chunks]
        if any(fact is None or not fact.has_min_max or fact.null_count != 0 for fact in facts):
            return None
        above = all(isinstance(fact.min, int) and fact.min > 0 for fact in facts)
        return int(self._metadata.num_rows) if above else None

    def place(self, row: int) -> str:
        return f"{self.path}, row {row} (counting from 0)"


class CsvTable:
    """A CSV file with a header. All cells are read as text, so that a bad one can be shown as it stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with readable(path), open_text(path) as file:
            header = next((line for line in file if line.strip()), "")
        self._delimiter = max(DELIMITERS, key=header.count)
        self.column_names: tuple[str, ...] = tuple(next(csv.reader([header], delimiter=self._delimiter), []))

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        uneven: list[Any] = []

        def note_uneven(row: Any) -> Literal["error"]:
            uneven.append(row)
            return "error"

        with readable(self.path), open_bytes(self.path) as file:
            try:
                yield from pyarrow.csv.open_csv(
                    file,
                    read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=CSV_BLOCK_BYTES),
                    parse_options=pyarrow.csv.ParseOptions(
                        delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=note_uneven
                    ),
                    convert_options=pyarrow.csv.ConvertOptions(
                        include_columns=list(columns),
                        column_types=dict.fromkeys(columns, pa.string()),
                        null_values=[""],
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=False,
                    ),
                )
            except pa.ArrowInvalid as problem:
                if not uneven:
                    raise
                wrong = uneven[0]
                where = self.place(wrong.number - 2)  # Arrow counts the header, and from 1
                raise WorkloadError(
                    f"{where} has {wrong.actual_columns} fields where the header has {wrong.expected_columns}; is the file complete?"
                ) from problem

    def num_rows_above_zero(self, column: str) -> int | None:
        return None

    def place(self, row: int) -> str:
        """Reads the file up to the row, since only an error asks."""
        with open_text(self.path) as file:
            rows = csv.reader(file, delimiter=self._delimiter)
            filled = (rows.line_num for cells in rows if cells)
            line = next(islice(filled, row + 1, None), None)
        return f"{self.path}, row {row} (counting from 0)" if line is None else f"{self.path}, row {row} (counting from 0; line {line})"


class JsonLinesTable:
    """One JSON object per line. The columns are the keys of the first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.column_names: tuple[str, ...] = tuple(next(self._objects(), {}))

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        objects = self._objects()
        while some := list(islice(objects, JSON_ROWS)):
            yield pa.RecordBatch.from_arrays([json_array([o.get(name) for o in some]) for name in columns], names=list(columns))

    def _objects(self) -> Iterator[dict[str, Any]]:
        with readable(self.path), open_text(self.path) as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    parsed = json.loads(line)
                except json.JSONDecodeError as problem:
                    raise WorkloadError(f"{self.path}, line {number} is not JSON ({problem.msg}); is the file complete?") from problem
                if not isinstance(parsed, dict):
                    raise WorkloadError(f"{self.path}, line {number} is not a JSON object; a trace has one object per line")
                yield parsed

    def num_rows_above_zero(self, column: str) -> int | None:
        return None

    def place(self, row: int) -> str:
        with open_text(self.path) as file:
            filled = (number for number, line in enumerate(file, 1) if line.strip())
            return f"{self.path}, row {row} (counting from 0; line {next(islice(filled, row, None))})"


def json_array(values: Sequence[Any]) -> ArrowArray:
    """Values as an array of their common type, or as text where they have none or would only seem to (true is not 1)."""
    try:
        if not any(isinstance(value, bool) for value in values):
            return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeError):
        pass
    return pa.array([None if value is None else str(value).encode(errors="replace") for value in values]).cast(pa.string())
