"""Clients who give up: when they have waited long enough for the whole answer they are gone, and the engine drops their request."""

from collections import deque
from math import inf

from seatrial.sim.replica import Replica
from seatrial.sim.sequence import UNFINISHED, Sequence


class Patience:
    """Alive: who is still waited for. All wait equally long, so who came first gives up first.

    A request is dropped by the first step that is planned when its client has gone. One whose answer ends in a step that had begun
    before that has failed as well.
    """

    def __init__(self, timeout: float, replica: Replica) -> None:
        self.timeout = timeout
        self.replica = replica
        self.after_token = replica.cost.request_overhead.after
        self.queue: deque[Sequence] = deque()

    def begin(self) -> None:
        """Somebody waits from now on: the last of the replica's queue."""
        seq = self.replica.waiting[-1]
        seq.deadline = self.moment(seq) - self.after_token
        self.queue.append(seq)

    def run_until(self, horizon: float, *, stop_at_end: bool = False) -> None:
        """As the replica does, dropping on the way who gives up up to the horizon; a dropped request has ended, too."""
        replica = self.replica
        num_ended = len(replica.ended)
        while (moment := self.next_moment()) < inf and moment <= horizon:
            replica.run_until(moment, stop_at_end=stop_at_end)
            if self.next_moment() == moment and not (stop_at_end and len(replica.ended) > num_ended):
                replica.give_up(self.queue.popleft())
            if stop_at_end and len(replica.ended) > num_ended:
                return
        replica.run_until(horizon, stop_at_end=stop_at_end)

    def next_moment(self) -> float:
        """When the next one gives up, of those whose requests have not ended; infinite if there is none."""
        queue = self.queue
        while queue and queue[0].status != UNFINISHED:
            queue.popleft()
        return self.moment(queue[0]) if queue else inf

    def moment(self, seq: Sequence) -> float:
        return seq.arrival_time + self.timeout
