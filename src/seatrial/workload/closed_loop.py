"""A fixed number of users, each of whom asks again when the answer is there."""

from collections.abc import Iterator, Sequence
from itertools import islice

from seatrial.core.errors import WorkloadError
from seatrial.core.request import Arrival, Arrivals, Request, Workload


def closed_loop(workload: Workload, concurrency: int, think_time: float = 0.0) -> Workload:
    """The requests of `workload` in their order, by `concurrency` users who each wait `think_time` seconds after an answer.

    Rows and lengths stay, arrival times do not count.
    """
    if workload.has_follow_ups:
        raise WorkloadError(
            "a closed loop needs requests that do not wait for each other, and this workload has sessions; give one without"
        )
    if concurrency < 1:
        raise WorkloadError(f"a concurrency of {concurrency} asks nothing; give at least 1")
    if not 0 <= think_time < float("inf"):
        raise WorkloadError(f"the think time cannot be {think_time:g}; give seconds from 0 on")
    return ClosedLoop(workload, concurrency, think_time)


class ClosedLoop:
    """Hands out the next request for each that ends. This one keeps state: `chunks` starts anew for one run at a time.

    A rejected request counts as answered at once, and so its user comes again after the think time.
    """

    has_follow_ups = True

    def __init__(self, source: Workload, concurrency: int, think_time: float, *, until: float | None = None) -> None:
        self._source = source
        self._concurrency = concurrency
        self._think_time = think_time
        self._until = float("inf") if until is None else until
        self._queue: Iterator[Arrival] = iter(())
        self._last_time, self._num_at_once = -1.0, 0

    @property
    def num_requests(self) -> int | None:
        return self._source.num_requests

    def chunks(self) -> Iterator[Arrivals]:
        """One request for each user, at time 0."""
        self._queue = _requests(self._source)
        self._last_time, self._num_at_once = -1.0, 0
        # all users at once, so that no follow-up can overtake a first request
        first = list(islice(self._queue, self._concurrency))
        return (Arrivals.of(first[start : start + 65_536]) for start in range(0, len(first), 65_536))

    def follow_ups(self, row: int, finish_time: float) -> Sequence[Arrival]:
        time = finish_time + self._think_time
        if time > self._until:
            return ()
        self._notice_a_standstill(time)
        return tuple(Arrival(request._replace(arrival_time=time), output) for request, output in islice(self._queue, 1))

    def _notice_a_standstill(self, time: float) -> None:
        """An endless loop whose requests are all rejected, without think time, would never get past this moment."""
        self._num_at_once = self._num_at_once + 1 if time == self._last_time else 0
        self._last_time = time
        if self.num_requests is None and self._num_at_once > 100_000 + 2 * self._concurrency:
            raise WorkloadError(
                f"{self._num_at_once} requests of a closed loop ended at {time:g} s, the moment they came; if all are too long"
                " for the replica, ask for shorter ones, or set num_requests"
            )


def _requests(workload: Workload) -> Iterator[Arrival]:
    for chunk in workload.chunks():
        columns = (chunk.row.tolist(), chunk.num_prompt_tokens.tolist(), chunk.num_output_tokens.tolist())
        for row, num_prompt, num_output, prefix, session in zip(*columns, chunk.each_prefix(), chunk.each_session()):
            yield Arrival(Request(row, 0.0, num_prompt, session, prefix), num_output)
