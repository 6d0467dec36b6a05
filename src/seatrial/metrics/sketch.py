"""Quantiles of a stream in constant memory, and of long runs of values at the price of a few bins."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

RELATIVE_ERROR = 1 / 1025
"""No quantile is further from the true one than this share of it, for values from 1e-9 to 1e9."""

# The bins are those of a log-linear histogram (as in HdrHistogram): every power of two is cut into 2**9 equal parts, so that no bin is
# wider than 1/512 of its lower edge. A bin's number is then the leading bits of the double: no logarithm, and the same on every machine.
_SHIFT = 52 - 9
_LOWEST, _HIGHEST = -30, 30  # powers of two: 9.3e-10 and 1.07e9
_NUM_BINS = ((_HIGHEST - _LOWEST) << 9) + 1  # bin 0 takes what is below 2**-30, which is shown as zero
_OFFSET = ((1023 + _LOWEST) << 9) - 1  # 1023 is the bias of a double's exponent
_EDGES = ((np.arange(_NUM_BINS + 1, dtype=np.int64) + _OFFSET) << _SHIFT).view(np.float64)  # bin b is from _EDGES[b] up to _EDGES[b + 1]
_EDGES[0] = 0.0
# 2ab / (a + b) is at the same relative distance from both edges
_SHOWN = 2 * _EDGES[:-1] * _EDGES[1:] / (_EDGES[:-1] + _EDGES[1:])

_WIDE_RUNS_AT_ONCE = 4096  # bounds the memory of splitting runs


class QuantileSketch:
    """Counts of values in bins so narrow that any quantile is right to `RELATIVE_ERROR`; count, sum, min and max are exact.

    Values below 1e-9 are shown as zero; above 1e9 only the maximum is right. Merging loses nothing.
    """

    __slots__ = ("count", "counts", "max", "min", "sum")

    def __init__(self) -> None:
        self.counts = np.zeros(_NUM_BINS, np.int64)
        self.count = 0
        self.sum = 0.0
        self.min = np.inf
        self.max = -np.inf

    @property
    def mean(self) -> float:
        """NaN if nothing was added."""
        return self.sum / self.count if self.count else np.nan

    def quantile(self, q: float) -> float:
        """What `numpy.quantile(values, q)` would say (linear between order statistics), to `RELATIVE_ERROR`. NaN if nothing was added."""
        (value,) = self.quantiles((q,))
        return value

    def quantiles(self, qs: Sequence[float]) -> tuple[float, ...]:
        """As `quantile`, for several at once."""
        if not self.count:
            return (np.nan,) * len(qs)
        position = np.asarray(qs, np.float64) * (self.count - 1)
        low = np.floor(position).astype(np.int64)
        below = self._ranked(low)
        above = self._ranked(np.minimum(low + 1, self.count - 1))
        return tuple((below + (above - below) * (position - low)).tolist())

    def add(self, values: ArrayLike) -> None:
        values = np.ascontiguousarray(values, np.float64)
        if not values.size:
            return
        self._note(values.size, float(values.sum()), float(values.min()), float(values.max()))
        self._count(_bins(values))

    def add_runs(self, first: ArrayLike, increment: ArrayLike, num_steps: ArrayLike, num_gaps: ArrayLike) -> None:
        """Add runs of values, one run per element: `num_gaps` times each of `first + i * increment` for `i < num_steps`.

        Costs time in proportion to the bins that a run touches (or to its steps, where those are fewer), whatever `num_gaps` is.
        """
        steps, gaps = np.asarray(num_steps, np.int64), np.asarray(num_gaps, np.int64)
        start, increment = np.asarray(first, np.float64), np.asarray(increment, np.float64)
        if not (some := (steps > 0) & (gaps > 0)).all():
            start, increment, steps, gaps = start[some], increment[some], steps[some], gaps[some]
        if not steps.size:
            return
        weight = steps * gaps
        stop = start + (steps - 1) * increment
        total = float((weight * (0.5 * (start + stop))).sum())
        # a falling run holds the same values as a rising one from its end
        low, high = np.minimum(start, stop), np.maximum(start, stop)
        self._note(int(weight.sum()), total, float(low.min()), float(high.max()))
        bottom, top = _bins(low), _bins(high)
        narrow = bottom == top
        if narrow.all():
            self._count(top, weight)
            return
        self._count(top[narrow], weight[narrow])
        wide = np.flatnonzero(~narrow)
        rise = np.abs(increment)
        short = steps[wide] <= top[wide] - bottom[wide]
        for part in _parts(wide[short]):
            self._expand(low[part], rise[part], steps[part], gaps[part])
        for part in _parts(wide[~short]):
            self._split(low[part], rise[part], steps[part], gaps[part], bottom[part], top[part])

    def merge(self, other: "QuantileSketch") -> None:
        """Take in all that `other` was given; afterwards it is as if it had been given here."""
        self._note(other.count, other.sum, other.min, other.max)
        self.counts += other.counts

    def _ranked(self, ranks: NDArray[np.int64]) -> NDArray[np.float64]:
        """The values at these places (from 0) of the sorted list; the first and the last are exact."""
        shown = _SHOWN[np.searchsorted(np.cumsum(self.counts), ranks, side="right")].clip(self.min, self.max)
        shown[ranks == 0] = self.min
        shown[ranks == self.count - 1] = self.max
        return shown

    def _note(self, count: int, total: float, low: float, high: float) -> None:
        self.count += count
        self.sum += total
        self.min = min(self.min, low)
        self.max = max(self.max, high)

    def _count(self, bins: NDArray[np.int64], weights: NDArray[np.int64] | None = None) -> None:
        """Add `weights` (or ones) to the counts. The doubles that `bincount` adds up are exact up to 2**53."""
        if not bins.size:
            return
        lowest = int(bins.min())
        found = np.bincount(bins - lowest, weights).astype(np.int64, copy=False)
        self.counts[lowest : lowest + found.size] += found

    def _expand(self, low: NDArray[np.float64], rise: NDArray[np.float64], steps: NDArray[np.int64], gaps: NDArray[np.int64]) -> None:
        """Count each step of runs that jump over bins."""
        run, step = _spread(steps)
        self._count(_bins(low[run] + step * rise[run]), gaps[run])

    def _split(
        self,
        low: NDArray[np.float64],
        rise: NDArray[np.float64],
        steps: NDArray[np.int64],
        gaps: NDArray[np.int64],
        bottom: NDArray[np.int64],
        top: NDArray[np.int64],
    ) -> None:
        """Count runs that climb through the bins `bottom` to `top`, edge by edge."""
        run, place = _spread(top - bottom)
        bins = bottom[run] + place
        edge, start, slope = _EDGES[bins + 1], low[run], rise[run]
        below = np.ceil((edge - start) / slope)  # steps under the bin's upper edge ...
        below -= start + (below - 1) * slope >= edge  # ... on the side where the step itself would round to
        below += start + below * slope < edge
        weight = below.clip(0, steps[run]).astype(np.int64) * gaps[run]
        # a bin's share is what lies under its upper edge less what lies under its lower one
        self._count(bins, weight)
        self._count(bins + 1, -weight)
        self._count(top, steps * gaps)


def _bins(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of each value; negative ones, of which rounding may make a few, fall in bin 0."""
    bins = values.view(np.int64) >> _SHIFT
    bins -= _OFFSET
    np.maximum(bins, 0, out=bins)
    np.minimum(bins, _NUM_BINS - 1, out=bins)
    return bins


def _spread(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For runs of these lengths laid end to end: which run each place belongs to, and the place within it."""
    run = np.repeat(np.arange(lengths.size), lengths)
    starts = np.cumsum(lengths) - lengths
    return run, np.arange(run.size) - starts[run]


def _parts(indices: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [indices[at : at + _WIDE_RUNS_AT_ONCE] for at in range(0, indices.size, _WIDE_RUNS_AT_ONCE)]
