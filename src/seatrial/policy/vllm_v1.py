"""vLLM's V1 scheduler: one token budget per step, running sequences first, then chunks of the waiting prompts."""

from collections.abc import Iterable
from typing import ClassVar

from seatrial.core.deployment import EngineConfig
from seatrial.core.scheduling import Chunk, Found, SchedulerView, SequenceView, StepPlan
from seatrial.policy.blocks import blocks_for, spare_blocks
from seatrial.policy.room import Room
from seatrial.policy.scheduler import WholePrompts


class VllmV1:
    """First come first served, chunked prefill, preemption by recomputation: docs/schedulers.md, to the letter."""

    options: ClassVar[frozenset[str]] = frozenset(
        {
            "max_num_batched_tokens",
            "enable_chunked_prefill",
            "long_prefill_token_threshold",
            "scheduler_reserve_full_isl",
            "watermark",
            "enable_prefix_caching",
            "async_scheduling",
        }
    )
    reserves = False
    pads = False

    def __init__(self, engine: EngineConfig) -> None:
        self.max_num_seqs = engine.max_num_seqs
        self.max_num_batched_tokens = engine.max_num_batched_tokens
        self.max_decodes = engine.max_num_batched_tokens
        self.max_chunk = engine.long_prefill_token_threshold or engine.max_num_batched_tokens
        self.enable_chunked_prefill = engine.enable_chunked_prefill
        self.reserve_full_isl = engine.scheduler_reserve_full_isl
        self.watermark = engine.watermark or 0.0
        self.enable_prefix_caching = engine.enable_prefix_caching
        budget = engine.max_num_batched_tokens
        self.whole_prompts = None if self.watermark else WholePrompts(min(self.max_chunk, budget), budget, engine.max_num_seqs)

    def plan(self, view: SchedulerView) -> StepPlan:
        budget = self.max_num_batched_tokens - view.num_decodes
        num_free = view.num_free_blocks_after_decodes
        if budget < 0 or num_free < 0:
            return self.plan_in_order(view)
        chunks: list[Chunk] = []
        if view.prefills:
            chunks = [self.chunk(seq, budget, view.block_size) for seq in view.prefills]
            wanted = sum([chunk.num_tokens for chunk in chunks])
            num_free -= sum([chunk.num_blocks - chunk.sequence.num_blocks for chunk in chunks])
            # Order matters only to those who do not get all that they want; a lone prompt behind all decodes has what they leave.
            alone_and_last = len(chunks) == 1 and view.last_running() is chunks[0].sequence
            if num_free < 0 or not ((alone_and_last and 0 < wanted <= budget) or self.all_served(chunks, budget, wanted)):
                return self.plan_in_order(view)
            budget -= wanted
        return self.admit(view, chunks, budget, num_free)

    def chunk(self, seq: SequenceView, budget: int, block_size: int) -> Chunk:
        computed = seq.num_computed_tokens
        num_tokens = min(seq.num_tokens - computed, self.max_chunk, budget)
        return Chunk(seq, num_tokens, blocks_for(computed + num_tokens, block_size))

    def all_served(self, chunks: Iterable[Chunk], budget: int, wanted: int) -> bool:
        """Whether the budget suffices for what each prompt would take had it all to itself."""
        return wanted <= budget and all(
            chunk.num_tokens == min(chunk.sequence.num_tokens - chunk.sequence.num_computed_tokens, self.max_chunk) for chunk in chunks
        )

    def plan_in_order(self, view: SchedulerView) -> StepPlan:
        """The running pass sequence by sequence, where budget or blocks do not suffice for all."""
        room = Room(view, list(view.running()), view.num_free_blocks)
        budget = self.max_num_batched_tokens
        chunks: list[Chunk] = []
        place = 0
        while place < len(room.queue) and budget > 0:
            seq = room.queue[place]
            if view.is_decode(seq):
                served = room.take_for_decode(place)
                num_tokens = 1
            else:
                chunk = self.chunk(seq, budget, view.block_size)
                served = room.take(place, chunk.num_blocks - seq.num_blocks)
                num_tokens = chunk.num_tokens
                if served:
                    chunks.append(chunk)
            if not served:
                break
            budget -= num_tokens
            place += 1
        stalled = [seq for seq in room.queue[place:] if view.is_decode(seq)]
        if room.closed:
            return StepPlan(chunks, preempted=room.preempted, stalled=stalled, num_in_vain=room.num_in_vain)
        return self.admit(view, chunks, budget, room.num_free_blocks, stalled)

    def admit(self, view: SchedulerView, chunks: list[Chunk], budget: int, num_free: int, stalled: Iterable[SequenceView] = ()) -> StepPlan:
        """Chunks of the waiting prompts, from the front, while budget, places and blocks last: nobody overtakes."""
        if self.enable_prefix_caching:
            return StepPlan(chunks, stalled=tuple(stalled), budget=budget)
        num_continued = len(chunks)
        num_running = view.num_running
        block_size = view.block_size
        for seq in view.waiting:
            if budget == 0 or num_running >= self.max_num_seqs:
                break
            num_missing = seq.num_tokens
            num_tokens = num_missing if num_missing <= self.max_chunk else self.max_chunk
            if num_tokens > budget:
                if not self.enable_chunked_prefill:
                    break
                num_tokens = budget
            num_blocks = -(-num_tokens // block_size)
            needed = -(-num_missing // block_size) if self.reserve_full_isl else num_blocks
            if self.watermark:
                needed += spare_blocks(view, self.watermark, num_running)
            if needed > num_free:
                break
            chunks.append(Chunk(seq, num_tokens, num_blocks))
            num_running += 1
            num_free -= num_blocks
            budget -= num_tokens
        return StepPlan(chunks, len(chunks) - num_continued, True, (), tuple(stalled))

    def admit_next(self, view: SchedulerView, found: Found, budget: int, num_free_blocks: int) -> Chunk | None:
        """As above for the head alone, which begins behind what is cached of it."""
        if view.num_running >= self.max_num_seqs:
            return None
        seq, block_size = view.waiting[0], view.block_size
        offset = found.num_blocks * block_size
        num_tokens = min(seq.num_tokens - offset, self.max_chunk)
        if num_tokens > budget:
            if not self.enable_chunked_prefill:
                return None
            num_tokens = budget
        num_blocks = blocks_for(offset + num_tokens, block_size)
        needed = blocks_for(seq.num_tokens, block_size) if self.reserve_full_isl else num_blocks
        needed += found.num_idle_blocks - found.num_blocks
        if needed + spare_blocks(view, self.watermark, view.num_running) > num_free_blocks:
            return None
        return Chunk(seq, num_tokens, num_blocks)
