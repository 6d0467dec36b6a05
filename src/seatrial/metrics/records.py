"""`requests.parquet`: a row of fact per request, written as they come."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seatrial.core.record import RequestRecords, Status
from seatrial.metrics.latency import latencies

_WORD = pa.dictionary(pa.int8(), pa.string())

_INT, _SECONDS = pa.int64(), pa.float64()
_FACTS: dict[str, pa.DataType] = {
    "row": _INT,
    "arrival_s": _SECONDS,
    "input_tokens": _INT,
    "output_tokens": _INT,
    "cached_tokens": _INT,
    "queue_s": _SECONDS,
    "first_token_s": _SECONDS,
    "finish_s": _SECONDS,
    "ttft_s": _SECONDS,
    "tpot_s": _SECONDS,
    "e2e_s": _SECONDS,
    "num_preemptions": _INT,
    "pool": _WORD,
    "replica": _INT,
    "status": _WORD,
}
SCHEMA = pa.schema(list(_FACTS.items()))

ROWS_PER_GROUP = 65_536

_FORMAT: dict[str, Any] = {  # Any: one of pyarrow's own signatures is narrower than what it takes
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": ["pool", "status"],  # times hardly ever repeat: looking for repetition would only cost time
    "store_schema": False,  # so that readers see plain strings
}

_STATUS_WORDS = pa.array([status.name.lower() for status in Status])


class RecordWriter:
    """Writes requests in the order given, in row groups of at least 65,536 rows (but for the last). Keeps the arrays, uncopied, until then.

    All goes to a temporary name beside `path` until `close` renames it, so that `path` is whole or not there.
    As a context manager it closes at the end, and after an exception leaves nothing behind.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        self._batches: list[pa.RecordBatch] = []
        self._num_rows = 0
        with self._or_nothing():
            self._file = pq.ParquetWriter(self._part, SCHEMA, **_FORMAT)

    def write(self, records: RequestRecords) -> None:
        self._batches.append(_batch(records))
        self._num_rows += len(records)
        if self._num_rows >= ROWS_PER_GROUP:
            self._write_group()

    def close(self) -> None:
        """Finish the file and give it its name."""
        with self._or_nothing():
            self._write_group()
            self._file.close()
            os.replace(self._part, self.path)

    def discard(self) -> None:
        """Leave nothing behind."""
        with suppress(OSError):  # it tries to write a footer, perhaps to a full disk
            self._file.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def _write_group(self) -> None:
        if self._num_rows:
            table = pa.Table.from_batches(self._batches, SCHEMA).unify_dictionaries().combine_chunks()
            self._file.write_table(table, row_group_size=self._num_rows)
        self._batches, self._num_rows = [], 0

    @contextmanager
    def _or_nothing(self) -> Iterator[None]:
        """Remove the temporary file if what follows fails."""
        try:
            yield
        except BaseException:
            self._part.unlink(missing_ok=True)
            raise


def _batch(records: RequestRecords) -> pa.RecordBatch:
    found = latencies(records)
    columns: list[pa.Array[Any]] = [
        pa.array(records.row),
        pa.array(records.arrival_time),
        pa.array(records.num_prompt_tokens),
        pa.array(records.num_output_tokens),
        pa.array(records.num_cached_tokens),
        _known(found.queue),
        _known(records.first_token_time),
        _known(records.finish_time),
        _known(found.ttft),
        _known(found.tpot),
        _known(found.e2e),
        pa.array(records.num_preemptions),
        pa.DictionaryArray.from_arrays(np.zeros(len(records), np.int8), pa.array([records.pool])),
        pa.array(np.full(len(records), records.replica, np.int64)),
        pa.DictionaryArray.from_arrays(records.status, _STATUS_WORDS),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _known(moments: NDArray[np.float64]) -> pa.DoubleArray:
    """NaN, a moment that never came, becomes null."""
    return pa.array(moments, pa.float64(), from_pandas=True)
