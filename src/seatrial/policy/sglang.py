"""SGLang's scheduler: prompts first, in chunks of a token budget and in steps of their own; decodes when no prompt has work."""

from math import inf
from typing import ClassVar

from seatrial.core.deployment import EngineConfig
from seatrial.core.scheduling import Chunk, SchedulerView, StepPlan
from seatrial.policy.chunks import begin_prompts, continue_prompts
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
        begun = continue_prompts(view.prefills, self.max_num_batched_tokens)
        budget = self.max_num_batched_tokens - sum([chunk.num_tokens for chunk in begun])
        starting = begin_prompts(view, budget, view.num_free_blocks, max_num_seqs=self.max_num_seqs, watermark=self.watermark)
        if begun or starting:
            return StepPlan([*begun, *starting], num_admitted=len(starting), run_decodes=False)
        if view.num_free_blocks_after_decodes >= 0:
            return StepPlan([Chunk(seq, 1, seq.num_blocks) for seq in view.prefills])
        room, num_served = decode_in_order(view)
        served, unserved = room.queue[:num_served], room.queue[num_served:]
        chunks = [Chunk(seq, 1, seq.num_blocks) for seq in view.prefills if seq in served]
        stalled = [seq for seq in unserved if view.is_decode(seq)]
        return StepPlan(chunks, preempted=room.preempted, stalled=stalled)
