"""Cells of a file as checked values; a fault is named by file, row and column."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seatrial.core.errors import WorkloadError
from seatrial.workload.formats.layout import ArrowArray

MOST_TOKENS = 2**31 - 1  # what the schema's int32 holds
WORDS_FOR_MISSING = ("", "na", "n/a", "null", "none")


class Numbers(NamedTuple):
    """What a column says. A missing value is NaN, but a NaN need not be a missing value."""

    values: NDArray[np.float64]
    missing: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cells:
    """Some cells of one column, the rows that they stand in, and how to name a row's place."""

    column: str
    values: ArrowArray  # of whatever type the file has
    row: NDArray[np.int64]
    place: Callable[[int], str]

    def refuse(self, index: int, rule: str) -> NoReturn:
        cell = plain(self.values.slice(index, 1))[0]
        shown = "missing" if not cell.is_valid else repr(str(cell)) if pa.types.is_string(cell.type) else str(cell)
        raise WorkloadError(f"{self.place(int(self.row[index]))}: {self.column} is {shown}; {rule}")

    def refuse_first(self, bad: NDArray[np.bool_], rule: str) -> None:
        if bad.any():
            self.refuse(int(bad.argmax()), rule)


def numbers(cells: Cells, rule: str = "it must be a number") -> Numbers:
    values = plain(cells.values)
    kind = values.type
    if pa.types.is_string(kind):
        values = parsed(cells, values, rule)
    elif pa.types.is_decimal(kind):
        values = values.cast(pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        if len(values):
            cells.refuse(0, rule)
        values = pa.array([], pa.float64())
    missing = np.zeros(len(values), bool) if values.null_count == 0 else values.is_null().to_numpy(zero_copy_only=False)
    return Numbers(values.to_numpy(zero_copy_only=False).astype(np.float64), missing)


def parsed(cells: Cells, words: ArrowArray, rule: str) -> ArrowArray:
    """Numbers out of text; words for missing become nulls."""
    try:
        return words.cast(pa.float64())
    except pa.ArrowInvalid:
        tidied = [None if word is None or word.strip().lower() in WORDS_FOR_MISSING else word.strip() for word in words.to_pylist()]
    try:
        return pa.array(tidied, pa.string()).cast(pa.float64())
    except pa.ArrowInvalid:
        cells.refuse(next(i for i, word in enumerate(tidied) if not is_number(word)), rule)


def is_number(word: str | None) -> bool:
    try:
        pa.scalar(word, pa.string()).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def whole_numbers(cells: Cells, *, lowest: int, most: int = MOST_TOKENS, may_lack: bool = True) -> Numbers:
    rule = f"it must be a whole number from {lowest} to {most}"
    found = numbers(cells, rule)
    good = (found.values >= lowest) & (found.values <= most) & (found.values == np.floor(found.values))
    cells.refuse_first(~good & ~found.missing if may_lack else ~good, rule)
    return found


def texts(cells: Cells) -> ArrowArray:
    try:
        return plain(cells.values).cast(pa.string())
    except pa.ArrowException:
        cells.refuse(0, "it must be text")


def id_lists(cells: Cells) -> ArrowArray:
    """Lists of whole numbers; in a CSV, text with spaces or semicolons between them. A list without ids is null."""
    rule = "it must be a list of whole numbers (in a CSV: with spaces or semicolons between them)"
    values = plain(cells.values)
    if pa.types.is_string(values.type):
        values = pa.array([split_ids(text) for text in values.to_pylist()], pa.list_(pa.string()))
    try:
        lists = values.cast(pa.list_(pa.int64()))
    except pa.ArrowException:
        for index, ids in enumerate(values):
            if not is_id_list(ids):
                cells.refuse(index, rule)
        raise
    if lists.flatten().null_count:
        cells.refuse(next(i for i, ids in enumerate(lists.to_pylist()) if ids is not None and None in ids), rule)
    has_ids = lists.value_lengths().to_numpy(zero_copy_only=False) > 0
    return lists if has_ids.all() else pa.array([ids or None for ids in lists.to_pylist()], pa.list_(pa.int64()))


def split_ids(text: str | None) -> list[str] | None:
    if text is None:
        return None
    return text.strip("[] \t").replace(";", " ").replace(",", " ").split()


def is_id_list(ids: Any) -> bool:
    try:
        ids.cast(pa.list_(pa.int64()))
    except pa.ArrowException:
        return False
    return True


def plain(values: ArrowArray) -> ArrowArray:
    """The same values without the ways of storage that change nothing."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values.cast(pa.string()) if pa.types.is_large_string(values.type) else values
