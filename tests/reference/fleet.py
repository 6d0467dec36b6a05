"""Several replicas behind a router, as naively as can be: whatever is to be known of a moment is found by running all anew up to it.

That is right since nothing that arrives later changes what was before.
"""

from collections.abc import Callable
from math import floor, inf
from typing import NamedTuple

from reference.cost import Sums
from reference.loop import simulate
from reference.nouns import Config, Outcome, Row, Run


class Seen(NamedTuple):
    """A replica as its router sees it."""

    num_outstanding: int
    num_used_blocks: int


Router = Callable[[list[Seen]], int]


class Fleet:
    """An engine sees a request `before` seconds after it was sent, and a client the answer `after` seconds after its last token.

    What engines report reaches the router every `view_delay` seconds.
    """

    def __init__(
        self, num_replicas: int, config: Config, cost: Callable[[Sums], float], before: float, after: float, view_delay: float = 0.0
    ) -> None:
        self.config = config
        self.cost = cost
        self.before = before
        self.after = after
        self.view_delay = view_delay
        self.rows: list[list[Row]] = [[] for _ in range(num_replicas)]
        self.runs: dict[int, Run] = {}
        self.places: list[tuple[int, int]] = []  # by row: its replica, and its place among the rows there

    def send(self, row: Row, replica: int) -> None:
        self.places.append((replica, len(self.rows[replica])))
        self.rows[replica].append(row)
        self.runs.pop(replica, None)

    def run(self, replica: int) -> Run:
        """Of all that was sent there, to its end. Kept until something else is sent there."""
        if replica not in self.runs:
            seen = [row._replace(arrival=row.arrival + self.before) for row in self.rows[replica]]
            self.runs[replica] = simulate(seen, self.config, self.cost)
        return self.runs[replica]

    def see(self, replica: int, moment: float) -> Seen:
        run = self.run(replica)
        num_outstanding = sum(self.end(row, outcome) > moment for row, outcome in zip(self.rows[replica], run.outcomes))
        held, told = 0, floor(moment / self.view_delay) * self.view_delay if self.view_delay else moment
        for step in run.steps:
            if step.start < told < step.end:
                held = self.config.num_blocks - step.num_free_blocks
            elif step.end <= told:
                held = self.config.num_blocks - step.num_free_blocks_after
        return Seen(num_outstanding, held)

    def end(self, row: Row, outcome: Outcome) -> float:
        """When its client has the answer, or gives up; a rejected one never waits."""
        if outcome.status == "completed":
            return outcome.finish + self.after
        return row.arrival + (self.config.timeout or 0.0) if outcome.status == "failed" else -inf

    def outcomes(self) -> list[Outcome]:
        """By row."""
        runs = [self.run(replica).outcomes for replica in range(len(self.rows))]
        return [runs[replica][place] for replica, place in self.places]


def route(rows: list[Row], fleet: Fleet, router: Router) -> None:
    """The rows come in order of arrival, each as its arrival says."""
    for row in rows:
        fleet.send(row, router([fleet.see(replica, row.arrival) for replica in range(len(fleet.rows))]))


def route_closed_loop(rows: list[Row], fleet: Fleet, router: Router, concurrency: int, think_time: float) -> None:
    """`concurrency` users at time 0; whoever has an answer sends the next row `think_time` later. None may be rejected."""
    coming = [0.0] * min(concurrency, len(rows))
    answered: set[int] = set()
    for row in rows:
        while True:  # answers that come before the next request, or at the same moment
            ends = {number: outcome.finish + fleet.after for number, outcome in enumerate(fleet.outcomes()) if number not in answered}
            first = min(ends, key=lambda number: (ends[number], number), default=None)
            if first is None or (coming and min(coming) < ends[first]):
                break
            answered.add(first)
            coming.append(ends[first] + think_time)
        moment = min(coming)
        coming.remove(moment)
        fleet.send(row._replace(arrival=moment), router([fleet.see(replica, moment) for replica in range(len(fleet.rows))]))
