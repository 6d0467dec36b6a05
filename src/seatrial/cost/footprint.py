"""What a model takes up on one accelerator before any sequence runs: its weights and its working memory."""

from seatrial.core.deployment import EngineConfig, Parallelism
from seatrial.core.model import (
    FORMATS,
    Attention,
    LatentAttention,
    Layers,
    Mlp,
    ModelSpec,
    Moe,
    StateSpace,
    expert_parameters,
    kv_elements,
    mixer_parameters,
    mlp_parameters,
)
from seatrial.cost.formats import kv_cache_format
from seatrial.cost.kernels import ACTIVATION_BYTES
from seatrial.cost.parallelism import expert_ranks, fullest_stage, kv_heads_per_rank

PLAIN_BYTES = FORMATS["bf16"].bytes_per_element
LOGIT_COPIES = 3  # fp32 logits, their sorted copy, probabilities


def block_bytes(model: ModelSpec, parallelism: Parallelism, engine: EngineConfig) -> float:
    """Bytes of one KV block on one accelerator.

    The latent cache is whole on every tensor-parallel rank, and so are KV heads where they are fewer than ranks.
    """
    elements = sum(group.count * _cached_per_token(group, parallelism.tensor_parallel) for group in model.layers)
    return engine.block_size * elements * kv_cache_format(model, engine).bytes_per_element * fullest_stage(model, parallelism)


def state_bytes(model: ModelSpec, parallelism: Parallelism) -> float:
    """Recurrent state of one sequence on one accelerator."""
    return model.state_bytes_per_sequence() / parallelism.tensor_parallel * fullest_stage(model, parallelism)


def weight_bytes(model: ModelSpec, parallelism: Parallelism) -> float:
    """Weights on one accelerator of the fullest pipeline stage, which is taken to hold the larger of embedding and LM head as well."""
    vocabulary = model.vocab_size * (model.embedding_size or model.hidden_size) / parallelism.tensor_parallel
    embedding, head = vocabulary * model.formats.embedding.bytes_per_element, vocabulary * model.formats.lm_head.bytes_per_element
    layers = sum(group.count * _layer_bytes(group, model, parallelism) for group in model.layers)
    other = model.num_other_parameters * PLAIN_BYTES
    if parallelism.pipeline_parallel > 1:
        return layers * fullest_stage(model, parallelism) + max(embedding, head) + other
    return layers + embedding + (0.0 if model.tie_word_embeddings else head) + other


def activation_bytes(model: ModelSpec, parallelism: Parallelism, engine: EngineConfig) -> float:
    """The peak of vLLM's dummy run: `max_num_batched_tokens` tokens through a layer, or logits for `max_num_seqs` sequences."""
    hidden = model.hidden_size
    width = max((_working_width(group, hidden, parallelism.tensor_parallel) for group in model.layers), default=0.0)
    forward = engine.max_num_batched_tokens * (8 * hidden + width) * ACTIVATION_BYTES
    logits = engine.max_num_batched_tokens * hidden * ACTIVATION_BYTES + engine.max_num_seqs * model.vocab_size * 4 * LOGIT_COPIES
    return max(forward, logits)


def _layer_bytes(group: Layers, model: ModelSpec, parallelism: Parallelism) -> float:
    tensor, hidden, formats = parallelism.tensor_parallel, model.hidden_size, model.formats
    num_bytes = group.num_norm_parameters * PLAIN_BYTES
    if group.mixer is not None:
        num_bytes += _mixer_parameters_per_rank(group, hidden, tensor) * formats.attention.bytes_per_element
        num_bytes += group.mixer.num_extra_parameters / tensor * PLAIN_BYTES
    match group.feed_forward:
        case Mlp() as mlp:
            num_bytes += mlp_parameters(hidden, mlp) / tensor * formats.mlp.bytes_per_element
            num_bytes += mlp.num_extra_parameters / tensor * PLAIN_BYTES
        case Moe() as moe:
            split = expert_ranks(parallelism) if parallelism.expert_parallel else tensor
            shared = (3 if moe.gated else 2) * hidden * moe.shared_intermediate_size
            num_bytes += moe.num_experts * expert_parameters(hidden, moe) / split * formats.experts.bytes_per_element
            num_bytes += shared / tensor * formats.mlp.bytes_per_element
            num_bytes += (hidden * moe.num_experts + moe.num_extra_parameters / split) * PLAIN_BYTES
    return num_bytes


def _mixer_parameters_per_rank(group: Layers, hidden: int, tensor: int) -> float:
    match group.mixer:
        case Attention(num_heads=heads, num_kv_heads=kv_heads, head_dim=dim, output_gate=gate):
            return hidden * dim * ((3 if gate else 2) * heads / tensor + 2 * kv_heads_per_rank(kv_heads, tensor))
        case LatentAttention(q_lora_rank=rank) as mla:
            whole = hidden * ((rank or 0) + kv_elements(mla))  # the down projections
            return whole + (mixer_parameters(hidden, mla) - whole) / tensor
        case StateSpace(num_parameters=parameters):
            return parameters / tensor
        case _:
            return 0.0


def _cached_per_token(group: Layers, tensor: int) -> float:
    match group.mixer:
        case Attention(num_kv_heads=kv_heads, head_dim=dim):
            return 2 * kv_heads_per_rank(kv_heads, tensor) * dim
        case mixer:
            return kv_elements(mixer)


def _working_width(group: Layers, hidden: int, tensor: int) -> float:
    """Numbers per token that a feed-forward block needs at once: gate, up and their product, for each chosen expert."""
    match group.feed_forward:
        case Mlp(intermediate_size=width):
            return 3 * width / tensor
        case Moe() as moe:
            shared = 3 * moe.shared_intermediate_size / tensor
            return moe.num_experts_per_tok * (hidden + 3 * moe.intermediate_size / tensor) + shared
        case _:
            return 0.0
