"""A model as the sum of its layers: shapes, parameter counts, bytes of weights and of cache."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


class NumberFormat(NamedTuple):
    """How numbers are stored, scales and zero points included, and the precision that matrix units can use for them.

    `name` says what the matrix units see; the same name may come with other bytes where scales are coarser or finer.
    `int8_weight` is stored in 8 bits and multiplied in the compute format, as `int4` is.
    """

    name: str
    bytes_per_element: float


FORMATS = {
    f.name: f
    for f in (
        NumberFormat("fp32", 4.0),
        NumberFormat("bf16", 2.0),
        NumberFormat("fp16", 2.0),
        NumberFormat("fp8", 1.0),
        NumberFormat("fp8_block", 1.0 + 4 / 128**2),  # an fp32 scale per 128 x 128 block
        NumberFormat("int8", 1.0),
        NumberFormat("int8_weight", 1.0 + 3 / 128),  # groups of 128: an fp16 scale and an 8-bit zero point
        NumberFormat("int4", 0.5 + 2.5 / 128),  # groups of 128: an fp16 scale and a packed 4-bit zero point
        NumberFormat("nvfp4", 0.5 + 1 / 16),  # an e4m3 scale per 16
        NumberFormat("mxfp4", 0.5 + 1 / 32),  # an e8m0 scale per 32
    )
}


@dataclass(frozen=True, slots=True)
class Attention:
    """MHA, GQA or MQA. `window` is how far a token looks back; None for all the way.

    Attention within chunks (Llama 4) is read as a window of one chunk, its upper bound: on average a token looks back half a chunk.
    """

    num_heads: int
    num_kv_heads: int
    head_dim: int
    window: int | None = None
    output_gate: bool = False  # a gate as wide as the queries, projected beside them (Qwen3-Next)
    qk_norm: bool = False  # queries and keys are normed, each by a kernel of its own
    num_extra_parameters: int = 0  # biases, q/k norms, sinks
    norm_spans_heads: bool = False  # queries and keys are normed over all heads together, which tensor-parallel ranks must sum up


@dataclass(frozen=True, slots=True)
class LatentAttention:
    """Multi-head latent attention (DeepSeek-V2): the cache holds `kv_lora_rank + qk_rope_head_dim` numbers per token and layer."""

    num_heads: int
    q_lora_rank: int | None
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    num_extra_parameters: int = 0


@dataclass(frozen=True, slots=True)
class StateSpace:
    """A recurrent mixer (Mamba, Mamba-2, gated DeltaNet ...): a fixed state per sequence instead of a cache that grows.

    `num_parameters` are those of its projections (all read each step); `state_elements` is the size of one sequence's state,
    convolution window included; `flops_per_token` is the scan and the convolution alone, without the projections.
    """

    num_parameters: int
    state_elements: int
    flops_per_token: float
    num_extra_parameters: int = 0  # convolution, decay, norms, biases
    state_format: NumberFormat = FORMATS["bf16"]


@dataclass(frozen=True, slots=True)
class Mlp:
    """A dense feed-forward block; gated ones (SwiGLU, GeGLU) have three matrices, others two."""

    intermediate_size: int
    gated: bool = True
    num_extra_parameters: int = 0


@dataclass(frozen=True, slots=True)
class Moe:
    """A mixture of experts. `shared_intermediate_size` is the width of all shared experts together, 0 without any."""

    num_experts: int
    num_experts_per_tok: int
    intermediate_size: int
    shared_intermediate_size: int = 0
    gated: bool = True
    num_extra_parameters: int = 0  # router bias, expert biases, shared-expert gate


Mixer = Attention | LatentAttention | StateSpace
FeedForward = Mlp | Moe


@dataclass(frozen=True, slots=True)
class Layers:
    """`count` layers that are all alike. `num_norm_parameters` is per layer. `feed_forward` is None for a mixer-only layer (Mamba)."""

    count: int
    mixer: Mixer | None
    feed_forward: FeedForward | None
    num_norm_parameters: int = 0


@dataclass(frozen=True, slots=True)
class Formats:
    """The number format of each part of the weights. Norms and router stay in the compute format, which is bf16.

    One format per part: where a checkpoint leaves a few layers of a part unquantised, the part has the format of most of its layers.
    `attention` holds for every mixer, recurrent ones too.
    """

    attention: NumberFormat = FORMATS["bf16"]
    mlp: NumberFormat = FORMATS["bf16"]  # dense blocks and shared experts
    experts: NumberFormat = FORMATS["bf16"]
    embedding: NumberFormat = FORMATS["bf16"]
    lm_head: NumberFormat = FORMATS["bf16"]
    kv_cache: NumberFormat = FORMATS["bf16"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """What a checkpoint's generation_config asks of the sampler: to sort logits, since it cuts the vocabulary by top_p or top_k, and to
    penalise tokens that a sequence has already."""

    sorts: bool = False
    penalises: bool = False


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What the cost of serving a model depends on. Keys are those of `config.json`."""

    name: str
    hidden_size: int
    vocab_size: int
    max_position_embeddings: int
    layers: tuple[Layers, ...]
    tie_word_embeddings: bool = False
    embedding_size: int | None = None  # width of the token embedding where it is not hidden_size (OPT-350M)
    num_other_parameters: int = 0  # final norm, learned positions, embedding projections
    formats: Formats = Formats()
    sampling: Sampling = Sampling()
    source: str = ""

    @property
    def num_layers(self) -> int:
        return sum(group.count for group in self.layers)

    @property
    def num_parameters(self) -> int:
        """Every parameter once; tied embeddings count once."""
        return sum(part.num_parameters for part in self.parts())

    @property
    def num_active_parameters(self) -> int:
        """Those that one token passes through: of the experts only the chosen ones."""
        idle = sum(
            group.count
            * (1 - group.feed_forward.num_experts_per_tok / group.feed_forward.num_experts)
            * expert_parameters(self.hidden_size, group.feed_forward)
            * group.feed_forward.num_experts
            for group in self.layers
            if isinstance(group.feed_forward, Moe)
        )
        return self.num_parameters - round(idle)

    @property
    def weight_bytes(self) -> float:
        """All weights on one device, in their real formats, scales included."""
        return sum(part.num_parameters * part.format.bytes_per_element for part in self.parts())

    @property
    def attention_window(self) -> int | None:
        """The sliding window of this model's windowed layers, None if all look back all the way."""
        windows = [g.mixer.window for g in self.layers if isinstance(g.mixer, Attention) and g.mixer.window]
        return max(windows, default=None)

    def kv_bytes_per_token(self) -> float:
        """Bytes of cache that one more token of context needs over all layers, windows aside."""
        return sum(g.count * kv_elements(g.mixer) for g in self.layers) * self.formats.kv_cache.bytes_per_element

    def state_bytes_per_sequence(self) -> float:
        """Bytes of recurrent state that a sequence holds whatever its length; 0 without state-space layers."""
        recurrent = ((group.count, group.mixer) for group in self.layers if isinstance(group.mixer, StateSpace))
        return sum(count * mixer.state_elements * mixer.state_format.bytes_per_element for count, mixer in recurrent)

    def parts(self) -> Iterator["Part"]:
        """The weights, part by part, with their format."""
        plain = FORMATS["bf16"]
        embedding = self.vocab_size * (self.embedding_size or self.hidden_size)
        yield Part("embedding", embedding, self.formats.embedding)
        if not self.tie_word_embeddings:
            yield Part("lm_head", embedding, self.formats.lm_head)
        for group in self.layers:
            if group.mixer is not None:
                matrices = mixer_parameters(self.hidden_size, group.mixer)
                yield Part("attention", group.count * matrices, self.formats.attention)
                yield Part("attention_extra", group.count * group.mixer.num_extra_parameters, plain)
            match group.feed_forward:
                case Mlp() as mlp:
                    yield Part("mlp", group.count * mlp_parameters(self.hidden_size, mlp), self.formats.mlp)
                    yield Part("mlp_extra", group.count * mlp.num_extra_parameters, plain)
                case Moe() as moe:
                    experts = moe.num_experts * expert_parameters(self.hidden_size, moe)
                    shared = (3 if moe.gated else 2) * self.hidden_size * moe.shared_intermediate_size
                    yield Part("experts", group.count * experts, self.formats.experts)
                    yield Part("shared_experts", group.count * shared, self.formats.mlp)
                    yield Part("router", group.count * (self.hidden_size * moe.num_experts + moe.num_extra_parameters), plain)
            yield Part("norm", group.count * group.num_norm_parameters, plain)
        yield Part("other", self.num_other_parameters, plain)


class Part(NamedTuple):
    """Some of a model's weights that share a format."""

    name: str
    num_parameters: int
    format: NumberFormat


def mixer_parameters(hidden: int, mixer: Mixer) -> int:
    """Matrix parameters of one mixer: QKV and output projections, or their latent kin."""
    match mixer:
        case Attention(num_heads=heads, num_kv_heads=kv_heads, head_dim=dim, output_gate=gate):
            return hidden * (heads * (2 if gate else 1) + 2 * kv_heads) * dim + heads * dim * hidden
        case LatentAttention() as mla:
            qk = mla.qk_nope_head_dim + mla.qk_rope_head_dim
            query = hidden * mla.num_heads * qk
            if mla.q_lora_rank is not None:
                query = hidden * mla.q_lora_rank + mla.q_lora_rank * mla.num_heads * qk
            down = hidden * (mla.kv_lora_rank + mla.qk_rope_head_dim)
            up = mla.kv_lora_rank * mla.num_heads * (mla.qk_nope_head_dim + mla.v_head_dim)
            return query + down + up + mla.num_heads * mla.v_head_dim * hidden
        case StateSpace(num_parameters=parameters):
            return parameters


def mlp_parameters(hidden: int, mlp: Mlp) -> int:
    return (3 if mlp.gated else 2) * hidden * mlp.intermediate_size


def expert_parameters(hidden: int, moe: Moe) -> int:
    """Matrix parameters of one routed expert."""
    return (3 if moe.gated else 2) * hidden * moe.intermediate_size


def kv_elements(mixer: Mixer | None) -> int:
    """Numbers that one layer caches per token."""
    match mixer:
        case Attention(num_kv_heads=kv_heads, head_dim=dim):
            return 2 * kv_heads * dim
        case LatentAttention(kv_lora_rank=rank, qk_rope_head_dim=rope):
            return rank + rope
        case _:
            return 0
