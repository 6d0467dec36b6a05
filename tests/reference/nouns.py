"""What goes into a run of the reference, and what comes out."""

from dataclasses import dataclass, field
from math import ceil, floor
from typing import NamedTuple

from reference.cost import Sums

DEFAULT_WATERMARK = {"vllm-v0": 0.01, "sarathi": 0.01}


class Row(NamedTuple):
    arrival: float
    prompt: int
    output: int
    ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Config:
    """The engine's arguments. A `watermark` of None is the scheduler's default."""

    scheduler: str
    num_blocks: int
    block_size: int = 16
    max_num_seqs: int = 256
    max_num_batched_tokens: int = 2048
    max_model_len: int = 8192
    watermark: float | None = None
    long_prefill_token_threshold: int | None = None
    enable_chunked_prefill: bool = True
    scheduler_reserve_full_isl: bool = True
    pipeline_parallel: int = 1
    async_scheduling: bool = False
    enable_prefix_caching: bool = False
    prefix_block_tokens: int = 16
    timeout: float | None = None  # a client gives up that long after it asked

    @property
    def num_watermark_blocks(self) -> int:
        share = DEFAULT_WATERMARK.get(self.scheduler, 0.0) if self.watermark is None else self.watermark
        return floor(share * self.num_blocks)

    @property
    def num_reserved_blocks(self) -> int:
        """A reservation of `orca` and `static`."""
        return min(self.blocks_for(self.max_model_len), self.num_blocks)

    def blocks_for(self, num_tokens: int) -> int:
        return ceil(num_tokens / self.block_size)

    def rejects(self, row: Row) -> bool:
        return self.blocks_for(row.prompt + row.output - 1) > self.num_blocks or row.prompt + row.output > self.max_model_len


class Outcome(NamedTuple):
    """How a request fared. What never came is None."""

    status: str
    queue_time: float | None
    first_token: float | None
    finish: float | None
    num_preemptions: int
    num_cached_tokens: int = 0


class Step(NamedTuple):
    """One batch: scheduled at `start`, out of the last stage at `end`.

    `num_free_blocks` is as of its end, before what ends with it has freed its blocks; `num_free_blocks_after`, after that.
    """

    start: float
    end: float
    sums: Sums
    num_free_blocks: int
    num_free_blocks_after: int


@dataclass
class Run:
    """`gaps` has one entry per token that is not its request's first: the time since the one before, in the order they came.

    `peak_blocks` is the most that were held while a batch was computed.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    num_preemptions: int = 0
    peak_blocks: int = 0

    @property
    def num_steps(self) -> int:
        return len(self.steps)
