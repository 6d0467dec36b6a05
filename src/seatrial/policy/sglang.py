"""SGLang's scheduler: prompts first, in chunks of a token budget and in steps of their own; decodes when no prompt has work."""

from math import inf
from typing import ClassVar

from seatrial.core.deployment import EngineConfig
from seatrial.core.scheduling import Chunk, SchedulerView, StepPlan
from seatrial.policy.blocks import blocks_for, lacks_last_token, spare_blocks
from seatrial.policy.vllm_v0 import decode_in_order


class Sglang:
    """First come first served, `max_num_batched_tokens` is its `chunked_prefill_size`: docs/schedulers.md."""

    options: ClassVar[frozenset[str]] = frozenset({"max_num_batched_tokens", "watermark", "async_scheduling"})
    reserves = False
    pads = False
    whole_prompts = None
    max_decodes = inf

    def __init__(self, engine: EngineConfig) -> None:
        self.max_num_seqs = engine.max_num_seqs
        self.max_num_batched_tokens = engine.max_num_batched_tokens
        self.watermark = engine.watermark or 0.0

    def plan(self, view: SchedulerView) -> StepPlan:
        chunks = self.continue_prompts(view)
        num_continued = len(chunks)
        self.admit(view, chunks)
        if chunks:
            return StepPlan(chunks, num_admitted=len(chunks) - num_continued, run_decodes=False)
        if view.num_free_blocks_after_decodes >= 0:
            return StepPlan([Chunk(seq, 1, seq.num_blocks) for seq in view.prefills])
        room, num_served = decode_in_order(view)
        served, unserved = room.queue[:num_served], room.queue[num_served:]
        chunks = [Chunk(seq, 1, seq.num_blocks) for seq in view.prefills if seq in served]
        stalled = [seq for seq in unserved if view.is_decode(seq)]
        return StepPlan(chunks, preempted=room.preempted, stalled=stalled)

    def continue_prompts(self, view: SchedulerView) -> list[Chunk]:
        """The next chunk of prompts that have begun. One that lacks just its last token is a decode, and waits for those."""
        budget = self.max_num_batched_tokens
        chunks: list[Chunk] = []
        for seq in view.prefills:
            if lacks_last_token(seq):
                continue
            num_tokens = min(seq.num_tokens - seq.num_computed_tokens, budget)
            if num_tokens == 0:
                break
            chunks.append(Chunk(seq, num_tokens, seq.num_blocks))
            budget -= num_tokens
        return chunks

    def admit(self, view: SchedulerView, chunks: list[Chunk]) -> None:
        """Add chunks of the waiting prompts, from the front, while budget, places and blocks last."""
        budget = self.max_num_batched_tokens - sum([chunk.num_tokens for chunk in chunks])
        num_running, num_free = view.num_running, view.num_free_blocks
        for seq in view.waiting:
            num_blocks = blocks_for(seq.num_tokens, view.block_size)
            if budget == 0 or num_running >= self.max_num_seqs or num_blocks > num_free - spare_blocks(view, self.watermark, num_running):
                break
            chunks.append(Chunk(seq, min(seq.num_tokens, budget), num_blocks))
            num_running += 1
            num_free -= num_blocks
            budget -= chunks[-1].num_tokens
