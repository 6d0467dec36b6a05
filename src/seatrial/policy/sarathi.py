"""Sarathi-Serve's stall-free batching: decodes first, prompt chunks in what is left of a token budget."""

from collections.abc import Sequence
from math import inf
from typing import ClassVar

from seatrial.core.deployment import EngineConfig
from seatrial.core.scheduling import Chunk, SchedulerView, SequenceView, StepPlan
from seatrial.policy.blocks import lacks_last_token
from seatrial.policy.chunks import begin_prompts, continue_prompts
from seatrial.policy.vllm_v0 import decode_in_order


class Sarathi:
    """First come first served; a prompt's blocks are all taken when it is admitted: docs/schedulers.md."""

    options: ClassVar[frozenset[str]] = frozenset({"max_num_batched_tokens", "watermark"})
    reserves = False
    pads = False
    whole_prompts = None
    max_decodes = inf

    def __init__(self, engine: EngineConfig) -> None:
        self.max_num_seqs = engine.max_num_seqs
        self.max_num_batched_tokens = engine.max_num_batched_tokens
        self.watermark = 0.01 if engine.watermark is None else engine.watermark

    def plan(self, view: SchedulerView) -> StepPlan:
        num_free = view.num_free_blocks_after_decodes
        if num_free < 0:
            return self.plan_short_of_blocks(view)
        chunks = self.continue_prompts(view.prefills, self.max_num_batched_tokens - view.num_decodes)
        budget = self.max_num_batched_tokens - view.num_decodes - sum([chunk.num_tokens for chunk in chunks])
        starting = begin_prompts(view, budget, num_free, max_num_seqs=self.max_num_seqs, watermark=self.watermark)
        return StepPlan([*chunks, *starting], num_admitted=len(starting))

    def plan_short_of_blocks(self, view: SchedulerView) -> StepPlan:
        """Decodes preempt; prompts that are still there go on; nobody is admitted."""
        room, num_served = decode_in_order(view)
        served, unserved = room.queue[:num_served], room.queue[num_served:]
        stalled = [seq for seq in unserved if view.is_decode(seq)]
        prompts = [seq for seq in view.prefills if seq in served or (seq in unserved and not lacks_last_token(seq))]
        num_decodes = sum(view.is_decode(seq) for seq in served)
        chunks = self.continue_prompts(prompts, self.max_num_batched_tokens - num_decodes)
        return StepPlan(chunks, preempted=room.preempted, stalled=stalled)

    def continue_prompts(self, prompts: Sequence[SequenceView], budget: int) -> list[Chunk]:
        """The next chunk of each prompt that has begun, while budget lasts. Those that lack just their last token go first, as decodes."""
        decodes = [Chunk(seq, 1, seq.num_blocks) for seq in prompts if lacks_last_token(seq)]
        return decodes + continue_prompts(prompts, budget - len(decodes))
