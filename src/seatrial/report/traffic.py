"""What the charts of a trace show: its rate over time, and how often each length occurs."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

MOST_BINS = 64
EIGHTHS = " ▏▎▍▌▋▊▉█"


class Tables(Protocol):
    """A trace: its rows in order of arrival, as tables in our schema, and what reading them left out."""

    def tables(self) -> Iterator[pa.Table]: ...
    def notes(self) -> list[str]: ...


class RateOverTime(NamedTuple):
    """Requests per second, by bins of `width` seconds."""

    width: float
    rates: list[float]


class LengthShares(NamedTuple):
    """The share of requests whose input, and whose output, has `low` to `high` tokens."""

    low: int
    high: int
    input: float
    output: float


class Traffic:
    """A trace that is counted while somebody else reads it. Memory does not grow with it."""

    def __init__(self, trace: Tables) -> None:
        self._trace = trace
        self._start: float | None = None
        self._width = 1e-6
        self._counts: NDArray[np.int64] = np.zeros(MOST_BINS, np.int64)
        self._lengths: NDArray[np.int64] = np.zeros((2, 64), np.int64)  # by powers of two

    def tables(self) -> Iterator[pa.Table]:
        for table in self._trace.tables():
            self._count(table)
            yield table

    def notes(self) -> list[str]:
        return self._trace.notes()

    def rate_over_time(self) -> RateOverTime:
        """At most 64 bins. The last one, which the end may cut short, is left out where there are many."""
        last = int(np.flatnonzero(self._counts).max(initial=0))
        shown = self._counts[: last if last >= 8 else last + 1]
        return RateOverTime(self._width, (shown / self._width).tolist())

    def length_shares(self) -> list[LengthShares]:
        """By powers of two, from the shortest to the longest that occurs."""
        seen = np.flatnonzero(self._lengths.any(axis=0))
        if not len(seen):
            return []
        shares = self._lengths / self._lengths.sum(axis=1, keepdims=True)
        powers = range(int(seen[0]), int(seen[-1]) + 1)
        return [LengthShares(2**k, 2 ** (k + 1) - 1, float(shares[0, k]), float(shares[1, k])) for k in powers]

    def _count(self, table: pa.Table) -> None:
        if not len(table):
            return
        for row, name in enumerate(("input_tokens", "output_tokens")):
            powers = np.frexp(table[name].to_numpy())[1] - 1
            self._lengths[row] += np.bincount(powers, minlength=64)
        times = table["arrival_s"].to_numpy()
        if self._start is None:
            self._start = float(times[0])
        since = times - self._start
        while since[-1] >= MOST_BINS * self._width:
            self._width *= 2
            self._counts = np.concatenate([self._counts.reshape(-1, 2).sum(axis=1), np.zeros(MOST_BINS // 2, np.int64)])
        self._counts += np.bincount((since / self._width).astype(np.int64), minlength=MOST_BINS)


def bar(share: float, width: int, *, ascii_only: bool = False) -> str:
    """`share` times `width` characters, to the nearest eighth of one; what is above zero shows."""
    if ascii_only:
        return "#" * max(round(width * min(share, 1.0)), 1 if share > 0 else 0)
    eighths = max(round(8 * width * min(share, 1.0)), 1 if share > 0 else 0)
    return EIGHTHS[8] * (eighths // 8) + EIGHTHS[eighths % 8].strip()
