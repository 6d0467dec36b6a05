"""Replicas behind a router, in one time.

A replica runs only as far as somebody must know: the fleet keeps the moments at which an answer may come back, in order, and until then
leaves the replica where it is. So a decision costs what the router looks at, and no more with a thousand replicas than with ten.
"""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from math import inf, nan
from random import Random

from seatrial.core.errors import PolicyError
from seatrial.core.request import Request
from seatrial.policy.router import Router
from seatrial.sim.endpoint import Answer, Clock, Endpoint


class Fleet:
    """Alive. It is the `FleetView` of its router. Of both heaps an entry counts only if it says what its endpoint has now."""

    def __init__(self, endpoints: Sequence[Endpoint], clock: Clock, router: Router, random: Random) -> None:
        self.endpoints = endpoints
        self.clock = clock
        self.router = router
        self.due: list[tuple[float, int]] = []  # a heap: when an answer may come back, and where
        self.loads: list[tuple[int, int]] = []  # a heap: outstanding requests, and where
        self.choose = router.begin(self, random)

    # --- what a router may know ---

    @property
    def now(self) -> float:
        return self.clock.now

    @property
    def replicas(self) -> Sequence[Endpoint]:
        return self.endpoints

    def least_outstanding(self) -> int:
        endpoints, loads = self.endpoints, self.loads
        if not loads or len(loads) > 4 * len(endpoints) + 64:  # the first time, or too much is stale
            for endpoint in endpoints:
                endpoint.listed = endpoint.num_outstanding
            loads[:] = [(endpoint.listed, endpoint.index) for endpoint in endpoints]
            heapify(loads)
        while endpoints[loads[0][1]].num_outstanding != loads[0][0]:
            heappop(loads)
        return loads[0][1]

    # --- time goes on ---

    def chosen(self, request: Request) -> Endpoint:
        """Where it goes, says the router."""
        self.clock.now = request.arrival_time
        index = self.choose(request)
        if type(index) is not int or not 0 <= index < len(self.endpoints):
            last = len(self.endpoints) - 1
            raise PolicyError(f"{type(self.router).__name__} sends a request to replica {index!r}; give a whole number from 0 to {last}")
        return self.endpoints[index]

    def watch(self, endpoint: Endpoint) -> None:
        """Something has changed there."""
        due = endpoint.due
        if due != endpoint.watched:
            endpoint.watched = due
            if due < inf:
                heappush(self.due, (due, endpoint.index))
        if self.loads and endpoint.num_outstanding != endpoint.listed:
            endpoint.listed = endpoint.num_outstanding
            heappush(self.loads, (endpoint.listed, endpoint.index))

    def next_due(self, moment: float) -> Endpoint | None:
        """The endpoint where an answer may come back first, if that may be up to the moment. It is no longer watched."""
        due = self.due
        while due and due[0][0] <= moment:
            time, index = heappop(due)
            endpoint = self.endpoints[index]
            if endpoint.watched == time:
                endpoint.watched = nan
                return endpoint
        return None

    def settle(self, moment: float) -> None:
        """Every answer up to the moment is back."""
        while (endpoint := self.next_due(moment)) is not None:
            endpoint.settle(moment)
            self.watch(endpoint)

    def next_answer(self, moment: float) -> Answer | None:
        """The first answer that comes back up to the moment; no replica runs beyond it, since it may cause a request."""
        while (endpoint := self.next_due(moment)) is not None:
            until = min(moment, self.due[0][0]) if self.due else moment  # from elsewhere an answer may come back then
            if endpoint.answers:
                if endpoint.answers[0][0] == endpoint.due <= until:
                    answer = endpoint.take_answer()
                    self.watch(endpoint)
                    return answer
                until = min(until, endpoint.answers[0][0])
            endpoint.advance_to_end(until)
            endpoint.note()
            self.watch(endpoint)
        return None
