"""Requests on their way from a workload into a replica."""

from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Ordered
from heapq import heappop, heappush

from seatrial.core.request import Arrivals, Prefix, Workload
from seatrial.sim.caching import CachingReplica
from seatrial.sim.cruise import Pending, cruise, may_cruise
from seatrial.sim.patience import Patience
from seatrial.sim.replica import Replica

AT_ONCE = 4096  # requests
DRAIN_TIME = 60.0  # seconds simulated at once when the last request has come

Coming = tuple[float, int, int, int, Prefix | None, str | None]
"""Arrival time, row, prompt tokens, output tokens, how the prompt begins, session."""


def parts(workload: Workload) -> Iterator[Arrivals]:
    """Its known arrivals, some at a time."""
    for chunk in workload.chunks():
        for start in range(0, len(chunk), AT_ONCE):
            yield chunk.part(slice(start, start + AT_ONCE))


def one_by_one(arrivals: Arrivals) -> Iterator[Coming]:
    columns = (arrivals.arrival_time, arrivals.row, arrivals.num_prompt_tokens, arrivals.num_output_tokens)
    yield from zip(*[column.tolist() for column in columns], arrivals.each_prefix(), arrivals.each_session())


class Arriving:
    """Alive: the requests of a workload in order of arrival, with those that answers cause."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.known = (coming for part in parts(workload) for coming in one_by_one(part))
        self.next_known = next(self.known, None)
        self.caused: list[Coming] = []

    @property
    def first(self) -> Coming | None:
        return min((each for each in (self.next_known, self.caused[0] if self.caused else None) if each), default=None)

    def pop(self, first: Coming) -> None:
        """The first has arrived."""
        if first is self.next_known:
            self.next_known = next(self.known, None)
        else:
            heappop(self.caused)

    def cause(self, row: int, end: float) -> None:
        """What follows from the answer to this row, which is back at `end`."""
        for (caused, time, num_prompt, session, prefix), num_output in self.workload.follow_ups(row, end):
            heappush(self.caused, (time, caused, num_prompt, num_output, prefix, session))


def take_in(
    arrivals: Ordered[Pending],
    prefixes: Iterable[Prefix | None],
    replica: Replica,
    patience: Patience | None,
    num_arrivals: int | None = None,
) -> None:
    """Each at its time. Of more than `num_arrivals` the next only says from when on others may come."""
    end = len(arrivals) if num_arrivals is None else num_arrivals
    if isinstance(replica, CachingReplica) or patience is not None:
        take_in_one_by_one(arrivals[:end], prefixes, replica, patience)
    else:
        take_in_together(arrivals, replica, end)


def take_in_together(arrivals: Ordered[Pending], replica: Replica, end: int) -> None:
    """Those who wait for their answers however long it takes, and begin like nobody else."""
    place = 0
    while place < end:
        row, time, ready, num_prompt, num_output = arrivals[place]
        if replica.seen_until < ready:
            replica.run_until(ready)
        if may_cruise(replica) and (reached := cruise(replica, arrivals, place)) > place:
            place = reached
            continue
        replica.arrive(row, time, ready, num_prompt, num_output)
        place += 1


def take_in_one_by_one(arrivals: Iterable[Pending], prefixes: Iterable[Prefix | None], replica: Replica, patience: Patience | None) -> None:
    run_until = replica.run_until if patience is None else patience.run_until
    for (row, time, ready, num_prompt, num_output), prefix in zip(arrivals, prefixes):
        if replica.seen_until < ready:
            run_until(ready)
        if replica.arrive(row, time, ready, num_prompt, num_output, prefix) and patience is not None:
            patience.begin()
