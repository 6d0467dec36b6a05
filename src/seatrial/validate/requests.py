"""A point's traffic made into requests, phase by phase."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seatrial.core.request import Arrival, Arrivals, Prefixes, Workload
from seatrial.validate.requests_file import requests_table
from seatrial.validate.traffic import Burst, Lengths, Prompts, Recorded, Stages, Traffic, Users
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
    return replace(arrivals, arrival_time=arrivals.arrival_time + seconds)


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
        output = draw(traffic.output, seed, "output", first, count)
        if traffic.prompts is None:
            arrivals = Arrivals(rows, times, draw(traffic.input, seed, "input", first, count), output)
        else:
            prompt = prompt_lengths(traffic, seed)[rows % traffic.prompts.num_distinct]
            arrivals = Arrivals(rows, times, prompt, output, prefixes_of(traffic.prompts, rows, prompt))
        yield Phase(arrivals, np.full(count, number, np.int64), gap=traffic.drain_gap)
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
    order = np.argsort(table["arrival_s"].to_numpy(), kind="stable")
    arrivals = Arrivals(np.arange(count), table["arrival_s"].to_numpy()[order], np.maximum(prompt, 1)[order], np.maximum(output, 1)[order])
    if traffic.prompts is not None and "prompt_id" in table.column_names:
        which_prompt = integers(table, "prompt_id")[order]
        arrivals = replace(arrivals, prefixes=prefixes_of(traffic.prompts, which_prompt, arrivals.num_prompt_tokens))
    stage = integers(table, "stage") if "stage" in table.column_names else np.zeros(count, np.int64)
    return Phase(arrivals, stage[order])


def completed_lengths(prompt: Integers, prompt_id: Integers) -> Integers:
    """A request that failed left no length behind: it is the usual one of its prompt."""
    usual = {which: int(np.median(prompt[(prompt_id == which) & (prompt > 0)])) for which in np.unique(prompt_id[prompt > 0])}
    middle = int(np.median(list(usual.values())))
    return np.array([length or usual.get(which, middle) for length, which in zip(prompt.tolist(), prompt_id.tolist())], np.int64)


def integers(table: pa.Table, column: str) -> Integers:
    return np.asarray(table[column].to_numpy(), np.int64)


# What prompts have in common

BLOCK = 16  # tokens that one id of a prompt's beginning stands for
MOST_BLOCKS = 1 << 20  # of one prompt, so that ids are the same in every phase


def prefixes_of(prompts: Prompts, prompt_id: Integers, num_prompt_tokens: Integers) -> Prefixes:
    """How each of these prompts begins. A group's first blocks are alike, all others are the prompt's own.

    Groups take turns among the prompts: in which order the client once shuffled them is not known.
    """
    prompt_id = prompt_id % prompts.num_distinct
    num_blocks = num_prompt_tokens // BLOCK
    starts = np.concatenate(([0], np.cumsum(num_blocks)))
    place = np.arange(starts[-1]) - np.repeat(starts[:-1], num_blocks)
    which = np.repeat(prompt_id, num_blocks)
    is_shared = place < prompts.num_shared_tokens // BLOCK
    owner = np.where(is_shared, prompts.num_distinct + which % prompts.num_groups, which)
    return Prefixes(np.full(len(prompt_id), BLOCK, np.int64), starts, owner * MOST_BLOCKS + place)
