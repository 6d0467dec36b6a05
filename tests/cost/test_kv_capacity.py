"""The KV cache is what weights and working memory leave, and a model that does not fit says what would."""

from dataclasses import replace

import pytest
from cost_specs import (
    ALONE,
    CODELLAMA_34B,
    DEEPSEEK_V3,
    ENGINE,
    H100,
    HYBRID,
    LLAMA_2_7B,
    LLAMA_2_70B,
    LLAMA_8B,
    LLAMA_70B,
    MIXTRAL,
    RECURRENT,
    WINDOWED,
)

from seatrial.core.deployment import EngineConfig, Parallelism
from seatrial.core.errors import CapacityError, ScenarioError
from seatrial.core.model import FORMATS, Formats
from seatrial.core.units import GIB
from seatrial.cost import check_parallelism, crosses_nodes, kv_capacity
from seatrial.cost.footprint import weight_bytes


@pytest.mark.parametrize(
    ("model", "tensor_parallel", "measured"),
    [(LLAMA_2_7B, 1, 7462), (CODELLAMA_34B, 2, 26602), (LLAMA_2_70B, 4, 31356), (MIXTRAL, 2, 27510)],
    ids=lambda value: getattr(value, "name", value),
)
def test_blocks_are_as_many_as_vllm_counted(model, tensor_parallel, measured):
    # vLLM 0.15.1 on H100, as published with the BLIS experiments of inference-sim
    engine = EngineConfig(max_num_seqs=128, max_num_batched_tokens=2048, max_model_len=4096)
    assert kv_capacity(model, H100, Parallelism(tensor_parallel), engine).num_blocks == pytest.approx(measured, rel=0.01)


def test_the_breakdown_adds_up():
    capacity = kv_capacity(LLAMA_8B, H100, ALONE, ENGINE)
    memory = capacity.memory
    assert memory.requested == pytest.approx(0.9 * H100.memory)
    assert memory.weights == pytest.approx(LLAMA_8B.weight_bytes)
    assert memory.needed + memory.available == pytest.approx(memory.requested)
    assert 0 <= memory.available - (capacity.num_blocks + 1) * capacity.block_bytes < capacity.block_bytes
    assert capacity.block_bytes == 16 * 128 * 1024
    assert capacity.capacity_tokens == 16 * capacity.num_blocks


def test_an_override_wins():
    capacity = kv_capacity(LLAMA_8B, H100, Parallelism(data_parallel=2), replace(ENGINE, num_gpu_blocks_override=100))
    assert (capacity.num_blocks_per_rank, capacity.num_blocks) == (100, 200)


def test_more_utilization_gives_more_blocks_and_larger_steps_fewer():
    usual = kv_capacity(LLAMA_8B, H100, ALONE, ENGINE).num_blocks
    assert kv_capacity(LLAMA_8B, H100, ALONE, replace(ENGINE, gpu_memory_utilization=0.95)).num_blocks > usual
    assert kv_capacity(LLAMA_8B, H100, ALONE, replace(ENGINE, max_num_batched_tokens=65536)).num_blocks < usual


def test_an_eight_bit_cache_has_twice_the_blocks():
    half = kv_capacity(LLAMA_8B, H100, ALONE, replace(ENGINE, kv_cache_dtype="fp8"))
    assert half.num_blocks == pytest.approx(2 * kv_capacity(LLAMA_8B, H100, ALONE, ENGINE).num_blocks, abs=2)


def test_the_latent_cache_is_whole_on_every_rank():
    capacity = kv_capacity(DEEPSEEK_V3, replace(H100, memory=141 * GIB), Parallelism(8), ENGINE)
    assert capacity.block_bytes == 16 * 61 * 576 * 2


def test_few_kv_heads_are_held_by_several_ranks():
    eight, sixteen = (kv_capacity(LLAMA_70B, H100, Parallelism(n), ENGINE) for n in (8, 16))
    assert eight.block_bytes == sixteen.block_bytes == 16 * 80 * 2 * 128 * 2


def test_tensor_and_pipeline_parallelism_share_the_weights():
    whole = LLAMA_70B.weight_bytes
    assert weight_bytes(LLAMA_70B, Parallelism(4)) == pytest.approx(whole / 4, rel=1e-3)
    assert weight_bytes(LLAMA_70B, Parallelism(4, 2)) == pytest.approx(whole / 8, rel=0.02)


def test_expert_parallelism_spreads_the_experts_over_the_data_parallel_ranks_too():
    spread, copied = (weight_bytes(DEEPSEEK_V3, Parallelism(8, 1, 2, parallel)) for parallel in (True, False))
    assert spread == pytest.approx(copied / 2, rel=0.05)


def test_windowed_layers_count_as_full_ones():
    assert kv_capacity(WINDOWED, H100, ALONE, ENGINE).block_bytes == kv_capacity(LLAMA_8B, H100, ALONE, ENGINE).block_bytes


def test_recurrent_states_take_their_place_before_the_cache():
    capacity = kv_capacity(HYBRID, H100, ALONE, ENGINE)
    assert capacity.sequence_states == pytest.approx(256 * 28 * 1_100_000 * 2)
    assert capacity.max_num_seqs == 256
    many = kv_capacity(HYBRID, H100, ALONE, replace(ENGINE, max_num_seqs=10_000))
    assert many.max_num_seqs < 10_000
    assert many.sequence_states <= many.memory.available / 2


def test_a_model_without_a_cache_is_bound_by_its_states_alone():
    capacity = kv_capacity(RECURRENT, H100, ALONE, ENGINE)
    assert capacity.num_blocks == capacity.max_num_seqs * ENGINE.max_model_len // ENGINE.block_size


def test_a_model_that_does_not_fit_says_what_would():
    with pytest.raises(
        CapacityError, match=r"llama-3.1-70b does not fit h100-sxm with tensor_parallel 1: .*GiB.*smallest .* fits is 4"
    ) as caught:
        kv_capacity(LLAMA_70B, H100, ALONE, replace(ENGINE, gpu_memory_utilization=0.8))
    assert "weights 131.4 GiB" in str(caught.value)


def test_a_block_that_does_not_fit_is_told_from_a_model_that_does_not():
    with pytest.raises(CapacityError, match=r"block_size 999999999 takes .* TiB .* GiB are left .* smaller block_size") as caught:
        kv_capacity(LLAMA_8B, H100, ALONE, replace(ENGINE, block_size=999_999_999))
    assert "does not fit" not in str(caught.value)
    with pytest.raises(CapacityError, match="does not fit"):
        kv_capacity(LLAMA_70B, H100, ALONE, replace(ENGINE, block_size=999_999_999, gpu_memory_utilization=0.8))


def test_a_model_that_fits_no_node_says_so():
    huge = replace(LLAMA_70B, layers=(replace(LLAMA_70B.layers[0], count=800),))
    with pytest.raises(CapacityError, match="no tensor_parallel on one node of 8 fits"):
        kv_capacity(huge, H100, Parallelism(8), ENGINE)


@pytest.mark.parametrize(
    ("model", "parallelism", "complaint"),
    [
        (LLAMA_8B, Parallelism(3), "does not divide the 32 attention heads of llama-3.1-8b; try 1, 2, 4, 8, 16, 32"),
        (LLAMA_8B, Parallelism(0), "tensor_parallel is 0"),
        (LLAMA_8B, Parallelism(1, 33), "pipeline_parallel 33 is more than the 32 layers"),
        (LLAMA_8B, Parallelism(expert_parallel=True), "expert_parallel needs a mixture of experts"),
        (MIXTRAL, Parallelism(8, 1, 2, True), "spreads the 8 experts .* 16 ranks"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(model, parallelism, complaint):
    with pytest.raises(ScenarioError, match=complaint):
        check_parallelism(model, H100, parallelism)


def test_heads_that_do_not_spread_over_the_ranks_are_refused():
    phi = replace(LLAMA_8B, layers=(replace(LLAMA_8B.layers[0], mixer=replace(LLAMA_8B.layers[0].mixer, num_heads=40, num_kv_heads=10)),))
    with pytest.raises(ScenarioError, match="neither divides the 10 KV heads"):
        check_parallelism(phi, H100, Parallelism(4))


def test_a_group_wider_than_a_node_is_allowed_and_known():
    check_parallelism(LLAMA_70B, H100, Parallelism(16))
    assert crosses_nodes(H100, Parallelism(16))
    assert not crosses_nodes(H100, Parallelism(8))


def test_four_bit_weights_fit_where_plain_ones_do_not():
    small = replace(LLAMA_70B, formats=Formats(*[FORMATS["int4"]] * 3))
    assert kv_capacity(small, H100, ALONE, ENGINE).num_blocks > 1000
