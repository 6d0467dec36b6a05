"""Small questions about blocks and sequences that schedulers and the engine share."""

from seatrial.core.scheduling import SchedulerView, SequenceView


def blocks_for(num_tokens: int, block_size: int) -> int:
    return -(-num_tokens // block_size)


def spare_blocks(view: SchedulerView, watermark: float, num_running: int) -> int:
    """Free blocks that admission must leave: the watermark's share, but nothing while nothing runs."""
    return int(watermark * view.num_blocks) if watermark and num_running else 0


def lacks_last_token(seq: SequenceView) -> bool:
    """Whether it is a decode: its prompt is computed and exactly one token is missing."""
    return seq.num_prompt_tokens <= seq.num_computed_tokens == seq.num_tokens - 1
