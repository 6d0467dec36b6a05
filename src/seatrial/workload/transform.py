"""Workloads made of other workloads: faster, at a given rate, repeated, cut short. All stream."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite

import numpy as np
from numpy.typing import NDArray

from seatrial.core.errors import WorkloadError
from seatrial.core.request import Arrival, Arrivals, Workload

LAST_TIME = 1e9  # seconds; beyond, the clock, a float, no longer tells a microsecond


def limited(workload: Workload, num_requests: int) -> Workload:
    """The first `num_requests` requests."""
    return Limited(open_loop(workload, "cut short"), at_least_one(num_requests))


def speedup(workload: Workload, factor: float) -> Workload:
    """All arrival times, and the times to think between turns, divided by `factor`."""
    return SpedUp(workload, above_zero("a speedup", factor))


def at_rate(workload: Workload, rate: float) -> Workload:
    """Arrival times scaled so that the mean rate, `(n - 1) / (last - first)`, is `rate` requests per second.

    A first pass measures the rate that the workload has. Requests that all arrive at one moment are spread evenly.
    """
    return AtRate(open_loop(workload, "scaled to a rate"), above_zero("a rate", rate))


def repeated(workload: Workload, num_requests: int) -> Workload:
    """The workload end to end, again and again, until there are `num_requests` requests.

    Between the end of one repetition and the start of the next lies the mean gap between arrivals.
    Rows keep counting: in repetition `k` (from 0) they are the original ones plus `k` times one more than the highest.
    """
    return Repeated(open_loop(workload, "repeated"), at_least_one(num_requests))


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """What workloads share whose requests do not depend on one another."""

    workload: Workload

    @property
    def has_follow_ups(self) -> bool:
        return False

    def follow_ups(self, row: int, finish_time: float) -> Sequence[Arrival]:
        return ()


@dataclass(frozen=True, slots=True)
class Limited(OpenLoop):
    most: int

    @property
    def num_requests(self) -> int | None:
        known = self.workload.num_requests
        return None if known is None else min(known, self.most)

    def chunks(self) -> Iterator[Arrivals]:
        left = self.most
        for chunk in self.workload.chunks():
            yield first(chunk, left)
            left -= len(chunk)
            if left <= 0:
                return


@dataclass(frozen=True, slots=True)
class SpedUp:
    workload: Workload
    factor: float

    @property
    def has_follow_ups(self) -> bool:
        return self.workload.has_follow_ups

    @property
    def num_requests(self) -> int | None:
        return self.workload.num_requests

    def chunks(self) -> Iterator[Arrivals]:
        for chunk in self.workload.chunks():
            with np.errstate(over="ignore"):
                times = chunk.arrival_time / self.factor
            yield replace(chunk, arrival_time=reached(f"a speedup of {self.factor:g}", times, "a larger one"))

    def follow_ups(self, row: int, finish_time: float) -> Sequence[Arrival]:
        caused = self.workload.follow_ups(row, finish_time * self.factor)
        times = [max(ask.arrival_time / self.factor, finish_time) for ask, _ in caused]
        reached(f"a speedup of {self.factor:g}", np.array(times), "one nearer to 1")
        return [Arrival(ask._replace(arrival_time=time), length) for (ask, length), time in zip(caused, times)]


@dataclass(frozen=True, slots=True)
class AtRate(OpenLoop):
    rate: float

    @property
    def num_requests(self) -> int | None:
        return self.workload.num_requests

    def chunks(self) -> Iterator[Arrivals]:
        extent = Extent()
        for chunk in self.workload.chunks():
            extent.include(chunk)
        given = 0
        for chunk in self.workload.chunks():
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                if extent.span > 0:
                    times = chunk.arrival_time / (self.rate * extent.mean_gap)
                else:
                    times = chunk.arrival_time + np.arange(given, given + len(chunk)) / self.rate
            given += len(chunk)
            yield replace(chunk, arrival_time=reached(f"a rate of {self.rate:g}", times, "a higher one"))


@dataclass(frozen=True, slots=True)
class Repeated(OpenLoop):
    total: int

    @property
    def num_requests(self) -> int:
        return self.total

    def chunks(self) -> Iterator[Arrivals]:
        original = Extent()
        left, repetition, last_time = self.total, 0, -inf
        while left > 0:
            for chunk in self.workload.chunks():
                if repetition == 0:
                    original.include(chunk)
                some = first(chunk, left)
                times = some.arrival_time
                if repetition:
                    # a gap so small that rounding loses it must not put a request before the last one
                    times = np.maximum(times + repetition * (original.span + original.mean_gap), last_time)
                    reached(f"the workload repeated until there are {self.total:,} requests", times, "fewer requests or a higher rate")
                yield replace(some, row=some.row + repetition * (original.last_row + 1), arrival_time=times)
                last_time = times[-1]
                left -= len(some)
                if left == 0:
                    return
            if not original.num_requests:
                raise WorkloadError("a workload without requests cannot be repeated; give one with at least one")
            repetition += 1


@dataclass(slots=True)
class Extent:
    """How far a workload reaches; it grows while the workload is read."""

    num_requests: int = 0
    first_time: float = inf
    last_time: float = -inf
    last_row: int = -1

    def include(self, chunk: Arrivals) -> None:
        if not len(chunk):
            return
        self.num_requests += len(chunk)
        self.first_time = min(self.first_time, float(chunk.arrival_time[0]))
        self.last_time = float(chunk.arrival_time[-1])
        self.last_row = max(self.last_row, int(chunk.row.max()))

    @property
    def span(self) -> float:
        return self.last_time - self.first_time

    @property
    def mean_gap(self) -> float:
        return self.span / max(self.num_requests - 1, 1)


def first(chunk: Arrivals, most: int) -> Arrivals:
    if len(chunk) <= most:
        return chunk
    return chunk.part(slice(most))


def open_loop(workload: Workload, what: str) -> Workload:
    if workload.has_follow_ups:
        raise WorkloadError(f"a workload whose requests wait for one another cannot be {what}; set its own number or rate of requests")
    return workload


def above_zero(what: str, number: float) -> float:
    if not (isfinite(number) and number > 0):
        raise WorkloadError(f"{what} of {number} is impossible; give a finite number above 0")
    return number


def reached(what: str, times: NDArray[np.float64], instead: str) -> NDArray[np.float64]:
    """The times, if the clock can tell them."""
    beyond = ~(times <= LAST_TIME)  # so that NaN is
    if beyond.any():
        raise WorkloadError(
            f"{what} puts a request at {times[beyond.argmax()]:g} s, and none may come after {LAST_TIME:g} s (30 years); give {instead}"
        )
    return times


def at_least_one(num_requests: int) -> int:
    if num_requests < 1:
        raise WorkloadError(f"a workload of {num_requests} requests is none; give at least 1")
    return num_requests
