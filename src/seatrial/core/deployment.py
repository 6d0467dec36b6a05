"""A replica on paper: how a model is laid over accelerators, and how its engine is set."""

from dataclasses import dataclass
from typing import NamedTuple

ALLGATHER = "allgather_reducescatter"
ALL2ALL_BACKENDS = (ALLGATHER, "deepep_high_throughput", "deepep_low_latency")
"""vLLM's names for how tokens get to experts of other data-parallel ranks: all to everybody (its default), or each where it must."""


@dataclass(frozen=True, slots=True)
class Parallelism:
    """How many accelerators share the work, and along what.

    Attention is split over `tensor_parallel`, layers over `pipeline_parallel`, sequences over `data_parallel` (each rank has its own
    KV cache). With `expert_parallel` the experts are spread over all `tensor_parallel * data_parallel` ranks, else each is split by tensor.
    """

    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1
    expert_parallel: bool = False
    all2all_backend: str = ALLGATHER

    @property
    def num_accelerators(self) -> int:
        return self.tensor_parallel * self.pipeline_parallel * self.data_parallel


class Captured(NamedTuple):
    """Which steps are captured as CUDA graphs, up to the largest size: those with prompts, and those of decodes alone."""

    prompts: bool
    decodes: bool


CUDAGRAPH_MODES = {
    "NONE": Captured(prompts=False, decodes=False),
    "PIECEWISE": Captured(prompts=True, decodes=True),
    "FULL": Captured(prompts=True, decodes=True),
    "FULL_DECODE_ONLY": Captured(prompts=False, decodes=True),
    "FULL_AND_PIECEWISE": Captured(prompts=True, decodes=True),
}
"""By vLLM's names."""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """The engine's arguments under vLLM's names. Per data-parallel rank where vLLM's are."""

    max_num_seqs: int
    max_num_batched_tokens: int
    max_model_len: int
    block_size: int = 16
    gpu_memory_utilization: float = 0.9
    enable_chunked_prefill: bool = True
    long_prefill_token_threshold: int | None = None
    scheduler_reserve_full_isl: bool = True
    enable_prefix_caching: bool = False
    async_scheduling: bool = False  # plan a step when the one before it starts
    watermark: float | None = None  # share of the blocks that admission leaves free; None for the scheduler's own
    kv_cache_dtype: str = "auto"
    cudagraph_mode: str = "FULL_AND_PIECEWISE"  # which steps run as captured graphs: see CUDAGRAPH_MODES
    max_cudagraph_capture_size: int | None = None  # tokens; None for vLLM's default
    generation_config: str = "auto"  # how requests sample that do not say it: as the model's own file says, or plainly (vllm)
    num_gpu_blocks_override: int | None = None
