"""When requests arrive, in seconds: from numbers in some unit, or from dates."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seatrial.workload.formats.layout import ARRIVAL_UNITS, ArrowArray
from seatrial.workload.formats.values import Cells, is_number, numbers, plain

LARGE_START = 1e7  # seconds; a float that is larger has lost digits that a clock needs
LONGEST_SPAN = 1e8
UNIT_NAMES = {1.0: "seconds", 1e3: "milliseconds", 1e6: "microseconds", 1e9: "nanoseconds"}
RULE = "an arrival must be a finite number or a date and time"
TOO_FAR = f"that is more than {LONGEST_SPAN:g} seconds (three years) from the first request"
SAME_RULE = "it must be a date and time like those before it, with a time zone or without"


class Clock:
    """Turns arrival cells into seconds.

    Numbers are divided by `units_per_second` and otherwise kept, unless the first one seen is above `LARGE_START`: then they count from
    it. Dates always do; their differences are taken in whole nanoseconds. The clock remembers the first. Nothing may lie more than
    `LONGEST_SPAN` seconds from it.
    """

    def __init__(self, units_per_second: float) -> None:
        self._units_per_second = units_per_second
        self._reads_dates: bool | None = None
        self._first_nanosecond: int | None = None
        self._first_second: float | None = None

    @property
    def moved_start(self) -> float | None:
        """The seconds at which the first number stood that all are counted from; None where they are kept."""
        return None if self._first_second is None or self._first_second <= LARGE_START else self._first_second

    def seconds(self, cells: Cells) -> NDArray[np.float64]:
        if self._reads_dates is None:
            self._reads_dates = holds_dates(cells.values)
        return self._seconds_of_dates(cells) if self._reads_dates else self._seconds_of_numbers(cells)

    def _seconds_of_dates(self, cells: Cells) -> NDArray[np.float64]:
        nanoseconds = dates(cells)
        if self._first_nanosecond is None:
            self._first_nanosecond = int(nanoseconds[0])
        since: NDArray[np.float64] = (nanoseconds - self._first_nanosecond) / 1e9
        cells.refuse_first(np.abs(since) > LONGEST_SPAN, f"{TOO_FAR}; correct the date, or leave the row out")
        return since

    def _seconds_of_numbers(self, cells: Cells) -> NDArray[np.float64]:
        found = numbers(cells, RULE).values
        cells.refuse_first(~np.isfinite(found), RULE)
        cells.refuse_first(found < 0, "an arrival must not be negative")
        if self._units_per_second != 1:
            found = found / self._units_per_second
        if self._first_second is None:
            self._first_second = float(found[0])
        since = found - self._first_second
        cells.refuse_first(np.abs(since) > LONGEST_SPAN, self._other_unit(cells.column))
        return found if self.moved_start is None else since

    def _other_unit(self, column: str) -> str:
        read_as = UNIT_NAMES[self._units_per_second]
        first, second, third = (name for name, per_second in ARRIVAL_UNITS.items() if per_second != self._units_per_second)
        return f"{TOO_FAR}; it was read in {read_as}: for another unit give `--column {first}={column}`, or {second} or {third}"


def holds_dates(values: ArrowArray) -> bool:
    values = plain(values)
    if pa.types.is_temporal(values.type):
        return True
    if not pa.types.is_string(values.type):
        return False
    words = (word.as_py() for word in values)
    first = next((word.strip() for word in words if word is not None), "")
    return not is_number(first) and as_dates(pa.array([first])) is not None


def dates(cells: Cells) -> NDArray[np.int64]:
    """Nanoseconds since 1970; a date without a zone counts as UTC."""
    values = plain(cells.values)
    if values.null_count:
        cells.refuse_first(values.is_null().to_numpy(zero_copy_only=False), RULE)
    found = as_dates(values)
    if found is None:
        alone = (as_dates(values.slice(index, 1)) for index in range(len(values)))
        cells.refuse(next((index for index, date in enumerate(alone) if date is None), 0), SAME_RULE)
    nanoseconds: NDArray[np.int64] = found.cast(pa.int64()).to_numpy()
    return nanoseconds


def as_dates(values: ArrowArray) -> ArrowArray | None:
    for kind in (pa.timestamp("ns"), pa.timestamp("ns", "UTC")):
        try:
            return values.cast(kind)
        except pa.ArrowException:
            continue
    return None
