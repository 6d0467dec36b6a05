"""Step times obey the laws of the hardware, and the sums that anyone can do by hand."""

from dataclasses import replace

import pytest
from cost_specs import (
    ALONE,
    DEEPSEEK_V3,
    ENGINE,
    GEMM,
    H100,
    KERNELS_ALONE,
    LLAMA_8B,
    LLAMA_70B,
    MIXTRAL,
    MODELS,
    PROFILE,
    WINDOWED,
    chunk,
    cost_of,
    decode,
    together,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.core.batch import Batch
from seatrial.core.deployment import ALL2ALL_BACKENDS, Parallelism
from seatrial.core.model import FORMATS, Formats, Sampling

LAYOUTS = {
    "llama-3.1-8b": (ALONE, Parallelism(2), Parallelism(data_parallel=4)),
    "llama-3.1-70b": (Parallelism(4, 2), Parallelism(16)),
    "deepseek-v3": (Parallelism(8, 1, 2, True), Parallelism(1, 1, 16, True), Parallelism(8, 2)),
    "mixtral-8x7b": (Parallelism(2), Parallelism(2, expert_parallel=True), Parallelism(2, 1, 2)),
}
LAUNCHED = replace(PROFILE, launch=25e-6)
COSTS = [cost_of(model, H100, layout, ENGINE) for model in MODELS for layout in LAYOUTS.get(model.name, (ALONE,))]
COSTS.append(cost_of(LLAMA_8B, H100, ALONE, ENGINE, LAUNCHED))
COSTS += [cost_of(model, H100, ALONE, replace(ENGINE, cudagraph_mode="NONE"), LAUNCHED) for model in (LLAMA_8B, WINDOWED)]

costs = st.sampled_from(COSTS)
contexts = st.lists(st.integers(1, 100_000), max_size=40)
chunks = st.lists(st.tuples(st.integers(0, 60_000), st.integers(1, 3000)), max_size=3)


def batch_of(cost, chunks, contexts):
    window = cost.attention_window
    return together(Batch(), *(chunk(o, c, window) for o, c in chunks), decode(*contexts, window=window))


@given(costs, chunks, contexts)
@settings(deadline=None)
def test_a_step_always_takes_time(cost, chunks, contexts):
    assert cost.step_time(batch_of(cost, chunks, contexts)) > 0


@given(costs, chunks, contexts, st.integers(1, 100_000))
@settings(deadline=None)
def test_one_more_decode_never_makes_a_step_shorter(cost, chunks, contexts, context):
    assert cost.step_time(batch_of(cost, chunks, [*contexts, context])) >= cost.step_time(batch_of(cost, chunks, contexts))


@given(costs, chunks, contexts, st.tuples(st.integers(0, 60_000), st.integers(1, 500)))
@settings(deadline=None)
def test_one_more_prompt_chunk_never_makes_a_step_shorter(cost, chunks, contexts, more):
    assert cost.step_time(batch_of(cost, [*chunks, more], contexts)) >= cost.step_time(batch_of(cost, chunks, contexts))


@given(costs, st.integers(0, 60_000), st.integers(1, 3000), contexts, st.integers(0, 500), st.integers(0, 500))
@settings(deadline=None)
def test_a_longer_or_deeper_chunk_never_makes_a_step_shorter(cost, offset, length, contexts, deeper, longer):
    shorter = cost.step_time(batch_of(cost, [(offset, length)], contexts))
    assert cost.step_time(batch_of(cost, [(offset + deeper, length + longer)], contexts)) >= shorter * (1 - 1e-12)


@given(costs, st.lists(st.integers(1, 100_000), min_size=1, max_size=300), st.integers(0, 5000))
@settings(deadline=None)
def test_a_run_of_decodes_follows_its_law_to_rounding(cost, contexts, step):
    now = batch_of(cost, [], [context + step for context in contexts])
    law = cost.decode_law(len(contexts), sum(contexts))
    if law.min_context <= now.decode_context <= law.max_context:
        by_law = law.base + law.per_context * now.decode_context + law.per_window_context * now.window_decode_context
        assert by_law == pytest.approx(cost.step_time(now), rel=1e-12)


def test_tables_grow_with_the_steps_that_ask():
    fresh = cost_of(LLAMA_8B, H100, ALONE, ENGINE)
    large = fresh.step_time(chunk(0, 5000))
    assert large == COSTS[0].step_time(chunk(0, 5000))
    assert fresh.step_time(chunk(0, 3_000_000)) > 100 * large


def test_a_lone_decode_reads_the_weights_once():
    cost = cost_of(LLAMA_8B, H100, ALONE, ENGINE, profile=KERNELS_ALONE)
    matrices = LLAMA_8B.num_parameters - 128256 * 4096  # all but the embedding table
    reading = 2 * matrices / (3.35e12 * GEMM.memory)
    launches = 32 * (4 * GEMM.fixed + PROFILE.attention_fixed + 5 * PROFILE.small_kernel_fixed)
    assert cost.step_time(decode(100)) == pytest.approx(reading + launches, rel=0.02)
    assert 6e-3 < cost.step_time(decode(100)) < 8e-3


def test_a_long_prompt_is_bound_by_arithmetic():
    cost = cost_of(LLAMA_8B, H100, ALONE, ENGINE, profile=KERNELS_ALONE)
    matrices = LLAMA_8B.num_parameters - 2 * 128256 * 4096
    multiplying = 2 * matrices * 8192 / (989e12 * GEMM.compute)
    attention = 32 * 4 * 32 * 128 * (8192 * 8193 / 2) / (989e12 * 0.6)
    assert cost.step_time(chunk(0, 8192)) == pytest.approx(multiplying + attention, rel=0.15)


def test_each_token_of_context_costs_the_reading_of_its_keys_and_values():
    law = COSTS[0].decode_law(8, 1000)
    assert law.per_context == pytest.approx(LLAMA_8B.kv_bytes_per_token() / (3.35e12 * 0.9))


def test_windowed_layers_cost_by_the_window():
    law = cost_of(WINDOWED, H100, ALONE, ENGINE).decode_law(8, 1000)
    assert law.per_context == pytest.approx(law.per_window_context)
    assert cost_of(WINDOWED, H100, ALONE, ENGINE).attention_window == 1024


def test_data_parallel_ranks_share_the_sequences():
    alone = cost_of(LLAMA_8B, H100, ALONE, ENGINE)
    four = cost_of(LLAMA_8B, H100, Parallelism(data_parallel=4), ENGINE)
    assert four.step_time(decode(*[1000] * 64)) == pytest.approx(alone.step_time(decode(*[1000] * 16)), rel=1e-12)


def test_two_way_tensor_parallelism_is_faster_but_not_twice():
    one, two = (cost_of(LLAMA_70B, H100, Parallelism(n), ENGINE) for n in (1, 2))
    for step in (decode(*[1000] * 16), chunk(0, 2048)):
        assert 1.3 < one.step_time(step) / two.step_time(step) < 2


def test_tensor_parallelism_across_nodes_pays_for_the_network():
    inside, across = (cost_of(LLAMA_70B, H100, Parallelism(n), ENGINE).explain(chunk(0, 4096)) for n in (8, 16))
    reducing = [next(part.seconds for part in parts if part.name == "all-reduce") for parts in (inside, across)]
    message = 161 * 4096 * 8192 * 2  # two per layer and one for the embedding
    over_the_network = 2 * (1 / 2) * message / 8 / (50e9 * 0.8) + 161 * 2 * 10e-6
    assert reducing[1] == pytest.approx(reducing[0] + over_the_network, rel=0.02)


def test_pipeline_stages_add_up_to_one_pass_and_its_hops():
    one, two = (cost_of(LLAMA_70B, H100, Parallelism(4, stages), ENGINE) for stages in (1, 2))
    hop = two.step_time(decode(1000)) - one.step_time(decode(1000))
    assert 10e-6 < hop < 50e-6


def test_smaller_weights_decode_faster():
    def decode_time(name):
        formats = Formats(*[FORMATS[name]] * 3)
        return cost_of(replace(LLAMA_8B, formats=formats), H100, ALONE, ENGINE).step_time(decode(1000))

    assert decode_time("int4") < decode_time("fp8") < decode_time("bf16")
    assert decode_time("mxfp4") < decode_time("fp8")


def test_four_bit_weights_do_not_multiply_faster_where_the_hardware_cannot():
    def prompt_time(name):
        return cost_of(replace(LLAMA_8B, formats=Formats(*[FORMATS[name]] * 3)), H100, ALONE, ENGINE).step_time(chunk(0, 8192))

    assert prompt_time("fp8") < 0.75 * prompt_time("bf16")
    assert prompt_time("nvfp4") > prompt_time("bf16")


def test_an_eight_bit_cache_is_read_in_half_the_time():
    half = cost_of(LLAMA_8B, H100, ALONE, replace(ENGINE, kv_cache_dtype="fp8")).decode_law(1, 1)
    assert half.per_context == pytest.approx(COSTS[0].decode_law(1, 1).per_context / 2)


def test_a_mixture_reads_the_experts_that_its_tokens_reach():
    cost = cost_of(MIXTRAL, H100, Parallelism(2), ENGINE)
    one_expert = 32 * 3 * 4096 * 14336 / 2 * 2
    for num_tokens in (1, 2, 4, 16):
        (experts,) = (part for part in cost.explain(decode(*[10] * num_tokens)) if part.name == "experts")
        reached = 8 * (1 - (1 - 2 / 8) ** num_tokens)
        assert experts.bytes == pytest.approx(reached * one_expert, rel=2e-3)


def test_experts_spread_over_all_ranks_see_the_tokens_of_all():
    spread = cost_of(DEEPSEEK_V3, H100, Parallelism(8, 1, 2, True), ENGINE)
    one = cost_of(DEEPSEEK_V3, H100, Parallelism(8, 1, 1, True), ENGINE)
    step = decode(*[1000] * 64)
    experts = [next(part for part in cost.explain(step) if part.name == "experts") for cost in (one, spread)]
    assert experts[1].bytes < 0.6 * experts[0].bytes


def test_tokens_go_to_all_ranks_or_only_to_those_with_their_experts():
    layouts = [Parallelism(1, 1, 8, True, backend) for backend in ALL2ALL_BACKENDS[:2]]
    step = decode(*[1000] * 512)
    gathered, sent = ({part.name: part for part in cost_of(DEEPSEEK_V3, H100, one, ENGINE).explain(step)} for one in layouts)
    for way, size in (("expert dispatch", 1), ("expert combine", 2)):  # the experts take fp8
        row = 58 * (512 / 8) * 7168 * size
        assert gathered[way].bytes == pytest.approx(7 * row)
        assert sent[way].bytes == pytest.approx(7 * (1 - (7 / 8) ** 8) * row)


def test_ranks_that_gather_from_other_nodes_take_the_links_between_them():
    step = decode(*[1000] * 512)
    inside, across = (cost_of(DEEPSEEK_V3, H100, Parallelism(tensor, 1, 2, True), ENGINE) for tensor in (4, 8))
    times = [next(part.seconds for part in cost.explain(step) if part.name == "expert combine") for cost in (inside, across)]
    assert times[1] > 3 * times[0]


def test_decoding_with_a_latent_cache_reads_little_and_multiplies_much():
    law = cost_of(DEEPSEEK_V3, H100, Parallelism(8), ENGINE).decode_law(1, 1)
    flops = 61 * 2 * (128 / 8) * (2 * 512 + 64)
    num_bytes = 61 * (512 + 64) * 2
    assert law.per_context == pytest.approx(max(flops / (989e12 * 0.6), num_bytes / (3.35e12 * 0.9)))


def test_decodes_run_at_the_captured_sizes():
    times = [COSTS[0].decode_law(n, 0).base for n in range(1, 17)]
    per_sequence = COSTS[0].decode_law(10, 0).base - COSTS[0].decode_law(9, 0).base
    assert per_sequence < 50e-6
    assert times[8] - times[7] > per_sequence


def test_a_small_step_with_prompts_waits_for_the_host_unless_it_is_captured():
    captured = cost_of(LLAMA_8B, H100, ALONE, ENGINE, LAUNCHED)
    eager = cost_of(LLAMA_8B, H100, ALONE, replace(ENGINE, cudagraph_mode="FULL_DECODE_ONLY"), LAUNCHED)
    small, large = chunk(0, 64), chunk(0, 8192)
    # per layer four GEMMs, attention for 2, three and two small kernels, and the cache write that is part of one of them
    by_hand = 25e-6 * (32 * (4 + 2 + 3 + 2) + 3 + 1 + 1)
    assert eager.step_time(small) == pytest.approx(by_hand)
    assert captured.step_time(small) < by_hand
    assert eager.step_time(large) == captured.step_time(large)
    assert eager.step_time(decode(100)) == captured.step_time(decode(100))


def test_decodes_wait_for_the_host_where_nothing_is_captured_until_their_context_takes_longer():
    cost = cost_of(LLAMA_8B, H100, ALONE, replace(ENGINE, cudagraph_mode="NONE"), LAUNCHED)
    captured = cost_of(LLAMA_8B, H100, ALONE, ENGINE, LAUNCHED)
    by_hand = 25e-6 * (32 * (4 + 2 + 3 + 2) + 3 + 1 + 1)
    short, long = (Batch(num_decodes=8, num_sampled=8, decode_context=context) for context in (8, 1_000_000))
    assert cost.step_time(short) == pytest.approx(by_hand)
    assert captured.step_time(short) < by_hand < captured.step_time(long)
    assert cost.step_time(long) == pytest.approx(captured.step_time(long))  # 8 rows are padded to 8
    law, steep = cost.decode_law(8, 8), cost.decode_law(8, 1_000_000)
    assert (law.base, law.per_context) == (pytest.approx(by_hand), 0)
    assert law.max_context == steep.min_context
    assert steep.base + steep.per_context * law.max_context == pytest.approx(by_hand)
    explained = {part.name: part.seconds for part in cost.explain(short)}
    assert sum(explained.values()) == pytest.approx(by_hand)
    assert explained["waiting for launches"] > 0


def test_more_decodes_than_a_graph_holds_wait_for_the_host_too():
    small = cost_of(LLAMA_8B, H100, ALONE, replace(ENGINE, max_cudagraph_capture_size=8), LAUNCHED)
    large = cost_of(LLAMA_8B, H100, ALONE, replace(ENGINE, max_cudagraph_capture_size=16), LAUNCHED)
    assert small.step_time(decode(*[100] * 8)) == large.step_time(decode(*[100] * 8))
    assert small.step_time(decode(*[100] * 9)) > large.step_time(decode(*[100] * 9))


def test_the_sampler_takes_longer_for_who_sorts_and_penalises():
    plain, sorting, penalising = (
        cost_of(replace(LLAMA_8B, sampling=Sampling(*sampling)), H100, ALONE, ENGINE).step_time(decode(*[100] * 64))
        for sampling in ((False, False), (True, False), (True, True))
    )
    assert sorting - plain == pytest.approx(20 * PROFILE.small_kernel_fixed)  # PROFILE sorts for nothing else
    penalties = 13 * PROFILE.small_kernel_fixed + 64 * LLAMA_8B.vocab_size * 90 / (3.35e12 * 0.8)
    assert penalising - sorting == pytest.approx(penalties)
    as_vllm = cost_of(replace(LLAMA_8B, sampling=Sampling(True, True)), H100, ALONE, replace(ENGINE, generation_config="vllm"))
    assert as_vllm.step_time(decode(*[100] * 64)) == plain


def test_graphs_reach_as_far_as_they_are_captured():
    near = cost_of(LLAMA_8B, H100, ALONE, replace(ENGINE, max_cudagraph_capture_size=256), LAUNCHED)
    far = cost_of(LLAMA_8B, H100, ALONE, replace(ENGINE, max_cudagraph_capture_size=2048), LAUNCHED)
    assert near.step_time(chunk(0, 300)) > far.step_time(chunk(0, 300))
    assert near.step_time(chunk(0, 200)) == far.step_time(chunk(0, 200))


def test_norms_over_all_heads_cost_an_all_reduce_where_ranks_share_the_heads():
    group = LLAMA_8B.layers[0]
    normed = replace(LLAMA_8B, layers=(replace(group, mixer=replace(group.mixer, norm_spans_heads=True)),))
    for ranks, number in ((1, 0), (4, group.count)):
        plain, summed = (cost_of(model, H100, Parallelism(ranks)).step_time(decode(100)) for model in (LLAMA_8B, normed))
        assert summed - plain == pytest.approx(number * (2e-6 + PROFILE.all_reduce_fixed), rel=1e-3)


def test_unpacked_weights_slow_full_rows_and_not_what_waits_for_memory():
    four_bits = replace(MIXTRAL, formats=replace(MIXTRAL.formats, experts=FORMATS["int4"]))
    slow = replace(PROFILE, unpacking_scale=2.0)
    longer = [
        cost_of(four_bits, profile=slow).step_time(step) / cost_of(four_bits).step_time(step) for step in (decode(100), chunk(0, 8192))
    ]
    assert longer[0] < 1.01
    assert longer[1] > 1.3
