"""Attention over the cache: linear in a few sums of the batch."""

from dataclasses import dataclass
from typing import NamedTuple

from seatrial.core.curves import DecodeCurve, PromptCurve
from seatrial.core.deployment import Parallelism
from seatrial.core.model import FORMATS, Attention, LatentAttention, ModelSpec, NumberFormat, kv_elements
from seatrial.cost.kernels import ACTIVATION_BYTES, pair_rate, query_bytes
from seatrial.cost.operators import Device, Use
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
    """Seconds per unit of the sums, all layers of one span together, and what bounds a decode.

    `token` is the queries and outputs of a prompt's token, `row` what a sequence costs whatever its context.
    """

    pair: float = 0.0
    cached_token: float = 0.0
    read: float = 0.0
    token: float = 0.0
    decode_context: float = 0.0
    row: float = 0.0
    decode_bound: str = "memory"
    prompt_use: Use | None = None
    decode_use: Use | None = None

    def prompt(self, pairs: float, cached: int, context: int, tokens: int) -> float:
        """Seconds for the prompt chunks of a step: the arithmetic or the reading, whichever is longer over the sums."""
        compute = self.pair * pairs + self.cached_token * cached
        read = self.read * context
        return (compute if compute > read else read) + self.token * tokens

    def decode(self, context: float, sequences: float) -> float:
        return self.decode_context * context + self.row * sequences


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


def attention_times(
    model: ModelSpec, parallelism: Parallelism, kv_cache: NumberFormat, device: Device, *, windowed: bool
) -> AttentionTimes:
    """Sequences are spread evenly over the data-parallel ranks, so each rank has its share of every sum."""
    tensor, times = parallelism.tensor_parallel, AttentionTimes()
    for group in model.layers:
        match group.mixer:
            case Attention() as mixer if bool(mixer.window) == windowed:
                work = _grouped_query(mixer, tensor, kv_cache)
                kv_heads = kv_heads_per_rank(mixer.num_kv_heads, tensor)
                shape = _Shape("", mixer.num_heads / tensor, kv_heads, mixer.head_dim, mixer.head_dim, 2 * mixer.head_dim)
            case LatentAttention() as mixer if not windowed:
                work = _latent(mixer, tensor, kv_cache)
                heads, query_key = mixer.num_heads / tensor, mixer.qk_nope_head_dim + mixer.qk_rope_head_dim
                shape = _Shape("latent_", heads, heads, query_key, mixer.v_head_dim, kv_elements(mixer))
            case _:
                continue
        times = _plus(times, _group_times(work, shape, kv_cache, device), group.count / parallelism.data_parallel)
    return times


class _Shape(NamedTuple):
    """Of one layer on one rank; `prefix` begins the names of its curves, `entry` is what the cache has of a token and KV head."""

    prefix: str
    heads: float
    kv_heads: float
    query_key: int
    value: int
    entry: int


def _group_times(work: AttentionWork, shape: _Shape, kv_cache: NumberFormat, device: Device) -> AttentionTimes:
    peaks, profile = device.plain_peaks, device.profile
    sizes = {"head_dim": shape.query_key, "value_dim": shape.value, "entry": shape.entry, "heads": shape.heads, "kv_heads": shape.kv_heads}
    prompt = device.attention(f"{shape.prefix}prompt_attention", FORMATS["bf16"], **sizes)
    decode = device.attention(f"{shape.prefix}decode_attention", kv_cache, **sizes)
    assert isinstance(prompt.fitted.curve, PromptCurve)
    assert isinstance(decode.fitted.curve, DecodeCurve)
    rate = float(pair_rate(prompt.fitted.curve, shape.heads, peaks.flops))
    streaming = float(query_bytes(shape.heads, shape.query_key, shape.value)) / (peaks.bandwidth * prompt.fitted.curve.memory)
    narrow = kv_cache.bytes_per_element < ACTIVATION_BYTES
    reached = profile.narrow_attention_memory if narrow else profile.attention_memory
    reading = peaks.bandwidth * (reached or decode.fitted.curve.memory)
    compute = work.flops_per_decode_context / (peaks.flops * decode.fitted.curve.compute)
    read = work.bytes_per_decode_context / reading
    return AttentionTimes(
        pair=profile.attention_scale * work.flops_per_pair / rate,
        cached_token=profile.attention_scale * work.flops_per_cached_token / rate,
        read=work.bytes_per_prompt_context / reading,
        token=profile.attention_scale * streaming,
        # both bounds are proportional to the context, so the larger one is so for any context: no switch within a run of decodes
        decode_context=max(compute, read),
        row=decode.fitted.curve.per_row * shape.heads,
        decode_bound="compute" if compute > read else "memory",
        prompt_use=prompt,
        decode_use=decode,
    )


def _plus(times: AttentionTimes, own: AttentionTimes, count: float) -> AttentionTimes:
    """Bounds and curves are those of the larger part."""
    larger = own if count * own.decode_context >= times.decode_context else times
    return AttentionTimes(
        times.pair + count * own.pair,
        times.cached_token + count * own.cached_token,
        times.read + count * own.read,
        times.token + count * own.token,
        times.decode_context + count * own.decode_context,
        times.row + count * own.row,
        larger.decode_bound,
        larger.prompt_use,
        larger.decode_use,
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
