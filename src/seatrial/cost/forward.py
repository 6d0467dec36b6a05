"""A model on its accelerators as a list of operators: what one rank runs in a step, attention over the cache aside."""

from collections.abc import Iterator

from seatrial.core.deployment import ALLGATHER, Parallelism
from seatrial.core.model import (
    FORMATS,
    Attention,
    LatentAttention,
    Layers,
    Mlp,
    ModelSpec,
    Moe,
    NumberFormat,
    Sampling,
    StateSpace,
    kv_elements,
)
from seatrial.cost.collectives import AllGather, AllReduce, AllToAll, PointToPoint
from seatrial.cost.kernels import ACTIVATION_BYTES
from seatrial.cost.operators import Device, Elementwise, Experts, Gemm, Operator, Overhead, Scan, VectorWork
from seatrial.cost.parallelism import expert_ranks, kv_heads_per_rank

BF16 = FORMATS["bf16"]
NORM_BYTES = 8.0  # two sums of squares in fp32, of the queries and of the keys


def token_operators(model: ModelSpec, parallelism: Parallelism, kv_cache: NumberFormat, device: Device) -> tuple[Operator, ...]:
    """Everything whose cost depends on the tokens in the forward pass alone. All pipeline stages together."""
    operators: list[Operator] = []
    for group in model.layers:
        operators += _mixer(group, model, parallelism, kv_cache, device)
        operators += _feed_forward(group, model, parallelism, device)
    hidden_bytes = model.hidden_size * ACTIVATION_BYTES
    operators.append(Elementwise("embedding and norm", 1, device, 4 * hidden_bytes, device.profile.small_kernels_per_step))
    if parallelism.tensor_parallel > 1:
        operators.append(AllReduce("all-reduce", 1, device, parallelism.tensor_parallel, hidden_bytes))
    return (*operators, *_pipeline_hops(model, parallelism, device))


def sampled_operators(model: ModelSpec, parallelism: Parallelism, device: Device, sampling: Sampling) -> tuple[Operator, ...]:
    """What is done for each sequence that emits a token: logits and sampling."""
    tensor = parallelism.tensor_parallel
    operators: list[Operator] = [
        Gemm("LM head", 1, device, model.embedding_size or model.hidden_size, model.vocab_size / tensor, model.formats.lm_head)
    ]
    if tensor > 1:
        operators.append(AllGather("logits all-gather", 1, device, tensor, model.vocab_size * ACTIVATION_BYTES))
    words, profile = model.vocab_size, device.profile
    operators.append(Elementwise("sampler", 1, device, words * profile.sampler_bytes_per_logit, 1))
    if sampling.penalises:
        operators.append(
            Elementwise("sampler's penalties", 1, device, words * profile.penalty_bytes_per_logit, profile.small_kernels_per_penalty)
        )
    if sampling.sorts:
        operators.append(VectorWork("sampler's sort", 1, device, words * profile.sort_operations_per_logit, profile.small_kernels_per_sort))
    return tuple(operators)


def _mixer(group: Layers, model: ModelSpec, parallelism: Parallelism, kv_cache: NumberFormat, device: Device) -> Iterator[Operator]:
    if group.mixer is None:
        return
    tensor, hidden, weights = parallelism.tensor_parallel, model.hidden_size, model.formats.attention
    profile = device.profile
    kernels = profile.small_kernels_per_mixer

    def gemm(name: str, num_inputs: float, num_outputs: float) -> Gemm:
        return Gemm(name, group.count, device, num_inputs, num_outputs, weights)

    match group.mixer:
        case Attention(
            num_heads=num_heads, num_kv_heads=num_kv_heads, head_dim=dim, output_gate=gate, qk_norm=qk_norm, norm_spans_heads=spans
        ):
            kernels += 2 if qk_norm else 0
            if spans and tensor > 1:
                yield AllReduce("all-reduce", group.count, device, tensor, NORM_BYTES)
            heads, kv_heads = num_heads / tensor, kv_heads_per_rank(num_kv_heads, tensor)
            inner = ((2 if gate else 1) * heads + 2 * kv_heads) * dim
            cached = 2 * kv_heads * dim
            yield gemm("QKV projection", hidden, inner)
            yield gemm("output projection", heads * dim, hidden)
        case LatentAttention() as mla:
            heads, rank = mla.num_heads / tensor, mla.kv_lora_rank
            query = heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim)
            inner = query + heads * (mla.qk_nope_head_dim + mla.v_head_dim)
            cached = kv_elements(mla)
            # the down projections are whole on every rank; the up projection of the cache is the absorbed pair in a decode
            yield gemm("QKV projection", hidden, cached + (query if mla.q_lora_rank is None else mla.q_lora_rank))
            if mla.q_lora_rank is not None:
                yield gemm("QKV projection", mla.q_lora_rank, query)
            yield gemm("latent up projection", rank, heads * (mla.qk_nope_head_dim + mla.v_head_dim))
            yield gemm("output projection", heads * mla.v_head_dim, hidden)
        case StateSpace() as mixer:
            inner, cached = mixer.num_parameters / hidden / tensor, 0
            yield gemm("mixer projections", hidden, inner)
            yield Scan("scan", group.count, device, mixer.flops_per_token / tensor)
    if cached:
        yield Overhead("attention launch", profile.attention_fixed, group.count)
        yield Elementwise("cache write", group.count, device, cached * kv_cache.bytes_per_element, 0, is_work=True)
    traffic = (4 * hidden + 2 * inner) * ACTIVATION_BYTES
    yield Elementwise("elementwise", group.count, device, traffic, kernels)
    if tensor > 1:
        yield AllReduce("all-reduce", group.count, device, tensor, hidden * ACTIVATION_BYTES)


def _feed_forward(group: Layers, model: ModelSpec, parallelism: Parallelism, device: Device) -> Iterator[Operator]:
    tensor, hidden, profile = parallelism.tensor_parallel, model.hidden_size, device.profile
    match group.feed_forward:
        case None:
            return
        case Mlp(intermediate_size=width, gated=gated):
            yield from _dense("MLP", group.count, device, hidden, width / tensor, gated, model.formats.mlp)
            traffic, kernels = (4 * hidden + 3 * width / tensor) * ACTIVATION_BYTES, profile.small_kernels_per_mlp
        case Moe() as moe:
            yield Gemm("router", group.count, device, hidden, moe.num_experts, BF16)
            yield _experts(group.count, moe, model, parallelism, device)
            if moe.shared_intermediate_size:
                width = moe.shared_intermediate_size
                yield from _dense("shared experts", group.count, device, hidden, width / tensor, moe.gated, model.formats.mlp)
            # what the experts stream is in their own time
            traffic, kernels = 4 * hidden * ACTIVATION_BYTES, profile.small_kernels_per_moe
            if expert_ranks(parallelism) > 1 and parallelism.data_parallel > 1:
                yield from _exchange(group.count, moe, model, parallelism, device)
                tensor = 1  # tokens come back from their experts whole
    yield Elementwise("elementwise", group.count, device, traffic, kernels)
    if tensor > 1:
        yield AllReduce("all-reduce", group.count, device, tensor, hidden * ACTIVATION_BYTES)


def _dense(name: str, count: int, device: Device, hidden: int, width: float, gated: bool, weights: NumberFormat) -> Iterator[Operator]:
    yield Gemm(name, count, device, hidden, (2 if gated else 1) * width, weights)
    yield Gemm(name, count, device, width, hidden, weights)


def _experts(count: int, moe: Moe, model: ModelSpec, parallelism: Parallelism, device: Device) -> Experts:
    ranks = expert_ranks(parallelism)
    split = 1 if ranks > 1 else parallelism.tensor_parallel
    return Experts("experts", count, device, moe, model.hidden_size, model.formats.experts, ranks, split, parallelism.data_parallel)


def _exchange(count: int, moe: Moe, model: ModelSpec, parallelism: Parallelism, device: Device) -> Iterator[Operator]:
    """To the experts in their own format, and back in 16 bits."""
    ranks, tensor, data = expert_ranks(parallelism), parallelism.tensor_parallel, parallelism.data_parallel
    sizes = {"dispatch": device.activation_bytes(model.formats.experts), "combine": ACTIVATION_BYTES}
    for way, size in sizes.items():
        row = model.hidden_size * size
        if parallelism.all2all_backend == ALLGATHER:  # scattering sums takes as long as gathering
            yield AllGather(f"expert {way}", count, device, data, data * row, apart=tensor)
        else:
            yield AllToAll(f"expert {way}", count, device, ranks, moe.num_experts_per_tok, tensor, row)


def _pipeline_hops(model: ModelSpec, parallelism: Parallelism, device: Device) -> Iterator[Operator]:
    tensor, stages = parallelism.tensor_parallel, parallelism.pipeline_parallel
    stages_per_node = max(1, device.accelerator.devices_per_node // tensor)
    outside = -(-stages // stages_per_node) - 1
    for hops, crosses_nodes in ((stages - 1 - outside, False), (outside, True)):
        if hops:
            yield PointToPoint("pipeline hop", hops, device, tensor, crosses_nodes, model.hidden_size * ACTIVATION_BYTES)
