"""One run of a point's system under its traffic, and what a client would have seen of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from seatrial.core.batch import RequestOverhead
from seatrial.core.record import EngineTotals, GapRuns, RequestRecords, Status
from seatrial.metrics.sketch import QuantileSketch
from seatrial.sim.recorder import Recorder
from seatrial.sim.simulate import simulate
from seatrial.trial.setup import ReplicaCost, ReplicaSetup, knows_timeouts
from seatrial.validate.requests import Integers, Phase
from seatrial.validate.unsimulated import Unsimulated

Floats = NDArray[np.float64]
Keep = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Window:
    """Which of a run's requests a point is about, and how its client counted.

    `stage` is `summary` for all, a stage's number, or one of `SLICES`. `engine_clock` leaves out what lies before and after the engine;
    `client_timeout` is when the client gives up; with `tpot_of_whole_answer` tpot is e2e over the output tokens.
    """

    stage: str = "summary"
    engine_clock: bool = False
    client_timeout: float | None = None
    tpot_of_whole_answer: bool = False


SLICES = {"cold100": slice(0, 100), "first300": slice(0, 300), "warm": slice(300, None)}
"""Stages that are places in the order of arrival: the first hundred meet a cold prefix cache, from the 301st on it is warm."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A run's requests in the order of their rows, all arrays alike long, its gaps between tokens and what its engine did."""

    stage: Integers
    arrival_time: Floats
    first_token_time: Floats
    finish_time: Floats
    num_output_tokens: Integers
    completed: Keep
    given_up: Keep
    overhead: RequestOverhead
    gaps: Sequence[GapRuns] = field(repr=False)
    totals: EngineTotals = field(repr=False)


def observe(
    setup: ReplicaSetup, phases: Sequence[Phase], cost: ReplicaCost | None = None, client_timeout: float | None = None
) -> Observation:
    """Run the phases one after the other on one replica. Another `cost` takes the place of the setup's own.

    Where the engine can't drop requests, those that a client gave up run on; `Reading` leaves them out all the same.
    """
    timeout = client_timeout if knows_timeouts(setup) else None
    if cost is not None:
        setup = replace(setup, cost=cost)
    replica = setup.make()
    records: list[RequestRecords] = []
    gaps: list[GapRuns] = []
    totals = EngineTotals()
    start = 0.0
    for phase in phases:
        simulate(phase.workload(start), replica, Recorder(records.append, gaps.append, totals=totals), timeout=timeout)
        start = max([start, *(last_moment(some, timeout) for some in records)]) + phase.gap
    rows = np.concatenate([some.row for some in records])
    order = np.argsort(rows, kind="stable")
    status = np.concatenate([some.status for some in records])[order]
    if not (status == Status.COMPLETED).any():
        raise Unsimulated("no request fits: prompt and answer are longer than max_model_len or the KV cache")
    return Observation(
        stage=np.concatenate([phase.stage for phase in phases]),
        arrival_time=np.concatenate([some.arrival_time for some in records])[order],
        first_token_time=np.concatenate([some.first_token_time for some in records])[order],
        finish_time=np.concatenate([some.finish_time for some in records])[order],
        num_output_tokens=np.concatenate([some.num_output_tokens for some in records])[order],
        completed=status == Status.COMPLETED,
        given_up=status == Status.FAILED,
        overhead=setup.cost.request_overhead,
        gaps=gaps,
        totals=totals,
    )


def last_moment(records: RequestRecords, timeout: float | None) -> float:
    """When the last client has its answer or has given up; before all time where none did either."""
    given_up = records.arrival_time[records.status == Status.FAILED] + (timeout or 0.0)
    return float(max(np.fmax.reduce(records.finish_time, initial=-np.inf), given_up.max(initial=-np.inf)))


class Reading(Mapping[str, float]):
    """The figures of a window, by their names in `METRICS`; each is worked out when it is asked for. NaN where there is none."""

    def __init__(self, seen: Observation, window: Window) -> None:
        chosen = window_of(seen, window.stage)
        if not chosen.any():
            raise Unsimulated(f"the run has no requests in stage {window.stage!r}")
        e2e = seen.finish_time - seen.arrival_time
        answered = chosen & seen.completed
        if window.client_timeout is not None:
            answered &= e2e <= window.client_timeout
        before, after = seen.overhead if window.engine_clock else (0.0, 0.0)
        self._seen, self._chosen = seen, chosen
        self.num_completed = int(answered.sum())
        self._output = seen.num_output_tokens[answered]
        self._ttft = (seen.first_token_time - seen.arrival_time)[answered] - before - after
        self._e2e = e2e[answered] - before - after
        if window.tpot_of_whole_answer:
            self._tpot = self._e2e / np.maximum(self._output, 1)
        else:
            several = self._output > 1
            self._tpot = (self._e2e - self._ttft)[several] / (self._output[several] - 1)
        given_up = np.inf if window.client_timeout is None else seen.arrival_time + window.client_timeout
        last = np.fmin(seen.finish_time, given_up)[chosen & (seen.completed | seen.given_up)].max(initial=-np.inf)
        self.duration = float(last - seen.arrival_time[chosen].min())

    def __getitem__(self, name: str) -> float:
        return self._figures()[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._figures())

    def __len__(self) -> int:
        return len(self._figures())

    def _figures(self) -> dict[str, Callable[[], float]]:
        return {
            "ttft_mean": lambda: mean(self._ttft),
            "ttft_p50": lambda: quantile(self._ttft, 0.5),
            "ttft_p90": lambda: quantile(self._ttft, 0.9),
            "ttft_p99": lambda: quantile(self._ttft, 0.99),
            "tpot_mean": lambda: mean(self._tpot),
            "tpot_p90": lambda: quantile(self._tpot, 0.9),
            "itl_p50": self._itl_p50,
            "e2e_mean": lambda: mean(self._e2e),
            "e2e_p90": lambda: quantile(self._e2e, 0.9),
            "e2e_p99": lambda: quantile(self._e2e, 0.99),
            "requests_per_s": lambda: rate(self.num_completed, self.duration),
            "output_tokens_per_s": lambda: rate(int(self._output.sum()), self.duration),
        }

    def _itl_p50(self) -> float:
        """Of the gaps that begin while the window's requests are under way: a gap is not written down request by request."""
        start, end = self._seen.arrival_time[self._chosen].min(), np.nanmax(self._seen.finish_time[self._chosen])
        sketch = QuantileSketch()
        for runs in self._seen.gaps:
            keep = (runs.time >= start) & (runs.time < end)
            sketch.add_runs(runs.first[keep], runs.increment[keep], runs.num_steps[keep], runs.num_gaps[keep])
        return sketch.quantile(0.5) if sketch.count else float("nan")


def window_of(seen: Observation, stage: str) -> Keep:
    """Which requests a stage's name means."""
    chosen = np.zeros(len(seen.stage), np.bool_)
    if stage in ("", "summary"):
        chosen[:] = True
    elif stage in SLICES:
        chosen[SLICES[stage]] = True
    elif stage.isdecimal():
        chosen = seen.stage == int(stage)
    else:
        raise Unsimulated(f"no stage is called {stage!r}; it may be summary, a number, or {', '.join(SLICES)}")
    return chosen


def mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def quantile(values: Floats, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else float("nan")


def rate(count: int, duration: float) -> float:
    return count / duration if duration > 0 else float("nan")
