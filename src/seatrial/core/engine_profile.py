"""What an engine adds to its kernels, and how far its kernels are from those that were timed alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from seatrial.core.accelerator import Fact

Setting = bool | int | float | str


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """Of one engine and version. docs/cost.md tells where each number acts. Times in seconds; scales multiply a curve's time.

    `attention_memory` is the share of the memory's bandwidth that decode attention reaches, None for the curve's own;
    `narrow_attention_memory` the same where the cache is stored smaller than it is multiplied (fp8).
    `scheduler` is its own way of batching, and `defaults` the arguments that it has where nobody gives them, by vLLM's names, as far as
    they differ from vLLM's.
    `expert_skew` is the exponent of the experts' popularity (rank^-skew): 0 for uniform routing.
    `sources` has the origin of every number by its name.
    """

    name: str
    scheduler: str
    defaults: Mapping[str, Setting]
    gemm_scale: float
    experts_scale: float
    unpacking_scale: float  # arithmetic of experts whose weights are unpacked to be multiplied, on top of experts_scale
    attention_scale: float  # arithmetic of prompt attention
    attention_memory: float | None
    narrow_attention_memory: float | None
    attention_fixed: float  # per attention layer and step
    elementwise_memory: float  # share of the bandwidth
    small_kernel_fixed: float
    small_kernels_per_mixer: float
    small_kernels_per_mlp: float
    small_kernels_per_moe: float
    small_kernels_per_step: float
    small_kernels_per_sort: float  # of a sampler that sorts logits
    small_kernels_per_penalty: float  # of one that penalises tokens
    all_reduce_fixed: float  # per all-reduce or all-gather, on top of its curve
    expert_imbalance: float  # fullest expert-parallel rank over the mean
    expert_skew: float
    sampler_bytes_per_logit: float  # the passes over the logits of every sampler
    penalty_bytes_per_logit: float  # the passes of one that penalises tokens
    sort_operations_per_logit: float  # fp32 operations of the vector units, where top_p or top_k sort the logits
    launch: float  # of one kernel by the host, where no CUDA graph is replayed
    per_step: float
    per_prompt_step: float
    per_sequence: float
    before_request: float
    after_token: float
    sources: Mapping[str, Fact]

    @property
    def kernels_alone(self) -> "EngineProfile":
        """With the kernels as they were timed alone: nothing makes them slower or faster than their curves."""
        return replace(
            self,
            gemm_scale=1.0,
            experts_scale=1.0,
            unpacking_scale=1.0,
            attention_scale=1.0,
            attention_memory=None,
            narrow_attention_memory=None,
        )
