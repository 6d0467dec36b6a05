"""A replica whose blocks are known by what is in them: one with a prefix cache.

What a run of decodes fills is each sequence's own, so that only the number of blocks matters, and a jump stays a jump. The cache is
brought up to date before anybody looks at it or gives something back: then the blocks that were handed out since are taken from those that
are idle longest.
"""

from collections.abc import Iterable
from collections.abc import Sequence as Ordered
from typing import cast

from seatrial.core.batch import StepCost
from seatrial.core.deployment import EngineConfig
from seatrial.core.errors import PolicyError
from seatrial.core.request import Prefix
from seatrial.core.scheduling import Found, SequenceView, StepPlan
from seatrial.policy.blocks import blocks_for
from seatrial.policy.scheduler import CachingScheduler, Scheduler
from seatrial.sim.decodes import DecodeSet
from seatrial.sim.prefix_cache import Holding, PrefixCache
from seatrial.sim.replica import Replica
from seatrial.sim.sequence import Sequence


class CachingReplica(Replica):
    """Alive. `num_held_blocks` counts a block that several hold once: it is less by what the cache has as shared."""

    def __init__(self, cost: StepCost, scheduler: CachingScheduler, engine: EngineConfig, num_blocks: int) -> None:
        super().__init__(cost, scheduler, engine, num_blocks)
        self.admits = scheduler
        self.cache = PrefixCache(engine.block_size)
        self.num_admitted = 0
        self.completed: list[Sequence] = []  # in this step, or at the end of this run
        self.preempted: list[tuple[Sequence, int, int]] = []  # with their blocks and computed tokens; those still to give them back

    # --- what a scheduler may know ---

    def num_blocks_freed(self, sequence: SequenceView, others: Ordered[SequenceView]) -> int:
        num_blocks = super().num_blocks_freed(sequence, others)
        holding, *rest = [self.members[view.row].holding for view in (sequence, *others)]
        return self.cache.num_freed(holding, num_blocks, rest)

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
        accepted = super().arrive(row, arrival_time, ready_time, num_prompt_tokens, num_output_tokens)
        seq = self.waiting[-1] if accepted else self.ended[-1]
        seq.holding = Holding(prefix, num_prompt_tokens, self.block_size)
        return accepted

    def decide(self, horizon: float) -> None:
        if len(self.waiting) == 1 and not self.prefills and self.take_rest(self.waiting[0]):
            return
        plan = self.scheduler.plan(self)
        if plan.budget and self.waiting:
            plan = self.admit_one_by_one(plan)
        self.carry_out(plan, horizon)

    def take_rest(self, seq: Sequence) -> bool:
        """The step of a lone prompt of which all that is not cached can be computed at once; False if it is not such a case."""
        whole, block_size = self.scheduler.whole_prompts, self.block_size
        if whole is None or seq.num_preemptions or self.window is not None or len(self.members) >= whole.max_num_seqs:
            return False
        used = self.blocks_after(1)
        if used > self.num_blocks:
            return False
        self.bring_up_to_date(used)
        num_found, num_idle = self.cache.find(seq.holding, (seq.num_tokens - 1) // block_size)
        used += blocks_for(seq.num_tokens, block_size) - num_found + num_idle
        num_new = seq.num_tokens - num_found * block_size
        if num_new > whole.max_prompt_tokens or num_new + self.decodes.count > whole.max_step_tokens or used > self.num_blocks:
            return False
        self.take_found(seq, num_found)
        self.bring_up_to_date(used)
        self.cache.fill(seq.holding, seq.num_tokens // block_size)
        self.take_whole(seq, used, num_found * block_size)
        self.release_completed()
        return True

    def admit_one_by_one(self, plan: StepPlan) -> StepPlan:
        """Each who is admitted takes what it finds, then blocks for the rest, and shows what it fills to the next."""
        cache, block_size, budget, chunks = self.cache, self.block_size, plan.budget, list(plan.chunks)
        promised = self.decodes.blocks_after(1) + sum([chunk.num_blocks - chunk.sequence.num_blocks for chunk in chunks])
        self.bring_up_to_date(self.num_held_blocks + promised)
        for view, num_tokens, _ in chunks:
            cache.fill(self.members[view.row].holding, (view.num_computed_tokens + num_tokens) // block_size)
        while budget and self.waiting:
            seq = self.waiting[0]
            found = Found(*cache.find(seq.holding, (seq.num_tokens - 1) // block_size))
            chunk = self.admits.admit_next(self, found, budget, self.num_blocks - self.num_held_blocks - promised)
            if chunk is None:
                break
            self.take_found(seq, found.num_blocks)
            self.admit(1)
            promised += chunk.num_blocks
            self.bring_up_to_date(self.num_held_blocks + promised)
            cache.fill(seq.holding, (seq.num_computed_tokens + chunk.num_tokens) // block_size)
            budget -= chunk.num_tokens
            chunks.append(chunk)
        return plan._replace(chunks=chunks)

    def take_found(self, seq: Sequence, num_found_blocks: int) -> None:
        """The head of the queue, which is about to run, holds what is cached of it."""
        holding, cache = seq.holding, self.cache
        seq.num_computed_tokens = num_found_blocks * self.block_size
        if seq.start_time != seq.start_time:  # it is its first time
            holding.num_cached_tokens = seq.num_computed_tokens
        self.num_admitted += 1
        holding.admission = self.num_admitted
        num_shared = cache.num_shared
        cache.take(holding, num_found_blocks)
        self.num_held_blocks -= cache.num_shared - num_shared

    def hand_out(self, plan: StepPlan) -> None:
        """The blocks of this step are taken, and what it fills is cached. Those who went in vain leave after that."""
        self.bring_up_to_date(self.blocks_after(1 if plan.run_decodes else 0))
        for chunk in plan.chunks:
            seq = self.members[chunk.sequence.row]
            self.cache.fill(seq.holding, seq.num_computed_tokens // self.block_size)
        self.give_back(len(self.preempted))

    def end_run(self, decodes: DecodeSet, end: float) -> None:
        self.bring_up_to_date(self.blocks_after(0))
        super().end_run(decodes, end)
        self.release_completed()

    def end_step(self, plan: StepPlan, decodes: DecodeSet, done: Iterable[Sequence], start: float, end: float) -> int:
        gaps = super().end_step(plan, decodes, done, start, end)
        self.release_completed()
        return gaps

    # --- what happens to a sequence ---

    def complete(self, seq: Sequence, end: float) -> None:
        super().complete(seq, end)
        self.completed.append(seq)

    def give_up(self, seq: Sequence) -> None:
        is_running = seq.row in self.members
        num_computed_tokens = self.num_computed_tokens(seq) if is_running else 0
        if is_running:
            self.bring_up_to_date(self.blocks_after(0))
        super().give_up(seq)
        if is_running:
            self.let_go(seq, num_computed_tokens)

    def num_cached_tokens(self, seq: Sequence) -> int:
        return seq.holding.num_cached_tokens

    def make_way(self, plan: StepPlan) -> None:
        self.bring_up_to_date(self.blocks_after(0))
        super().make_way(plan)
        self.give_back(len(plan.preempted) - plan.num_in_vain)

    def preempt(self, seq: Sequence) -> None:
        """It leaves, but its blocks count as held until it gives them back."""
        num_blocks, num_computed_tokens = super().num_blocks_freed(seq, ()), self.num_computed_tokens(seq)
        super().preempt(seq)
        self.num_held_blocks += num_blocks
        self.preempted.append((seq, num_blocks, num_computed_tokens))

    def give_back(self, num_sequences: int) -> None:
        """The first so many of the preempted let go of their blocks."""
        for seq, num_blocks, num_computed_tokens in self.preempted[:num_sequences]:
            self.num_held_blocks -= num_blocks
            self.let_go(seq, num_computed_tokens)
        del self.preempted[:num_sequences]

    def release_completed(self) -> None:
        """In order of admission, since it decides who goes first when room is needed."""
        if not self.completed:
            return
        if len(self.completed) > 1:
            self.completed.sort(key=lambda seq: seq.holding.admission)
        for seq in self.completed:
            self.let_go(seq, seq.num_prompt_tokens + seq.num_output_tokens - 1)
        self.completed.clear()

    def let_go(self, seq: Sequence, num_computed_tokens: int) -> None:
        num_shared = self.cache.num_shared
        self.cache.release(seq.holding, num_computed_tokens // self.block_size)
        self.num_held_blocks += num_shared - self.cache.num_shared

    def bring_up_to_date(self, num_used_blocks: int) -> None:
        """So many blocks are held: what is idle must fit beside them."""
        excess = num_used_blocks + self.cache.num_idle - self.num_blocks
        if excess > 0:
            self.cache.evict(excess)


def caching_replica(cost: StepCost, scheduler: Scheduler, engine: EngineConfig, num_blocks: int) -> CachingReplica:
    if not hasattr(scheduler, "admit_next"):
        raise PolicyError(f"{type(scheduler).__name__} knows no prefix caching; leave enable_prefix_caching out, or use vllm-v1")
    return CachingReplica(cost, cast(CachingScheduler, scheduler), engine, num_blocks)
