"""Small workloads for tests."""

from collections.abc import Iterator, Sequence

from seatrial.core.request import Arrival, Arrivals


class Given:
    """Just these arrivals, in order, and nothing after."""

    has_follow_ups = False

    def __init__(self, arrivals: Sequence[Arrival]) -> None:
        self.arrivals = arrivals
        self.num_requests = len(arrivals)

    def chunks(self) -> Iterator[Arrivals]:
        if self.arrivals:
            yield Arrivals.of(self.arrivals)

    def follow_ups(self, row: int, finish_time: float) -> Sequence[Arrival]:
        return ()
