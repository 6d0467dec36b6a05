"""How much of an accelerator's peaks real kernels reach, and what an engine adds around them.

Marks: S measured or stated in a source, F fitted by us, M known from practice, I inferred. docs/cost.md tells the story of each.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Efficiencies:
    """Shares of peak and fixed times of kernels, the same for every accelerator. Shares are in (0, 1], times in seconds."""

    # F: bf16 GEMM times of A100 to B200 in the aiconfigurator tables give 0.7 to 0.85, 0.72 to 0.89, 2 to 6 us and 9 to 39 rows, with
    # a median error of 4 to 8 %; within that, share of bandwidth and fixed time are those that fit whole decode steps of vLLM on H100
    gemm_compute: float = 0.80
    gemm_memory: float = 0.88
    gemm_fixed: float = 3e-6
    gemm_half_rows: float = 16.0  # rows of work that a GEMM of any height also pays: about one matrix-unit tile
    weight_only_compute: float = 0.85  # M: unpacking 4-bit weights next to a bf16 GEMM, 0.7 to 0.95
    attention_compute: float = 0.60  # M: FlashAttention-3 and FlashMLA on long sequences, 0.5 to 0.75
    attention_memory: float = 0.90  # M: 0.6 to 0.85 in papers; F: 0.94 with FlashAttention-3, 0.3 with FlashAttention-2 on A100
    attention_fixed: float = 6e-6  # F: floor of one layer's attention in vLLM on H100
    elementwise_memory: float = 0.80  # S: aiconfigurator
    small_kernel_fixed: float = 4.3e-6  # F: +- 0.9 us, vLLM on H100
    small_kernels_per_mixer: int = 3  # I: norm, rotary embedding, cache write
    small_kernels_per_mlp: int = 2  # I: norm, activation
    small_kernels_per_moe: int = 5  # I: norm, top-k, align, activation, reduce
    small_kernels_per_step: int = 3  # I: embedding, final norm, gather
    network: float = 0.80  # M: large messages reach 0.75 to 0.9 of a link
    all_reduce_fixed: float = 7.4e-6  # F: +- 2 us on top of the links' own latency, vLLM on H100
    all_to_all_fixed: float = 20e-6  # M: DeepEP class, 20 to 60 us inside a node
    point_to_point_fixed: float = 10e-6  # S: aiconfigurator
    expert_imbalance: float = 1.2  # M: fullest expert-parallel rank over the mean; 1.1 to 1.3 with balancing, 1.5 to 3 without
    sampler_bytes_per_logit: float = 600.0  # F: 18.5 us per sequence and 1e5 vocabulary on H100 (top-p sort); about 30 when greedy


@dataclass(frozen=True, slots=True)
class EngineOverheads:
    """Seconds that the engine spends beside its kernels. They belong to an engine and version: these fit vLLM 0.15 on H100 hosts."""

    per_step: float = 0.27e-3  # F: +- 0.23 ms
    per_prompt_step: float = 0.2e-3  # F: only when the step has a prompt chunk
    per_sequence: float = 2e-6  # I: scheduling and output handling that the GPU's time does not hide
    before_request: float = 7.3e-3  # F: +- 1 ms, HTTP and tokenising
    after_token: float = 0.5e-3  # F: detokenising and streaming


DEFAULT_EFFICIENCIES = Efficiencies()
VLLM_ON_H100 = EngineOverheads()
