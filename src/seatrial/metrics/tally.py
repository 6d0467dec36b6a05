"""What a run amounts to, summed up while it runs, in memory that does not grow with the number of requests."""

import numpy as np

from seatrial.core.record import GapRuns, RequestRecords, Status
from seatrial.core.slo import METRICS, SLO
from seatrial.metrics.latency import Latencies, latencies
from seatrial.metrics.sketch import QuantileSketch
from seatrial.metrics.window import Waiting, Window, where

# what a request's own value is for a target on this metric: its mean gap is its TPOT
_OWN = {"ttft": "ttft", "tpot": "tpot", "itl": "tpot", "e2e": "e2e", "queue": "queue"}


class Tally:
    """Sketches and counts over the requests and gaps of a run. Grows with `add` and `add_gaps`, in any order, until `close`.

    With `warmup` or `cooldown` only those requests count that arrive from `warmup` seconds after the first arrival to `cooldown` seconds
    before the last, and of the gaps the runs that start in that window, each whole. What may yet fall outside is held back: as much memory
    as the trimmed requests and runs need. One that is `part_of` another, which is told first, is trimmed where that is.
    """

    def __init__(self, slo: SLO | None = None, warmup: float = 0.0, cooldown: float = 0.0, *, part_of: "Tally | None" = None) -> None:
        self.slo = slo
        self.window: Window = Window(warmup, cooldown) if part_of is None else part_of.window
        self.num_by_status = np.zeros(len(Status), np.int64)
        self.num_prompt_tokens = 0
        self.num_output_tokens = 0
        self.num_cached_tokens = 0
        self.num_attained = 0
        self.sketches = {name: QuantileSketch() for name in (*METRICS, "normalized")}
        self.num_seen = 0  # this and the next are of the whole run, trimmed or not
        self.last_finish = -np.inf
        self._limits = _strictest(slo)
        self._requests = Waiting[RequestRecords](self.window)
        self._gaps = Waiting[GapRuns](self.window)
        self._closed = False

    @property
    def num_requests(self) -> int:
        return int(self.num_by_status.sum())

    @property
    def span(self) -> float:
        """Seconds of the whole run: from the first arrival to the last finish, or to the last arrival if nothing ever finished."""
        return max(0.0, self._last_moment - self.window.first_arrival)

    @property
    def duration(self) -> float:
        """Seconds that the counted requests are spread over: the span less what is trimmed at either end."""
        return max(0.0, min(self.window.end, self._last_moment) - max(self.window.start, self.window.first_arrival))

    @property
    def _last_moment(self) -> float:
        return self.last_finish if np.isfinite(self.last_finish) else self.window.last_arrival

    def add(self, records: RequestRecords) -> None:
        assert not self._closed, "a closed tally has decided what was trimmed"
        if not len(records):
            return
        self.num_seen += len(records)
        self.window.see(records.arrival_time)
        self.last_finish = float(np.fmax.reduce(records.finish_time, initial=self.last_finish))
        if not self.window.trims:
            self._count(records)
            return
        for counted in self._requests.sift(records):
            self._count(counted)

    def add_gaps(self, runs: GapRuns) -> None:
        assert not self._closed, "a closed tally has decided what was trimmed"
        if not self.window.trims:
            self._count_gaps(runs)
            return
        for counted in self._gaps.sift(runs):
            self._count_gaps(counted)

    def close(self) -> None:
        """All has been added: drop what was trimmed. Closing twice changes nothing."""
        if self._closed:
            return
        self._closed = True
        for records in self._requests.settle():
            self._count(records)
        for runs in self._gaps.settle():
            self._count_gaps(runs)
        self._requests, self._gaps = Waiting[RequestRecords](self.window), Waiting[GapRuns](self.window)

    def _count(self, records: RequestRecords) -> None:
        self.num_by_status += np.bincount(records.status, minlength=len(Status))
        completed = records.status == Status.COMPLETED
        if not completed.all():
            records = where(records, completed)
        self.num_prompt_tokens += int(records.num_prompt_tokens.sum())
        self.num_output_tokens += int(records.num_output_tokens.sum())
        self.num_cached_tokens += int(records.num_cached_tokens.sum())
        found = latencies(records)
        self.num_attained += self._num_within_limits(found)
        for name, values in found._asdict().items():
            missing = np.isnan(values)
            self.sketches[name].add(values[~missing] if missing.any() else values)

    def _count_gaps(self, runs: GapRuns) -> None:
        self.sketches["itl"].add_runs(runs.first, runs.increment, runs.num_steps, runs.num_gaps)

    def _num_within_limits(self, found: Latencies) -> int:
        """Of these completed requests, those whose own values hold every limit; a value that a request does not have holds."""
        missed = np.zeros(len(found.e2e), np.bool_)
        for metric, limit in self._limits.items():
            missed |= getattr(found, metric) > limit
        return len(missed) - int(missed.sum())


def _strictest(slo: SLO | None) -> dict[str, float]:
    """The lowest limit of each latency that the targets name."""
    limits: dict[str, float] = {}
    for target in slo.targets if slo else ():
        own = _OWN[target.metric]
        limits[own] = min(target.seconds, limits.get(own, np.inf))
    return limits
