"""A workload on a replica, from the first arrival to the last token."""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from math import inf

from seatrial.core.record import Status
from seatrial.core.request import Prefix, Workload
from seatrial.sim.caching import CachingReplica
from seatrial.sim.cruise import Pending, cruise, may_cruise
from seatrial.sim.recorder import Recorder
from seatrial.sim.replica import Replica

ARRIVALS_AT_ONCE = 4096
DRAIN_TIME = 60.0  # seconds simulated at once when the last request has come


def simulate(workload: Workload, replica: Replica, recorder: Recorder) -> None:
    """Run it all; the recorder takes what the replica writes down."""
    with _without_garbage_collection():
        if workload.has_follow_ups:
            _simulate_with_follow_ups(workload, replica, recorder)
        else:
            _simulate_open_loop(workload, replica, recorder)
        recorder.close(replica)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """The engine makes no cycles that outlive it, but so many objects that looking for cycles would take a tenth of its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _simulate_open_loop(workload: Workload, replica: Replica, recorder: Recorder) -> None:
    before = replica.cost.request_overhead.before
    for chunk in workload.chunks():
        for start in range(0, len(chunk), ARRIVALS_AT_ONCE):
            part = slice(start, start + ARRIVALS_AT_ONCE)
            times = chunk.arrival_time[part]
            columns = (chunk.row[part], times, times + before, chunk.num_prompt_tokens[part], chunk.num_output_tokens[part])
            arrivals: list[Pending] = list(zip(*[column.tolist() for column in columns]))
            if isinstance(replica, CachingReplica):
                _take_in_with_prefixes(arrivals, chunk.part(part).each_prefix(), replica)
            else:
                _take_in(arrivals, replica)
            recorder.num_arrived += len(times)
            recorder.flush(replica)
    while replica.is_busy:
        replica.run_until(replica.now + DRAIN_TIME)
        recorder.flush(replica)


def _take_in(arrivals: list[Pending], replica: Replica) -> None:
    place = 0
    while place < len(arrivals):
        row, time, ready, num_prompt, num_output = arrivals[place]
        if replica.seen_until < ready:
            replica.run_until(ready)
        if may_cruise(replica) and (reached := cruise(replica, arrivals, place)) > place:
            place = reached
            continue
        replica.arrive(row, time, ready, num_prompt, num_output)
        place += 1


def _take_in_with_prefixes(arrivals: Iterable[Pending], prefixes: Iterable[Prefix | None], replica: Replica) -> None:
    for (row, time, ready, num_prompt, num_output), prefix in zip(arrivals, prefixes):
        if replica.seen_until < ready:
            replica.run_until(ready)
        replica.arrive(row, time, ready, num_prompt, num_output, prefix)


Caused = tuple[float, int, int, int, Prefix | None]  # arrival time, row, prompt tokens, output tokens, how the prompt begins


def _simulate_with_follow_ups(workload: Workload, replica: Replica, recorder: Recorder) -> None:
    """As above, but a request that ends may cause others, at that very moment or later: so the replica stops whenever one ends."""
    before, after = replica.cost.request_overhead
    known = _one_by_one(workload)
    caused: list[Caused] = []
    coming = next(known, None)
    num_seen = 0
    while True:
        head = min((pending for pending in (coming, caused[0] if caused else None) if pending), default=None)
        replica.run_until(head[0] + before if head else inf, stop_at_end=True)
        if len(replica.ended) == num_seen:
            if head is None:
                return
            if head is coming:
                coming = next(known, None)
            else:
                heappop(caused)
            time, row, num_prompt, num_output, prefix = head
            recorder.num_arrived += 1
            replica.arrive(row, time, time + before, num_prompt, num_output, prefix)
        for seq in replica.ended[num_seen:]:
            end = seq.finish_time + after if seq.status == Status.COMPLETED else seq.arrival_time
            for request, num_output in workload.follow_ups(seq.row, end):
                heappush(caused, (request.arrival_time, request.row, request.num_prompt_tokens, num_output, request.prefix))
        recorder.flush(replica)
        num_seen = len(replica.ended)


def _one_by_one(workload: Workload) -> Iterator[Caused]:
    for chunk in workload.chunks():
        columns = (chunk.arrival_time, chunk.row, chunk.num_prompt_tokens, chunk.num_output_tokens)
        yield from zip(*[column.tolist() for column in columns], chunk.each_prefix())
