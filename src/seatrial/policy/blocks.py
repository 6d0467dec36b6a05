"""Arithmetic of KV blocks that schedulers share."""

from seatrial.core.scheduling import SchedulerView


def blocks_for(num_tokens: int, block_size: int) -> int:
    return -(-num_tokens // block_size)


def spare_blocks(view: SchedulerView, watermark: float, num_running: int) -> int:
    """Free blocks that admission must leave: the watermark's share, but nothing while nothing runs."""
    return int(watermark * view.num_blocks) if watermark and num_running else 0
