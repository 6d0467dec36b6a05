"""Prompt work out of a token budget, where a prompt holds the blocks of all its tokens from admission on."""

from collections.abc import Iterable

from seatrial.core.scheduling import Chunk, SchedulerView, SequenceView
from seatrial.policy.blocks import blocks_for, lacks_last_token, spare_blocks


def continue_prompts(prompts: Iterable[SequenceView], budget: int) -> list[Chunk]:
    """The next chunk of each prompt that has begun, while budget lasts. One that lacks just its last token is a decode, and left out."""
    chunks: list[Chunk] = []
    for seq in prompts:
        if lacks_last_token(seq):
            continue
        num_tokens = min(seq.num_tokens - seq.num_computed_tokens, budget)
        if num_tokens <= 0:
            break
        chunks.append(Chunk(seq, num_tokens, seq.num_blocks))
        budget -= num_tokens
    return chunks


def begin_prompts(view: SchedulerView, budget: int, num_free: int, *, max_num_seqs: int, watermark: float) -> list[Chunk]:
    """The first chunk of each waiting prompt, from the front, while budget, places and `num_free` blocks last: nobody overtakes."""
    chunks: list[Chunk] = []
    num_running = view.num_running
    for seq in view.waiting:
        num_blocks = blocks_for(seq.num_tokens, view.block_size)
        if budget <= 0 or num_running >= max_num_seqs or num_blocks > num_free - spare_blocks(view, watermark, num_running):
            break
        num_tokens = min(seq.num_tokens, budget)
        chunks.append(Chunk(seq, num_tokens, num_blocks))
        num_running += 1
        num_free -= num_blocks
        budget -= num_tokens
    return chunks
