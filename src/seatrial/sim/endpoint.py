"""A replica as its fleet has it: how far it has come, which answers are on their way, and what a router may know of it."""

from collections.abc import Callable
from heapq import heappop, heappush
from math import floor, inf, nextafter
from typing import NamedTuple

from seatrial.core.record import Status
from seatrial.core.request import Prefix
from seatrial.sim.caching import CachingReplica
from seatrial.sim.cruise import Pending
from seatrial.sim.intake import take_in, take_in_one_by_one
from seatrial.sim.patience import Patience
from seatrial.sim.prefix_cache import Holding
from seatrial.sim.recorder import Recorder
from seatrial.sim.replica import Replica

REJECTED, COMPLETED = Status.REJECTED, Status.COMPLETED  # looked up once: members of an enum are slow to find


class Report(NamedTuple):
    """What an engine says of itself at a moment."""

    time: float
    num_waiting: int
    num_running: int
    num_used_blocks: int


Answer = tuple[float, int, int]  # when a client has it, or has given up; the request's row; its prompt tokens


class Clock:
    """Alive: the moment at which the fleet is."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = 0.0


class Endpoint:
    """Alive. It is the `ReplicaView` of a router. The replica runs only as far as somebody must know.

    `answers` are those that are on their way, a heap.
    """

    def __init__(
        self,
        index: int,
        pool: str,
        replica: Replica,
        recorder: Recorder,
        *,
        max_num_seqs: int,
        clock: Clock,
        timeout: float | None = None,
        view_delay: float = 0.0,
    ) -> None:
        self.index = index
        self.pool = pool
        self.replica = replica
        self.recorder = recorder
        self.max_num_seqs = max_num_seqs
        self.num_blocks, self.block_size = replica.num_blocks, replica.block_size
        self.clock = clock
        self.view_delay = view_delay
        self.before, self.after = replica.cost.request_overhead
        self.timeout = timeout
        self.patience = None if timeout is None else Patience(timeout, replica)
        self.run_until: Callable[..., None] = replica.run_until if self.patience is None else self.patience.run_until
        self.pending: list[Pending] = []  # on their way to the engine, or there, and nobody has had to know more of them yet
        self.prefixes: list[Prefix | None] = []  # theirs
        self.answers: list[Answer] = []
        self.num_noted = 0  # of those who have ended on the replica
        self.num_outstanding = 0
        self.num_outstanding_tokens = 0
        self.earliest_end = inf  # nothing ends here before, but for what is noted
        self.watched = inf  # the `due` that the fleet looks out for
        self.listed = -1  # the `num_outstanding` that it has in its list
        self.last_report = Report(-inf, 0, 0, 0)

    @property
    def due(self) -> float:
        """The earliest moment at which an answer may come back: before it nothing happens here that changes what the router counts."""
        due = self.earliest_end
        if self.answers and self.answers[0][0] < due:
            due = self.answers[0][0]
        if self.pending and self.pending[0][2] < due:
            due = self.pending[0][2]
        return due

    # --- time goes on ---

    def send(self, row: int, time: float, num_prompt_tokens: int, num_output_tokens: int, prefix: Prefix | None) -> bool:
        """A request sets out at `time`, and is on its way to the engine. False if the engine rejects it."""
        self.recorder.num_arrived += 1
        if self.replica.rejects(num_prompt_tokens + num_output_tokens):
            self.replica.arrive(row, time, time, num_prompt_tokens, num_output_tokens, prefix)
            return False
        self.pending.append((row, time, time + self.before, num_prompt_tokens, num_output_tokens))
        self.prefixes.append(prefix)
        self.num_outstanding += 1
        self.num_outstanding_tokens += num_prompt_tokens
        return True

    def deliver(self, moment: float) -> None:
        """Those on their way whom the engine sees up to the moment; nobody else sets out before it. `note` must follow."""
        pending, prefixes = self.pending, self.prefixes
        num_due = len(pending)
        while num_due and pending[num_due - 1][2] > moment:
            num_due -= 1
        if not num_due:
            return
        take_in([*pending[:num_due], (0, moment, moment, 0, 0)], prefixes, self.replica, self.patience, num_due)
        del pending[:num_due], prefixes[:num_due]

    def advance_to_end(self, moment: float) -> None:
        """Take every step that is planned before the moment, but only until a request ends. `note` must follow."""
        if self.view_delay:
            moment = min(moment, self.due)  # when the engine is to report before something ends is not known beyond that
            if self.last_report.time < (tick := self.last_tick(moment)):
                if self.run_to_end(tick):
                    return
                self.report_at(tick)
        self.run_to_end(moment)

    def run_to_end(self, moment: float) -> bool:
        """Run until a request ends, which is told, or to the moment."""
        replica = self.replica
        num_ended = len(replica.ended)
        while self.pending and self.pending[0][2] <= moment:
            if replica.seen_until < self.pending[0][2]:
                self.run_until(self.pending[0][2], stop_at_end=True)
            if len(replica.ended) > num_ended:
                return True
            take_in_one_by_one(self.pending[:1], self.prefixes, replica, self.patience)
            del self.pending[0], self.prefixes[0]
        self.run_until(moment, stop_at_end=True)
        return len(replica.ended) > num_ended

    def note(self) -> None:
        """Whatever has ended will be answered."""
        ended = self.replica.ended
        if len(ended) > self.num_noted:
            for seq in ended[self.num_noted :]:
                if seq.status == COMPLETED:
                    heappush(self.answers, (seq.finish_time + self.after, seq.row, seq.num_prompt_tokens))
                elif seq.status != REJECTED:
                    assert self.patience is not None
                    heappush(self.answers, (self.patience.moment(seq), seq.row, seq.num_prompt_tokens))
            self.num_noted = len(ended)
        self.earliest_end = self.replica.earliest_end()
        if self.patience is not None:
            self.earliest_end = min(self.earliest_end, self.patience.next_moment())

    def take_answer(self) -> Answer:
        """The next one is back."""
        answer = heappop(self.answers)
        self.num_outstanding -= 1
        self.num_outstanding_tokens -= answer[2]
        return answer

    def settle(self, moment: float) -> None:
        """Every answer up to the moment is back; the replica runs no further than that needs."""
        while True:
            arrives = bool(self.pending) and self.pending[0][2] <= moment
            if not arrives and self.earliest_end > moment:
                break
            knows_end = not arrives and self.earliest_end > nextafter(self.replica.now, inf)
            until = self.earliest_end if knows_end else moment
            if self.view_delay:
                self.report_at(self.last_tick(until))
            if arrives:
                self.deliver(until)
            else:
                self.run_until(until)
            self.note()
        while self.answers and self.answers[0][0] <= moment:
            self.take_answer()

    def flush(self) -> None:
        self.recorder.flush(self.replica)
        self.num_noted = len(self.replica.ended)

    # --- what the engine reports ---

    @property
    def num_waiting(self) -> int:
        return self.report().num_waiting

    @property
    def num_running(self) -> int:
        return self.report().num_running

    @property
    def num_used_blocks(self) -> int:
        return self.report().num_used_blocks

    def num_cached_tokens(self, prefix: Prefix | None, num_prompt_tokens: int) -> int:
        replica = self.replica
        if prefix is None or not isinstance(replica, CachingReplica):
            return 0
        self.catch_up(self.clock.now)
        holding = Holding(prefix, num_prompt_tokens, self.block_size)
        return replica.cache.find(holding, (num_prompt_tokens - 1) // self.block_size)[0] * self.block_size

    def report(self) -> Report:
        now = self.clock.now
        return self.report_at(self.last_tick(now) if self.view_delay else now)

    def report_at(self, moment: float) -> Report:
        """The replica has not run beyond the moment, but for the step that is under way then."""
        if self.last_report.time < moment:
            self.catch_up(moment)
            num_ending = sum(answer[0] > moment for answer in self.answers)
            replica = self.replica
            self.last_report = Report(moment, len(replica.waiting), len(replica.members) + num_ending, replica.num_used_blocks_at(moment))
        return self.last_report

    def catch_up(self, moment: float) -> None:
        """Nothing is left to do that begins before the moment."""
        if self.pending or self.replica.seen_until < moment:
            self.deliver(moment)
            self.run_until(moment)
            self.note()

    def last_tick(self, moment: float) -> float:
        """When the engine last reported."""
        return min(floor(moment / self.view_delay) * self.view_delay, moment)
