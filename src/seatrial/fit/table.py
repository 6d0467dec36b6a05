"""A file of measured operator times, read and split by accelerator and number format."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seatrial.catalog import load_accelerator
from seatrial.core.accelerator import Accelerator
from seatrial.core.errors import CatalogError, FitError, in_words
from seatrial.core.model import FORMATS, NumberFormat
from seatrial.cost.kernels import FloatArray
from seatrial.fit.cell import Cell
from seatrial.fit.sift import Points, copies, one_time_per_point

Note = Callable[[str, int], None]
"""Hears why times are left out, and how many."""

IMPOSSIBLE = "they are quicker than the hardware, or may have found their operands in a cache"

SECOND = "another library's time of the same point was taken, or a quicker one of the same library"
ALONE = "the library that timed most has no time of the point"

WIDE_MXFP4, NARROW_MXFP4 = "w4a16_mxfp4", "w4a8_mxfp4_mxfp8"
NUMBER_FORMATS = {
    "bfloat16": "bf16",
    "float16": "fp16",
    "fp8": "fp8",
    "fp8_block": "fp8_block",
    "nvfp4": "nvfp4",
    "int8_wo": "int8_weight",
    "int4_wo": "int4",
    "sq": "int8",
    WIDE_MXFP4: "mxfp4",
    NARROW_MXFP4: "mxfp4",
}
NUMBER_FORMATS |= {ours: ours for ours in NUMBER_FORMATS.values()}
"""What tables call our formats, which they may call as we do."""

BFLOAT16 = [name for name, ours in NUMBER_FORMATS.items() if ours == "bf16"]
SIXTEEN_BITS = [*(name for name, ours in NUMBER_FORMATS.items() if ours in ("bf16", "fp16")), "half"]

SUFFIXES = (".parquet", ".csv")
WORDS = ("gpu", "backend", "dtype", "distribution", "attn_dtype", "kv_cache_dtype", "mla_dtype", "op")
MAY_BE_MISSING = ("step", "nodes", "dispatch_us", "combine_us")  # or zero


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length. `seconds` is the time, which the file has in microseconds as `latency_us`."""

    file: Path
    columns: dict[str, NDArray[Any]]  # Any: texts and numbers

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def __len__(self) -> int:
        return len(self.columns["seconds"])

    def where(self, chosen: NDArray[np.bool_]) -> "Table":
        return Table(self.file, {name: column[chosen] for name, column in self.columns.items()})

    def with_column(self, name: str, column: NDArray[Any]) -> "Table":
        return Table(self.file, {**self.columns, name: column})

    def numbers(self, *names: str) -> FloatArray:
        """A row of these columns for each time."""
        return np.stack([self.columns[name].astype(np.float64) for name in names], axis=1)

    def points(self, *names: str, note: Note) -> Points:
        return chosen_points(self.numbers(*names), self.columns["backend"], self.columns["seconds"], note)


def read_table(file: Path, columns: Sequence[str], note: Note) -> Table:
    table = _content(file)
    if doubles := [name for name in table.column_names if table.column_names.count(name) > 1]:
        raise FitError(f"{file} has two columns {doubles[0]!r}; keep one of them")
    missing = [name for name in ("gpu", *columns, "latency_us") if name not in table.column_names]
    if missing:
        raise FitError(f"{file} has no column {missing[0]!r}; it needs gpu, {', '.join(columns)} and latency_us")
    if "backend" not in table.column_names:
        table = table.append_column("backend", pa.array([file.stem] * len(table)))
    words = {name: np.array(table[name].to_pylist(), np.str_) for name in ("gpu", "backend", *columns) if name in WORDS}
    numbers = {name: _numbers(table, name, file) for name in (*columns, "latency_us") if name not in WORDS}
    good = np.ones(len(table), bool)
    for name in numbers:
        if name not in MAY_BE_MISSING:
            good &= np.isfinite(numbers[name]) & (numbers[name] > 0)
    good = passing(note, {"a number is missing or not above 0": good})
    return Table(file, {**words, **numbers, "seconds": numbers["latency_us"] * 1e-6}).where(good)


def passing(note: Note, tests: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """What passes all tests. What does not is noted once, for the first that it fails."""
    kept = np.ones_like(next(iter(tests.values())))
    for why, passed in tests.items():
        if num_failed := int((kept & ~passed).sum()):
            note(why, num_failed)
        kept &= passed
    return kept


def chosen_points(keys: FloatArray, backend: NDArray[np.str_], seconds: FloatArray, note: Note) -> Points:
    """One time for each point; how many that leaves out is noted."""
    points = one_time_per_point(keys, backend, seconds)
    num_points = len(np.unique(keys, axis=0))
    for why, num_times in ((SECOND, len(seconds) - num_points), (ALONE, num_points - len(points.seconds))):
        if num_times:
            note(why, num_times)
    return points


def _content(file: Path) -> pa.Table:
    try:
        return pc.read_csv(file) if file.suffix == ".csv" else pq.read_table(file)
    except (OSError, ValueError) as problem:
        raise FitError(f"{file} cannot be read as {'CSV' if file.suffix == '.csv' else 'Parquet'}: {in_words(problem)}") from problem


def _numbers(table: pa.Table, name: str, file: Path) -> FloatArray:
    try:
        return np.array(table[name].to_pylist(), np.float64)  # what is missing becomes NaN
    except (TypeError, ValueError) as problem:
        raise FitError(f"{file}: {name} holds something that is no number; it must be one in every row") from problem


def by_accelerator(table: Table, note: Note) -> Iterator[tuple[Accelerator, Table]]:
    for gpu in sorted(set(table["gpu"].tolist())):
        rows = table.where(table["gpu"] == gpu)
        try:
            yield load_accelerator(gpu), rows
        except CatalogError:
            note(f"the catalogue has no accelerator {gpu!r}", len(rows))


def by_format(table: Table, column: str, note: Note) -> Iterator[tuple[NumberFormat, Table]]:
    """The plain format first, then the others. Where mxfp4 was multiplied with 8-bit activations too, those are the times of an engine."""
    if NARROW_MXFP4 in set(table[column].tolist()):
        table = table.where(passing(note, {"mxfp4 was multiplied with 8-bit activations too": table[column] != WIDE_MXFP4}))
    known = ", ".join(NUMBER_FORMATS)
    for strange in sorted(set(table[column].tolist()) - set(NUMBER_FORMATS)):
        table = table.where(passing(note, {f"{column} is {strange!r}; it may be {known}": table[column] != strange}))
    names = {name: NUMBER_FORMATS[name] for name in sorted(set(table[column].tolist()))}
    for ours in sorted(set(names.values()), key=lambda name: (name != "bf16", name)):
        yield FORMATS[ours], table.where(np.isin(table[column], [name for name in names if names[name] == ours]))


def copied_from(table: Table, keys: Sequence[str]) -> dict[tuple[str, str], str]:
    """Of two accelerators with the very same times of a backend, the backend and the accelerator whose name is longer: the other's name."""
    points = np.column_stack([np.unique(table[name], return_inverse=True)[1] for name in keys]).astype(np.float64)
    found: dict[tuple[str, str], str] = {}
    for backend in sorted(set(table["backend"].tolist())):
        mine = table["backend"] == backend
        gpus = sorted(set(table["gpu"][mine].tolist()), key=lambda gpu: (len(gpu), gpu))
        of = {gpu: (points[rows], table["seconds"][rows]) for gpu in gpus for rows in [mine & (table["gpu"] == gpu)]}
        for place, gpu in enumerate(gpus):
            for earlier in gpus[:place]:
                if (backend, gpu) not in found and copies(*of[gpu], *of[earlier]):
                    found[backend, gpu] = earlier
    return found


def without_copies(table: Table, keys: Sequence[str], note: Note) -> Table:
    """Of two accelerators with the very same times of a backend only the one with the shorter name keeps them."""
    kept = np.ones(len(table), bool)
    for (backend, gpu), earlier in copied_from(table, keys).items():
        copied = (table["backend"] == backend) & (table["gpu"] == gpu)
        kept &= passing(note, {f"the {backend} times of {gpu} are a copy of {earlier}'s": ~copied})
    return table.where(kept)


def with_siblings(cell: Cell, own: Table, copied: Mapping[tuple[str, str], str]) -> Cell:
    """Where copied times stay, since they only stand in for what other libraries do badly: it says whose they are."""
    names = {backend: load_accelerator(gpu).name for (backend, owner), gpu in copied.items() if owner in own["gpu"]}
    backends = tuple(f"{each} (a copy of {names[each]}'s)" if each in names else each for each in cell.backends)
    return replace(cell, backends=backends, siblings=frozenset(names[each] for each in cell.backends if each in names))
