"""vLLM's V0 scheduler: prompts first, in steps of their own; decodes when no prompt can start."""

from math import inf
from typing import ClassVar

from seatrial.core.deployment import EngineConfig
from seatrial.core.scheduling import Chunk, SchedulerView, StepPlan
from seatrial.policy.blocks import blocks_for, spare_blocks
from seatrial.policy.room import Room


class VllmV0:
    """First come first served, whole prompts, preemption by recomputation: docs/schedulers.md."""

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
        if chunks := self.prompts(view):
            return StepPlan(chunks, num_admitted=len(chunks), run_decodes=False)
        if view.num_free_blocks_after_decodes >= 0:
            return StepPlan()
        room, num_served = decode_in_order(view)
        stalled = [seq for seq in room.queue[num_served:] if view.is_decode(seq)]
        return StepPlan(preempted=room.preempted, stalled=stalled)

    def prompts(self, view: SchedulerView) -> list[Chunk]:
        """Whole prompts from the front, while places, budget and blocks last."""
        chunks: list[Chunk] = []
        budget = self.max_num_batched_tokens
        num_running, num_free = view.num_running, view.num_free_blocks
        for seq in view.waiting:
            num_blocks = blocks_for(seq.num_tokens, view.block_size)
            if num_running >= self.max_num_seqs or num_blocks > num_free - spare_blocks(view, self.watermark, num_running):
                break
            if chunks and seq.num_tokens > budget:  # the first may be longer than the whole budget: nothing else would ever run it
                break
            chunks.append(Chunk(seq, seq.num_tokens, num_blocks))
            num_running += 1
            num_free -= num_blocks
            budget -= seq.num_tokens
        return chunks


def decode_in_order(view: SchedulerView) -> tuple[Room, int]:
    """One token for each decode in order of admission, preempting the last running where blocks are short.

    Gives the room that is left, and how far down its queue the pass came: decodes behind get no token in this step.
    """
    room = Room(view, list(view.running()), view.num_free_blocks)
    place = 0
    while place < len(room.queue):
        if view.is_decode(room.queue[place]) and not room.take_for_decode(place):
            break
        place += 1
    return room, place
