"""When requests arrive, in seconds: from numbers in some unit, or from dates."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seatrial.workload.formats.layout import ArrowArray
from seatrial.workload.formats.values import Cells, is_number, numbers, plain

RULE = "an arrival must be a finite number or a date and time"
SAME_RULE = "it must be a date and time like those before it, with a time zone or without"


class Clock:
    """Turns arrival cells into seconds.

    Numbers are divided by `units_per_second` and otherwise kept. Dates count from the first one seen, which the clock remembers;
    their differences are taken in whole nanoseconds.
    """

    def __init__(self, units_per_second: float) -> None:
        self._units_per_second = units_per_second
        self._reads_dates: bool | None = None
        self._first_nanosecond: int | None = None

    @property
    def reads_dates(self) -> bool:
        return bool(self._reads_dates)

    def seconds(self, cells: Cells) -> NDArray[np.float64]:
        if self._reads_dates is None:
            self._reads_dates = holds_dates(cells.values)
        if not self._reads_dates:
            found = numbers(cells, RULE).values
            cells.refuse_first(~np.isfinite(found), RULE)
            return found if self._units_per_second == 1 else found / self._units_per_second
        nanoseconds = dates(cells)
        if self._first_nanosecond is None:
            self._first_nanosecond = int(nanoseconds[0])
        return (nanoseconds - self._first_nanosecond) / 1e9


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
