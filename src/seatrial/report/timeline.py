"""How a run went over time, in a fixed number of bins: for a chart, not for a figure."""

import numpy as np

from seatrial.core.record import RequestRecords
from seatrial.metrics.latency import latencies

MOST_BINS = 120
FINEST = 2.0**-6  # seconds per bin at first


class Timeline:
    """Alive: the mean TTFT of those who arrived in each bin. Whenever a request arrives beyond the last bin, bins are joined in pairs."""

    def __init__(self) -> None:
        self.width = FINEST
        self.start: float | None = None
        self.num_arrivals = 0
        self.first_arrival = np.inf
        self.last_arrival = -np.inf
        self._sums = np.zeros(MOST_BINS)
        self._counts = np.zeros(MOST_BINS)

    def add(self, records: RequestRecords) -> None:
        if not len(records):
            return
        times, ttft = records.arrival_time, latencies(records).ttft
        self.num_arrivals += len(times)
        self.first_arrival = min(self.first_arrival, float(times.min()))
        self.last_arrival = max(self.last_arrival, float(times.max()))
        if self.start is None:
            self.start = self.first_arrival
        while self.last_arrival - self.start >= MOST_BINS * self.width:
            self._join_pairs()
        known = ~np.isnan(ttft)
        bins = ((times[known] - self.start) / self.width).astype(np.int64).clip(0, MOST_BINS - 1)
        self._sums += np.bincount(bins, ttft[known], MOST_BINS)
        self._counts += np.bincount(bins, minlength=MOST_BINS)

    @property
    def arrival_rate(self) -> float | None:
        """Requests per second, rejected ones too; None where they all came at once."""
        span = self.last_arrival - self.first_arrival
        return (self.num_arrivals - 1) / span if span > 0 else None

    def mean_ttft(self, most: int) -> list[float | None]:
        """From the first arrival to the last, at most `most` values; None where nobody was served who came then."""
        bins_per_value = 1
        while MOST_BINS / bins_per_value > most:
            bins_per_value += 1
        used = int(np.flatnonzero(self._counts).max(initial=-1)) + 1
        values: list[float | None] = []
        for start in range(0, used, bins_per_value):
            part = slice(start, start + bins_per_value)
            count = self._counts[part].sum()
            values.append(float(self._sums[part].sum() / count) if count else None)
        return values

    def _join_pairs(self) -> None:
        for bins in (self._sums, self._counts):
            bins[: MOST_BINS // 2] = bins[::2] + bins[1::2]
            bins[MOST_BINS // 2 :] = 0
        self.width *= 2
