"""Requests whose times are known, on their way into a replica."""

from collections.abc import Iterable
from collections.abc import Sequence as Ordered

from seatrial.core.request import Prefix
from seatrial.sim.cruise import Pending, cruise, may_cruise
from seatrial.sim.patience import Patience
from seatrial.sim.replica import Replica


def take_in(arrivals: Ordered[Pending], replica: Replica, num_arrivals: int | None = None) -> None:
    """Those who wait for their answers however long it takes, and begin like nobody else.

    Of more than `num_arrivals` the next only says from when on others may come.
    """
    place, end = 0, len(arrivals) if num_arrivals is None else num_arrivals
    while place < end:
        row, time, ready, num_prompt, num_output = arrivals[place]
        if not may_cruise(replica):
            replica.run_until(ready)
        if may_cruise(replica) and (reached := cruise(replica, arrivals, place)) > place:
            place = reached
            continue
        replica.run_until(ready)
        replica.arrive(row, time, ready, num_prompt, num_output)
        place += 1


def take_in_one_by_one(arrivals: Iterable[Pending], prefixes: Iterable[Prefix | None], replica: Replica, patience: Patience | None) -> None:
    run_until = replica.run_until if patience is None else patience.run_until
    for (row, time, ready, num_prompt, num_output), prefix in zip(arrivals, prefixes):
        if replica.seen_until < ready:
            run_until(ready)
        if replica.arrive(row, time, ready, num_prompt, num_output, prefix) and patience is not None:
            patience.begin()
