"""Sums over a trace as it streams by, from which its description is worked out: memory in proportion to distinct values, not to rows."""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seatrial.workload.streams import Floats

GAP_EDGES = np.logspace(-6, 6, 97)  # seconds; eight bins per decade, and one below and above
Counts = NDArray[np.int64]


class GapTally:
    """Gaps between neighbours: moments, and how many in each bin of `GAP_EDGES`."""

    def __init__(self) -> None:
        self.num, self.num_zero, self.total, self.squares = 0, 0, 0.0, 0.0
        self.histogram: Counts = np.zeros(len(GAP_EDGES) + 1, np.int64)

    def add(self, gaps: Floats) -> None:
        self.num += len(gaps)
        self.num_zero += int(np.count_nonzero(gaps == 0))
        self.total += float(gaps.sum())
        self.squares += float(np.square(gaps).sum())
        self.histogram += np.bincount(np.searchsorted(GAP_EDGES, gaps, side="right"), minlength=len(self.histogram))

    @property
    def rate(self) -> float | None:
        """Per second; None if all came at once."""
        return self.num / self.total if self.total > 0 else None

    @property
    def cv(self) -> float | None:
        if self.total <= 0:
            return None
        mean = self.total / self.num
        return float(np.sqrt(max(0.0, self.squares / self.num - mean * mean)) / mean)


class WindowTally:
    """Arrivals per window of `window` seconds from `origin` on. Only whole windows count."""

    def __init__(self, window: float, origin: float) -> None:
        self.window = window
        self._origin = origin
        self._current, self._count = 0, 0
        self._total, self._squares, self._peak = 0, 0, 0

    def add(self, times: Floats) -> None:
        windows = np.floor((times - self._origin) / self.window).astype(np.int64)
        present, counts = np.unique(windows, return_counts=True)
        if present[0] == self._current:
            counts[0] += self._count
        else:
            self._close(np.array([self._count]))
        self._close(counts[:-1])
        self._current, self._count = int(present[-1]), int(counts[-1])

    def _close(self, counts: Counts) -> None:
        self._total += int(counts.sum())
        self._squares += int(np.square(counts).sum())
        self._peak = max(self._peak, int(counts.max(initial=0)))

    @property
    def num_windows(self) -> int:
        """Whole ones: the last that something fell into may be cut short."""
        return self._current

    @property
    def dispersion(self) -> float:
        """Variance over mean of the counts: 1 for Poisson at any window."""
        mean = self._total / self.num_windows
        return (self._squares / self.num_windows - mean * mean) / mean

    @property
    def peak_over_mean(self) -> float:
        return self._peak / (self._total / self.num_windows)


class WindowGaps:
    """Per window, the number of gaps that begin in it and the sums of them and of their squares.

    A trace of more than `most` windows (four years, at 30 s) has them joined in twos.
    """

    def __init__(self, window: float, origin: float, most: int = 4_194_304) -> None:
        self.window = window
        self._origin, self._most = origin, most
        self._columns = np.zeros((3, 64))
        self.num_windows = 0

    def add(self, times: Floats, gaps: Floats) -> None:
        """`gaps[i]` begins at `times[i]`."""
        if len(times) == 0:
            return
        while (times[-1] - self._origin) / self.window >= self._most:
            self.window *= 2
            halved = self._columns.reshape(3, -1, 2).sum(axis=2)
            self._columns = np.hstack([halved, np.zeros_like(halved)])
        windows = np.floor((times - self._origin) / self.window).astype(np.int64)
        self.num_windows = int(windows[-1])
        if self.num_windows >= self._columns.shape[1]:
            self._columns = np.hstack([self._columns, np.zeros((3, (self.num_windows + 2) // 2 * 2))])
        first = int(windows[0])
        for row, weights in enumerate((None, gaps, gaps * gaps)):
            sums = np.bincount(windows - first, weights)
            self._columns[row, first : first + len(sums)] += sums

    def by(self, factor: int) -> tuple[Floats, Floats, Floats]:
        """Numbers, sums and squares in whole windows `factor` times as long."""
        whole = self.num_windows // factor * factor
        numbers, sums, squares = self._columns[:, :whole].reshape(3, -1, factor).sum(axis=2)
        return numbers, sums, squares


class LengthTally:
    """How often each length occurs."""

    def __init__(self) -> None:
        self.values: Counts = np.zeros(0, np.int64)
        self.counts: Counts = np.zeros(0, np.int64)

    def add(self, lengths: Counts) -> None:
        values, counts = np.unique(lengths, return_counts=True)
        merged, place = np.unique(np.concatenate([self.values, values]), return_inverse=True)
        self.counts = np.bincount(place, np.concatenate([self.counts, counts])).astype(np.int64)
        self.values = merged

    @property
    def num(self) -> int:
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        return float(self.values @ self.counts) / self.num

    @property
    def cv(self) -> float:
        return float(np.sqrt(np.square(self.values - self.mean) @ self.counts / self.num)) / self.mean if self.mean else 0.0

    def quantile(self, share: float) -> int:
        """The least length that at least `share` of the requests do not exceed."""
        return int(self.values[np.searchsorted(np.cumsum(self.counts), share * self.num - 1e-9)])


class PairSample:
    """Every row's two lengths, or from a quarter of a million rows on every second, every fourth ..."""

    def __init__(self, limit: int = 262_144) -> None:
        self._limit = limit
        self._stride, self._num_seen = 1, 0
        self._pairs: NDArray[np.int64] = np.zeros((2, 0), np.int64)

    def add(self, first: Counts, second: Counts) -> None:
        start = -self._num_seen % self._stride
        self._pairs = np.hstack([self._pairs, np.array([first[start :: self._stride], second[start :: self._stride]])])
        self._num_seen += len(first)
        while self._pairs.shape[1] > self._limit:
            self._pairs, self._stride = self._pairs[:, ::2], self._stride * 2

    def rank_correlation(self) -> float | None:
        """Spearman's rho, ties by mean rank; None where one of the two never changes."""
        ranks = [_mean_ranks(values) for values in self._pairs]
        if len(ranks[0]) < 2 or any(np.ptp(r) == 0 for r in ranks):
            return None
        return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _mean_ranks(values: Counts) -> Floats:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_ranks: Floats = np.cumsum(counts) - (counts - 1) / 2
    return mean_ranks[place]


class SessionTally:
    """Turns per session; rows without a session are left alone."""

    def __init__(self) -> None:
        self.turns: Counter[str] = Counter()

    def add(self, ids: "pa.ChunkedArray[Any]") -> None:
        for pair in ids.drop_null().value_counts():
            self.turns[str(pair["values"])] += pair["counts"].as_py()


class Shared(NamedTuple):
    """How much of a prompt an endless prefix cache would hold already."""

    num_blocks: int
    num_tokens: int


class PrefixTally:
    """What a prefix cache without an end would have held. A request finds the longest run of its leading ids that came before."""

    def __init__(self) -> None:
        self.num_requests, self.num_blocks, self.num_tokens = 0, 0, 0
        self.shared = Shared(0, 0)
        self._seen: set[int] = set()

    def add(self, prefixes: "pa.ChunkedArray[Any]", block_tokens: "pa.ChunkedArray[Any]", prompts: Counts) -> None:
        if prefixes.null_count == len(prefixes):
            return
        shared_blocks, shared_tokens = self.shared
        for ids, size, prompt in zip(prefixes.to_pylist(), block_tokens.to_pylist(), prompts.tolist()):
            if ids is None:
                continue
            seen = self._seen
            hits = next((place for place, block in enumerate(ids) if block not in seen), len(ids))
            seen.update(ids[hits:])
            self.num_requests += 1
            self.num_blocks += len(ids)
            self.num_tokens += prompt
            shared_blocks += hits
            shared_tokens += min(hits * (size or 0), prompt)
        self.shared = Shared(shared_blocks, shared_tokens)
