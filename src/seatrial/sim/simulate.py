"""A workload on a replica, from the first arrival to the last token."""

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from math import inf

from seatrial.core.record import Status
from seatrial.core.request import Prefix, Workload
from seatrial.sim.caching import CachingReplica
from seatrial.sim.cruise import Pending
from seatrial.sim.garbage import without_garbage_collection
from seatrial.sim.intake import take_in, take_in_one_by_one
from seatrial.sim.patience import Patience
from seatrial.sim.recorder import Recorder
from seatrial.sim.replica import Replica

ARRIVALS_AT_ONCE = 4096
DRAIN_TIME = 60.0  # seconds simulated at once when the last request has come


def simulate(
    workload: Workload,
    replica: Replica,
    recorder: Recorder,
    *,
    timeout: float | None = None,
    on_flush: Callable[[], None] = lambda: None,
) -> None:
    """Run it all; the recorder takes what the replica writes down, and `on_flush` is called whenever it was offered some.

    With `timeout` a client gives up that many seconds after it asked.
    """
    patience = None if timeout is None else Patience(timeout, replica)
    with without_garbage_collection():
        if workload.has_follow_ups:
            _simulate_with_follow_ups(workload, replica, recorder, patience, on_flush)
        else:
            _simulate_open_loop(workload, replica, recorder, patience, on_flush)
        recorder.close(replica)


def _simulate_open_loop(
    workload: Workload, replica: Replica, recorder: Recorder, patience: Patience | None, on_flush: Callable[[], None]
) -> None:
    run_until = replica.run_until if patience is None else patience.run_until
    before = replica.cost.request_overhead.before
    for chunk in workload.chunks():
        for start in range(0, len(chunk), ARRIVALS_AT_ONCE):
            part = slice(start, start + ARRIVALS_AT_ONCE)
            times = chunk.arrival_time[part]
            columns = (chunk.row[part], times, times + before, chunk.num_prompt_tokens[part], chunk.num_output_tokens[part])
            arrivals: list[Pending] = list(zip(*[column.tolist() for column in columns]))
            if isinstance(replica, CachingReplica) or patience is not None:
                take_in_one_by_one(arrivals, chunk.part(part).each_prefix(), replica, patience)
            else:
                take_in(arrivals, replica)
            recorder.num_arrived += len(times)
            recorder.flush(replica)
            on_flush()
    while replica.is_busy:
        run_until(replica.now + DRAIN_TIME)
        recorder.flush(replica)
        on_flush()


Caused = tuple[float, int, int, int, Prefix | None]  # arrival time, row, prompt tokens, output tokens, how the prompt begins


def _simulate_with_follow_ups(
    workload: Workload, replica: Replica, recorder: Recorder, patience: Patience | None, on_flush: Callable[[], None]
) -> None:
    """As above, but a request that ends may cause others, at that very moment or later: so the replica stops whenever one ends."""
    before, after = replica.cost.request_overhead
    run_until = replica.run_until if patience is None else patience.run_until
    known = _one_by_one(workload)
    caused: list[Caused] = []
    coming = next(known, None)
    num_seen = 0
    while True:
        head = min((pending for pending in (coming, caused[0] if caused else None) if pending), default=None)
        run_until(head[0] + before if head else inf, stop_at_end=True)
        if len(replica.ended) == num_seen:
            if head is None:
                return
            if head is coming:
                coming = next(known, None)
            else:
                heappop(caused)
            time, row, num_prompt, num_output, prefix = head
            recorder.num_arrived += 1
            if replica.arrive(row, time, time + before, num_prompt, num_output, prefix) and patience is not None:
                patience.begin()
        for seq in replica.ended[num_seen:]:
            end = seq.finish_time + after if seq.status == Status.COMPLETED else seq.arrival_time
            if seq.status == Status.FAILED and patience is not None:
                end = patience.moment(seq)
            for request, num_output in workload.follow_ups(seq.row, end):
                heappush(caused, (request.arrival_time, request.row, request.num_prompt_tokens, num_output, request.prefix))
        recorder.flush(replica)
        on_flush()
        num_seen = len(replica.ended)


def _one_by_one(workload: Workload) -> Iterator[Caused]:
    for chunk in workload.chunks():
        columns = (chunk.arrival_time, chunk.row, chunk.num_prompt_tokens, chunk.num_output_tokens)
        yield from zip(*[column.tolist() for column in columns], chunk.each_prefix())
