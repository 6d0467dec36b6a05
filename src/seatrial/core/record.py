"""What is left of a request, and of a run, when it is over: rows of fact."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Status(IntEnum):
    """How a request ended. The names in lower case are the values of the `status` column."""

    COMPLETED = 0
    REJECTED = 1
    SHED = 2
    FAILED = 3
    UNFINISHED = 4


@dataclass(frozen=True, slots=True)
class RequestRecords:
    """Some requests' facts, an array per field. A moment that never came is NaN. Times are on the trace's clock, in seconds."""

    row: NDArray[np.int64]
    arrival_time: NDArray[np.float64]
    num_prompt_tokens: NDArray[np.int64]
    num_output_tokens: NDArray[np.int64]
    num_cached_tokens: NDArray[np.int64]
    queue_time: NDArray[np.float64]
    first_token_time: NDArray[np.float64]
    finish_time: NDArray[np.float64]
    num_preemptions: NDArray[np.int64]
    status: NDArray[np.int8]
    pool: str = "main"
    replica: int = 0

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, slots=True)
class GapRuns:
    """Gaps between tokens, in runs: from `time` on, `num_steps` steps of `first + i * increment` seconds, `num_gaps` gaps each."""

    time: NDArray[np.float64]
    first: NDArray[np.float64]
    increment: NDArray[np.float64]
    num_steps: NDArray[np.int64]
    num_gaps: NDArray[np.int64]


@dataclass(slots=True)
class EngineTotals:
    """What a replica did, summed up while it ran.

    `num_prompt_steps` of the steps compute a chunk of a prompt or several, `num_prompt_chunks` in all. `steps_by_tokens[m]` counts the
    steps whose forward pass had `m` tokens. `kv_block_seconds` is the time integral of the blocks held while busy, by the trapezoid rule
    over each run of decode steps. `busy_time` is when at least one step is in flight.
    """

    num_steps: int = 0
    num_prompt_steps: int = 0
    num_prompt_chunks: int = 0
    busy_time: float = 0.0
    num_prompt_tokens: int = 0
    prompt_pairs: float = 0.0
    prompt_context: int = 0
    num_decodes: int = 0
    decode_context: int = 0
    num_sampled: int = 0
    window_pairs: float = 0.0
    window_prompt_context: int = 0
    window_decode_context: int = 0
    num_preemptions: int = 0
    peak_blocks: int = 0
    kv_block_seconds: float = 0.0
    steps_by_tokens: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of_all(cls, totals: Iterable["EngineTotals"]) -> "EngineTotals":
        """Of several replicas together; but `peak_blocks` is that of the fullest, since peaks need not coincide."""
        every = list(totals)
        summed = {each.name: sum(getattr(one, each.name) for one in every) for each in fields(cls) if each.name != "steps_by_tokens"}
        steps = Counter[int]()
        for one in every:
            steps.update(one.steps_by_tokens)
        return cls(**summed | {"peak_blocks": max((one.peak_blocks for one in every), default=0), "steps_by_tokens": dict(steps)})


@dataclass(frozen=True, slots=True)
class ReplicaFacts:
    """What became of a replica's requests, and what it did. `replica` counts within its pool, from 0."""

    replica: int
    num_requests: int
    num_completed: int
    num_output_tokens: int
    totals: EngineTotals


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """The replicas of one kind. `capacity_blocks` is what each of them has; `totals` and `work` are of all of them together."""

    name: str
    replicas: tuple[ReplicaFacts, ...]
    capacity_blocks: int
    block_size: int
    totals: EngineTotals
    work: "Work | None" = None


class Work(NamedTuple):
    """FLOPs and bytes of memory traffic of all steps together, and what all accelerators of a replica could do in a second."""

    flops: float
    bytes: float
    peak_flops: float
    peak_bandwidth: float
