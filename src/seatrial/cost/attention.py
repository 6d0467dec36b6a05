"""Attention over the cache: linear in a few sums of the batch."""

from dataclasses import dataclass
from typing import NamedTuple

from seatrial.core.deployment import Parallelism
from seatrial.core.model import Attention, LatentAttention, ModelSpec, NumberFormat, kv_elements
from seatrial.cost.operators import ACTIVATION_BYTES, Device
from seatrial.cost.parallelism import kv_heads_per_rank


@dataclass(frozen=True, slots=True)
class AttentionWork:
    """What one accelerator does for each unit of a batch's sums, all layers of one span (full, or windowed) together.

    A prompt costs `flops_per_pair` for each query-key product, and reads the keys and values of its `prompt_context`. Latent attention
    expands its cache to full keys and values in a prompt: `flops_per_cached_token` for each token of prompt context that is not new.
    A decode is linear in its context, in FLOPs as in bytes.
    """

    flops_per_pair: float = 0.0
    flops_per_cached_token: float = 0.0
    bytes_per_prompt_context: float = 0.0
    flops_per_decode_context: float = 0.0
    bytes_per_decode_context: float = 0.0

    def plus(self, other: "AttentionWork", count: int) -> "AttentionWork":
        return AttentionWork(
            self.flops_per_pair + count * other.flops_per_pair,
            self.flops_per_cached_token + count * other.flops_per_cached_token,
            self.bytes_per_prompt_context + count * other.bytes_per_prompt_context,
            self.flops_per_decode_context + count * other.flops_per_decode_context,
            self.bytes_per_decode_context + count * other.bytes_per_decode_context,
        )


class AttentionTimes(NamedTuple):
    """Seconds per unit of the sums, and what bounds a decode."""

    pair: float
    cached_token: float
    read: float
    decode_context: float
    decode_bound: str

    def prompt(self, pairs: float, cached: int, context: int) -> float:
        """Seconds for the prompt chunks of a step: the arithmetic or the reading, whichever is longer over the sums."""
        compute = self.pair * pairs + self.cached_token * cached
        read = self.read * context
        return compute if compute > read else read


def attention_work(model: ModelSpec, parallelism: Parallelism, kv_cache: NumberFormat, *, windowed: bool) -> AttentionWork:
    """Of all layers that look back all the way, or of all that have a sliding window."""
    work = AttentionWork()
    for group in model.layers:
        match group.mixer:
            case Attention() as mixer if bool(mixer.window) == windowed:
                work = work.plus(_grouped_query(mixer, parallelism.tensor_parallel, kv_cache), group.count)
            case LatentAttention() as mixer if not windowed:
                work = work.plus(_latent(mixer, parallelism.tensor_parallel, kv_cache), group.count)
    return work


def attention_times(work: AttentionWork, device: Device, data_parallel: int) -> AttentionTimes:
    """Sequences are spread evenly over the data-parallel ranks, so each rank has its share of every sum."""
    flops = device.attention_rate() * data_parallel
    bandwidth = device.bandwidth(device.efficiencies.attention_memory) * data_parallel
    compute, read = work.flops_per_decode_context / flops, work.bytes_per_decode_context / bandwidth
    return AttentionTimes(
        pair=work.flops_per_pair / flops,
        cached_token=work.flops_per_cached_token / flops,
        read=work.bytes_per_prompt_context / bandwidth,
        # both bounds are proportional to the context, so the larger one is so for any context: no switch within a run of decodes
        decode_context=max(compute, read),
        decode_bound="compute" if compute > read else "memory",
    )


def _grouped_query(mixer: Attention, tensor: int, kv_cache: NumberFormat) -> AttentionWork:
    flops = 4 * mixer.num_heads * mixer.head_dim / tensor
    num_bytes = 2 * kv_heads_per_rank(mixer.num_kv_heads, tensor) * mixer.head_dim * kv_cache.bytes_per_element
    return AttentionWork(flops, 0.0, num_bytes, flops, num_bytes)


def _latent(mixer: LatentAttention, tensor: int, kv_cache: NumberFormat) -> AttentionWork:
    heads = mixer.num_heads / tensor
    entry = kv_elements(mixer) * kv_cache.bytes_per_element
    query_key = mixer.qk_nope_head_dim + mixer.qk_rope_head_dim
    expanded = heads * (query_key + mixer.v_head_dim) * ACTIVATION_BYTES
    return AttentionWork(
        flops_per_pair=2 * heads * (query_key + mixer.v_head_dim),
        flops_per_cached_token=2 * mixer.kv_lora_rank * heads * (mixer.qk_nope_head_dim + mixer.v_head_dim),
        bytes_per_prompt_context=entry + 2 * expanded,  # written once, read once
        # absorbed: every head works on the latent itself, which all heads share
        flops_per_decode_context=2 * heads * (kv_elements(mixer) + mixer.kv_lora_rank),
        bytes_per_decode_context=entry,
    )
