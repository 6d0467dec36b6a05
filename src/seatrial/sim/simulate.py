"""A workload on a replica, from the first arrival to the last token."""

from collections.abc import Callable
from math import inf

from seatrial.core.record import Status
from seatrial.core.request import Workload
from seatrial.sim.cruise import Pending
from seatrial.sim.garbage import without_garbage_collection
from seatrial.sim.intake import DRAIN_TIME, Arriving, parts, take_in
from seatrial.sim.patience import Patience
from seatrial.sim.recorder import Recorder
from seatrial.sim.replica import Replica


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
    for part in parts(workload):
        times = part.arrival_time
        columns = (part.row, times, times + before, part.num_prompt_tokens, part.num_output_tokens)
        arrivals: list[Pending] = list(zip(*[column.tolist() for column in columns]))
        take_in(arrivals, part.each_prefix(), replica, patience)
        recorder.num_arrived += len(part)
        recorder.flush(replica)
        on_flush()
    while replica.is_busy:
        run_until(replica.now + DRAIN_TIME)
        recorder.flush(replica)
        on_flush()


def _simulate_with_follow_ups(
    workload: Workload, replica: Replica, recorder: Recorder, patience: Patience | None, on_flush: Callable[[], None]
) -> None:
    """As above, but a request that ends may cause others, at that very moment or later: so the replica stops whenever one ends."""
    before, after = replica.cost.request_overhead
    run_until = replica.run_until if patience is None else patience.run_until
    arriving, num_seen = Arriving(workload), 0
    while True:
        head = arriving.first
        run_until(head[0] + before if head else inf, stop_at_end=True)
        if len(replica.ended) == num_seen:
            if head is None:
                return
            arriving.pop(head)
            time, row, num_prompt, num_output, prefix, _ = head
            recorder.num_arrived += 1
            if replica.arrive(row, time, time + before, num_prompt, num_output, prefix) and patience is not None:
                patience.begin()
        for seq in replica.ended[num_seen:]:
            end = seq.finish_time + after if seq.status == Status.COMPLETED else seq.arrival_time
            if seq.status == Status.FAILED and patience is not None:
                end = patience.moment(seq)
            arriving.cause(seq.row, end)
        recorder.flush(replica)
        on_flush()
        num_seen = len(replica.ended)
