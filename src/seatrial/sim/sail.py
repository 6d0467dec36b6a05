"""A workload on a fleet, from the first arrival to the last token."""

from collections.abc import Callable
from math import inf

from seatrial.core.request import Prefix, Request, Workload
from seatrial.sim.cruise import Pending
from seatrial.sim.fleet import Fleet
from seatrial.sim.garbage import without_garbage_collection
from seatrial.sim.intake import AT_ONCE, DRAIN_TIME, Arriving, Coming, one_by_one, parts, take_in
from seatrial.sim.simulate import simulate


def sail(workload: Workload, fleet: Fleet, on_flush: Callable[[], None] = lambda: None) -> None:
    """Run it all; the endpoints' recorders take what is written down, and `on_flush` is called whenever they were offered some."""
    if len(fleet.endpoints) == 1:  # the router has no choice
        only = fleet.endpoints[0]
        simulate(workload, only.replica, only.recorder, timeout=only.timeout, on_flush=on_flush)
        return
    with without_garbage_collection():
        if workload.has_follow_ups:
            steer_causes(workload, fleet, on_flush)
        elif fleet.router.is_blind:
            spread(workload, fleet, on_flush)
        else:
            steer(workload, fleet, on_flush)
        for endpoint in fleet.endpoints:
            endpoint.recorder.close(endpoint.replica)


def spread(workload: Workload, fleet: Fleet, on_flush: Callable[[], None]) -> None:
    """Nobody looks at the replicas, and so each sails by itself."""
    for part in parts(workload):
        shares: dict[int, tuple[list[Pending], list[Prefix | None]]] = {}
        for time, row, num_prompt, num_output, prefix, session in one_by_one(part):
            endpoint = fleet.chosen(Request(row, time, num_prompt, session, prefix))
            pending, prefixes = shares.setdefault(endpoint.index, ([], []))
            pending.append((row, time, time + endpoint.before, num_prompt, num_output))
            prefixes.append(prefix)
        for index, (pending, prefixes) in shares.items():
            endpoint = fleet.endpoints[index]
            take_in(pending, prefixes, endpoint.replica, endpoint.patience)
            endpoint.recorder.num_arrived += len(pending)
        flush(fleet, on_flush)
    for endpoint in fleet.endpoints:
        while endpoint.replica.is_busy:
            endpoint.run_until(endpoint.replica.now + DRAIN_TIME)
            endpoint.flush()


def steer(workload: Workload, fleet: Fleet, on_flush: Callable[[], None]) -> None:
    """At each arrival the router knows which answers are back."""
    for part in parts(workload):
        for coming in one_by_one(part):
            fleet.settle(coming[0])
            dispatch(coming, fleet)
        flush(fleet, on_flush)
    while fleet.due:
        fleet.settle(fleet.due[0][0] + DRAIN_TIME)
        flush(fleet, on_flush)


def steer_causes(workload: Workload, fleet: Fleet, on_flush: Callable[[], None]) -> None:
    """As above, but a request that is answered may cause others, at that very moment or later."""
    arriving, num_seen = Arriving(workload), 0
    while True:
        head = arriving.first
        answer = fleet.next_answer(head[0] if head else inf)
        if answer is not None:
            end, row, _ = answer
        elif head is None:
            return
        else:
            arriving.pop(head)
            if dispatch(head, fleet):
                continue
            end, row = head[0], head[1]  # rejected, which is an answer, too
        arriving.cause(row, end)
        num_seen += 1
        if not num_seen % AT_ONCE:
            flush(fleet, on_flush)


def dispatch(coming: Coming, fleet: Fleet) -> bool:
    """Send it where the router says. False if it is rejected there."""
    time, row, num_prompt, num_output, prefix, session = coming
    endpoint = fleet.chosen(Request(row, time, num_prompt, session, prefix))
    accepted = endpoint.send(row, time, num_prompt, num_output, prefix)
    fleet.watch(endpoint)
    return accepted


def flush(fleet: Fleet, on_flush: Callable[[], None]) -> None:
    for endpoint in fleet.endpoints:
        endpoint.flush()
    on_flush()
