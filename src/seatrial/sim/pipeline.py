"""A replica whose layers are spread over several stages, so that several batches are in flight."""

from collections import Counter, deque
from collections.abc import Iterable
from math import inf, nextafter
from typing import NamedTuple

from seatrial.core.batch import Batch, StepCost
from seatrial.core.deployment import EngineConfig
from seatrial.core.errors import PolicyError
from seatrial.core.request import Prefix
from seatrial.core.scheduling import SequenceView, StepPlan
from seatrial.policy.scheduler import Scheduler
from seatrial.sim.caching import caching_replica
from seatrial.sim.decodes import DecodeSet
from seatrial.sim.log import pack_late, pack_step
from seatrial.sim.replica import Replica
from seatrial.sim.sequence import Sequence


class Flight(NamedTuple):
    """A batch on its way through the stages. `num_blocks` are those of its decodes, with the token that they are taking."""

    plan: StepPlan
    batch: Batch
    done: list[Sequence]
    decodes: DecodeSet
    num_blocks: int
    num_used_blocks: int
    start: float
    end: float


class PipelinedReplica(Replica):
    """Alive: a flow line of stages, as docs/schedulers.md says. `decodes` are those that are not in flight.

    It looks for work at two kinds of moments: when a batch comes out and when a request arrives. A lone decode batch still coasts.
    """

    def __init__(self, cost: StepCost, scheduler: Scheduler, engine: EngineConfig, num_blocks: int, num_stages: int) -> None:
        super().__init__(cost, scheduler, engine, num_blocks)
        self.in_flight: deque[Flight] = deque()
        self.stage_left = [-inf] * num_stages  # when the latest batch has left, or will leave, each stage
        self.num_in_flight: Counter[int] = Counter()  # chunks, by row
        self.last_end = -inf
        self.is_moment = False
        self.passes_horizon = False  # the step that passes it must be in flight when it comes

    # --- what a scheduler may know ---

    def running(self) -> Iterable[Sequence]:
        return [seq for seq in self.members.values() if self.is_decode(seq) or seq in self.prefills]

    def last_running(self) -> Sequence:
        return next(seq for seq in reversed(self.members.values()) if self.is_decode(seq) or seq in self.prefills)

    def is_decode(self, sequence: SequenceView) -> bool:
        seq = self.members[sequence.row]
        return seq.finish_step >= 0 and seq.home is self.decodes

    def can_preempt(self, sequence: SequenceView) -> bool:
        return not self.num_in_flight[sequence.row]

    # --- time goes on ---

    def arrive(
        self,
        row: int,
        arrival_time: float,
        ready_time: float,
        num_prompt_tokens: int,
        num_output_tokens: int,
        prefix: Prefix | None = None,
    ) -> bool:
        accepted = super().arrive(row, arrival_time, ready_time, num_prompt_tokens, num_output_tokens, prefix)
        self.is_moment |= accepted
        return accepted

    def run_until(self, horizon: float, *, stop_at_end: bool = False) -> None:
        """As for a single stage, but time stops at the horizon itself, with batches in flight."""
        self.stops_at_end = stop_at_end
        num_ended = len(self.ended)
        while True:
            if self.in_flight and self.in_flight[0].end <= self.now:
                self.land(self.in_flight.popleft())
            if self.now >= horizon or (stop_at_end and len(self.ended) > num_ended):
                return
            if self.is_moment:
                now = self.now
                if self.is_steady():
                    self.coast(horizon)
                if self.now > now:
                    continue
                self.launch_all()
                self.is_moment = False
            if not self.in_flight:
                return
            self.now = min(self.in_flight[0].end, horizon)

    def earliest_end(self) -> float:
        if self.in_flight:
            return self.in_flight[0].end
        return nextafter(self.now, inf) if self.is_busy else inf

    def is_steady(self) -> bool:
        """Whether one batch of decodes is all there is."""
        return not (self.in_flight or self.waiting or self.prefills) and 0 < self.decodes.count <= self.scheduler.max_decodes

    def run_short_of_blocks(self) -> None:
        """Nothing: whoever is to go is decided when the next batch is launched."""

    def launch_all(self) -> None:
        """Schedule batches until every stage has one or there is nothing to schedule."""
        while len(self.in_flight) < len(self.stage_left):
            plan = self.scheduler.plan(self) if self.has_choice() else StepPlan()
            num_leaving = len(plan.stalled) + sum(self.is_decode(seq) for seq in plan.preempted)
            if plan.chunks or (plan.run_decodes and self.decodes.count > num_leaving):
                self.launch(plan)
                continue
            self.make_way(plan)
            self.rejoin_stalled(plan)
            return

    def has_choice(self) -> bool:
        count = self.decodes.count
        return bool(self.waiting or self.prefills) or count > self.scheduler.max_decodes or self.blocks_after(1) > self.num_blocks

    def launch(self, plan: StepPlan) -> None:
        done: list[Sequence] = []
        used, batch = self.start_step(plan, done)
        lane = DecodeSet(self.block_size, self.window)
        if plan.run_decodes:
            self.decodes, lane = lane, self.decodes
            self.rejoin_stalled(plan)
        else:
            self.decodes.lag(self.now)
        num_blocks = 0 if self.reserves or not plan.run_decodes else lane.blocks_after(1)
        self.num_held_blocks += num_blocks
        self.num_in_flight.update(chunk.sequence.row for chunk in plan.chunks)
        end = self.flow_through(self.cost.step_time(batch))
        self.in_flight.append(Flight(plan._replace(stalled=()), batch, done, lane, num_blocks, used, self.now, end))

    def rejoin_stalled(self, plan: StepPlan) -> None:
        """The stalled are ready again, for the next batch."""
        for view in plan.stalled:
            self.rejoin(self.members[view.row], self.decodes)

    def flow_through(self, step_time: float) -> float:
        """Send a batch through the stages behind the one before it; when it leaves the last."""
        time = self.now
        for stage, left in enumerate(self.stage_left):
            self.stage_left[stage] = time = max(time, left) + step_time / len(self.stage_left)
        return time

    def land(self, flight: Flight) -> None:
        """A batch comes out, and its sequences are ready for the next."""
        self.num_held_blocks -= flight.num_blocks
        self.num_in_flight.subtract(chunk.sequence.row for chunk in flight.plan.chunks)
        ready, lane = self.decodes, flight.decodes
        if not ready.count:
            self.decodes = lane
        gaps = self.end_step(flight.plan, lane, flight.done, flight.start, flight.end)
        if lane is not self.decodes:
            self.merge(lane)
        if gaps:
            self.log.late += pack_late(flight.start, flight.end - flight.start, gaps)
        # Batches overlap; each counts the time that none before it has covered.
        start = max(flight.start, self.last_end)
        self.log.steps += pack_step(start, flight.end - start, 0, flight.num_used_blocks, *flight.batch)
        self.last_end = flight.end
        self.is_moment = True

    def merge(self, lane: DecodeSet) -> None:
        """Make the decodes of a batch that has come out one set with those that were ready before."""
        large, small = (self.decodes, lane) if self.decodes.count > lane.count else (lane, self.decodes)
        for finish, _, seq in small.heap:
            if seq.home is small and seq.finish_step == finish:  # one that left and came back is in the heap twice, and moves once
                small.leave(seq)
                large.join(seq, seq.last_token_time)
                if seq.last_token_time != self.now:
                    large.fall_behind(seq.last_token_time)
        self.decodes = large


def make_replica(cost: StepCost, scheduler: Scheduler, engine: EngineConfig, num_blocks: int, num_stages: int = 1) -> Replica:
    """A replica of one stage or of several, with a prefix cache or without."""
    if engine.enable_prefix_caching:
        if num_stages > 1:
            raise PolicyError(f"a pipeline of {num_stages} stages has no prefix cache; leave enable_prefix_caching out")
        return caching_replica(cost, scheduler, engine, num_blocks)
    if num_stages == 1:
        return Replica(cost, scheduler, engine, num_blocks)
    if engine.async_scheduling:
        raise PolicyError(f"a pipeline of {num_stages} stages schedules its batches ahead as it is; leave async_scheduling out")
    return PipelinedReplica(cost, scheduler, engine, num_blocks, num_stages)
