"""A point's traffic made into requests, phase by phase."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seatrial.core.errors import PointsError
from seatrial.core.request import Arrival, Arrivals, Workload
from seatrial.validate.traffic import Burst, Lengths, Recorded, Stages, Traffic, Users
from seatrial.workload.closed_loop import closed_loop
from seatrial.workload.streams import uniforms

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Phase:
    """Requests that come together; the client waits for all answers and `gap` seconds more before the next phase, whose clock starts then.

    `stage` is the number of each request's stage, by row.
    """

    arrivals: Arrivals
    stage: Integers
    concurrency: int | None = None
    gap: float = 0.0

    def workload(self, start: float) -> Workload:
        if self.concurrency is not None:
            return closed_loop(Listed(self.arrivals), self.concurrency)
        return Listed(moved(self.arrivals, start))


class Listed:
    """A workload that is all there."""

    has_follow_ups = False

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    @property
    def num_requests(self) -> int:
        return len(self._arrivals)

    def chunks(self) -> Iterator[Arrivals]:
        yield self._arrivals

    def follow_ups(self, row: int, finish_time: float) -> Sequence[Arrival]:
        return ()


def moved(arrivals: Arrivals, seconds: float) -> Arrivals:
    return Arrivals(arrivals.row, arrivals.arrival_time + seconds, arrivals.num_prompt_tokens, arrivals.num_output_tokens)


def phases_of(traffic: Traffic, seed: int) -> list[Phase]:
    """All requests of a point. The same traffic and seed give the same requests."""
    match traffic:
        case Stages():
            return list(stage_phases(traffic, seed))
        case Users(concurrency=users, num_requests=count):
            return [Phase(drawn(traffic, count, seed), np.zeros(count, np.int64), users)]
        case Burst(num_requests=count):
            return [Phase(drawn(traffic, count, seed), np.zeros(count, np.int64))]
        case Recorded():
            return [recorded_phase(traffic)]


def drawn(traffic: Users | Burst, count: int, seed: int) -> Arrivals:
    prompt, output = draw(traffic.input, seed, "input", 0, count), draw(traffic.output, seed, "output", 0, count)
    return Arrivals(np.arange(count), np.zeros(count), prompt, output)


def draw(lengths: Lengths, seed: int, purpose: str, start: int, count: int) -> Integers:
    span = lengths.high - lengths.low + 1
    return lengths.low + np.floor(uniforms(seed, purpose, start, count) * span).astype(np.int64)


# Stages


def stage_phases(traffic: Stages, seed: int) -> Iterator[Phase]:
    first = 0
    for number, (rate, duration) in enumerate(zip(traffic.rates, traffic.durations)):
        count = round(rate * duration)
        rows = np.arange(first, first + count)
        times = rescaled_times(seed, first, count, duration)
        prompt = prompt_lengths(traffic, seed)[rows % traffic.prompts.num_distinct] if traffic.prompts else None
        if prompt is None:
            prompt = draw(traffic.input, seed, "input", first, count)
        output = draw(traffic.output, seed, "output", first, count)
        yield Phase(Arrivals(rows, times, prompt, output), np.full(count, number, np.int64), gap=traffic.drain_gap)
        first += count


def rescaled_times(seed: int, first: int, count: int, duration: float) -> NDArray[np.float64]:
    """Exponential gaps that add up to the duration; the first request comes at once."""
    gaps = -np.log(uniforms(seed, "gaps", first, count))
    times: NDArray[np.float64] = np.cumsum(gaps) * (duration / gaps.sum())
    times -= times[0]
    return times


def prompt_lengths(traffic: Stages, seed: int) -> Integers:
    """Of each distinct prompt."""
    assert traffic.prompts is not None
    return draw(traffic.input, seed, "input", 0, traffic.prompts.num_distinct)


# Recorded requests


def recorded_phase(traffic: Recorded) -> Phase:
    table = requests_table(traffic.file)
    which, of = traffic.share
    table = table.take(pa.array(np.arange(which, len(table), of)))
    count = len(table)
    prompt, output = integers(table, "input_tokens"), integers(table, "output_tokens")
    if traffic.output_scale != 1.0:
        output = np.maximum(1, np.round(output * traffic.output_scale)).astype(np.int64)
    if "prompt_id" in table.column_names:
        prompt = completed_lengths(prompt, integers(table, "prompt_id"))
    times = table["arrival_s"].to_numpy()
    order = np.argsort(times, kind="stable")
    stage = integers(table, "stage") if "stage" in table.column_names else np.zeros(count, np.int64)
    return Phase(Arrivals(np.arange(count), times[order], np.maximum(prompt, 1)[order], np.maximum(output, 1)[order]), stage[order])


def completed_lengths(prompt: Integers, prompt_id: Integers) -> Integers:
    """A request that failed left no length behind: it is the usual one of its prompt."""
    usual = {which: int(np.median(prompt[(prompt_id == which) & (prompt > 0)])) for which in np.unique(prompt_id[prompt > 0])}
    middle = int(np.median(list(usual.values())))
    return np.array([length or usual.get(which, middle) for length, which in zip(prompt.tolist(), prompt_id.tolist())], np.int64)


@cache
def requests_table(file: str) -> pa.Table:
    """A file of requests, checked for the columns that are needed."""
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as problem:
        raise PointsError(f"the requests file {Path(file).name} cannot be read ({str(problem).splitlines()[0]})") from None
    for name in ("arrival_s", "input_tokens", "output_tokens"):
        if name not in table.column_names:
            raise PointsError(f"the requests file {Path(file).name} has no column {name!r}")
    return table


def integers(table: pa.Table, column: str) -> Integers:
    return np.asarray(table[column].to_numpy(), np.int64)
