"""From a checked spec to requests over time."""

from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np

from seatrial.core.errors import WorkloadError
from seatrial.core.request import Arrival, Arrivals, Workload
from seatrial.workload.arrivals import arrival_times
from seatrial.workload.closed_loop import ClosedLoop
from seatrial.workload.lengths import LengthPairs
from seatrial.workload.sessions import SessionWorkload
from seatrial.workload.spec import WorkloadSpec
from seatrial.workload.streams import Floats

CHUNK = 65_536  # requests drawn at a time: vectors long enough to be fast, short enough to be small


def generate(spec: WorkloadSpec, seed: int = 0, *, chunk: int = CHUNK) -> Workload:
    """The workload that `spec` describes. The same spec and seed give the same bytes, whatever the `chunk`; memory does not grow with it.

    Chance is one stream per purpose (arrivals, input, output, turns ...), each number of which belongs to one request: a longer
    workload begins with the shorter one, and a change to one part of the spec leaves the draws of the others.
    """
    if seed < 0:
        raise WorkloadError(f"the seed cannot be {seed}; give a whole number from 0 on")
    chunk = min(chunk, spec.num_requests or chunk)
    if spec.sessions is not None:
        return SessionWorkload(spec, seed, chunk)
    if spec.closed_loop is not None:
        loop = spec.closed_loop
        return ClosedLoop(OpenLoop(spec, seed, chunk), loop.concurrency, loop.think_time, until=spec.duration)
    return OpenLoop(spec, seed, chunk)


class OpenLoop:
    """Requests that come when they come, in rows from 0. Without a process (inside a closed loop) they have lengths and come at 0."""

    has_follow_ups = False

    def __init__(self, spec: WorkloadSpec, seed: int, chunk: int) -> None:
        self._process, self._until = spec.arrivals, spec.duration
        self._seed, self._chunk = seed, chunk
        self._lengths = LengthPairs(spec.input, spec.output, spec.correlation, seed)
        self.num_requests = spec.num_requests

    def chunks(self) -> Iterator[Arrivals]:
        start = 0
        for times in self._times():
            if self.num_requests is not None:
                times = times[: self.num_requests - start]
            if len(times) == 0:
                return
            prompts, outputs = self._lengths.at(start, len(times))
            yield Arrivals(np.arange(start, start + len(times)), times, prompts, outputs)
            start += len(times)

    def follow_ups(self, row: int, finish_time: float) -> Sequence[Arrival]:
        return ()

    def _times(self) -> Iterator[Floats]:
        if self._process is None:
            return (np.zeros(self._chunk) for _ in count())
        return arrival_times(self._process, self._seed, self._chunk, self._until)
