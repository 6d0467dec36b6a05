"""Whatever the tables said: times grow with the work, in no leaps, and nothing beats the peaks."""

from dataclasses import replace

import numpy as np
import pytest
from cost_specs import ALONE, KERNELS_ALONE, LLAMA_8B, LLAMA_70B, MIXTRAL, chunk, cost_of, decode, dense
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.catalog import accelerator_names, load_accelerator, load_curves, load_engine
from seatrial.core.deployment import Parallelism
from seatrial.core.model import FORMATS
from seatrial.cost.collectives import AllReduce
from seatrial.cost.operators import Device, Experts, Gemm, Load

MEASURED = ["a100_sxm", "b200_sxm", "b300_sxm", "b60", "gb200", "gb300", "h100_sxm", "h200_sxm", "l40s", "rtx_pro_6000_server"]


def device_of(name):
    accelerator = load_accelerator(name)
    return Device(accelerator, load_curves(accelerator), load_engine("vllm", accelerator.architecture))


DEVICES = {name: device_of(name) for name in [*MEASURED, "mi300x", "rtx_4090"]}
devices = st.sampled_from(sorted(DEVICES)).map(DEVICES.__getitem__)
weights = st.sampled_from([FORMATS[name] for name in ("bf16", "fp8", "fp8_block", "int4", "nvfp4", "mxfp4")])
widths = st.integers(16, 80_000)


def seconds(operator, *rows):
    numbers = np.array(rows, np.float64)
    return operator.demand(Load(numbers, numbers)).seconds


@given(devices, weights, widths, widths, st.lists(st.integers(1, 100_000), min_size=2, max_size=8).map(sorted))
@settings(deadline=None)
def test_a_taller_product_never_takes_less_time(device, format, inputs, outputs, rows):
    times = seconds(Gemm("any", 1, device, inputs, outputs, format), *rows)
    assert (np.diff(times) >= -1e-15).all()


@given(devices, weights, widths, widths, st.integers(1, 10_000), st.integers(1, 1000))
@settings(deadline=None)
def test_a_wider_product_never_takes_less_time(device, format, inputs, outputs, rows, more):
    own = seconds(Gemm("any", 1, device, inputs, outputs, format), rows)
    assert seconds(Gemm("any", 1, device, inputs + more, outputs, format), rows) >= own
    assert seconds(Gemm("any", 1, device, inputs, outputs + more, format), rows) >= own


@given(devices, weights, widths, widths, st.integers(1, 100_000))
@settings(deadline=None)
def test_no_product_beats_the_peaks(device, format, inputs, outputs, rows):
    gemm = Gemm("any", 1, device, inputs, outputs, format)
    load = Load(np.array([float(rows)]), np.array([float(rows)]))
    peak = max(device.accelerator.peak_flops.values())
    demand = gemm.demand(load)
    assert demand.seconds >= demand.flops / peak
    assert demand.seconds >= demand.bytes / device.accelerator.memory_bandwidth


@given(devices, weights, widths, widths, st.integers(64, 100_000))
@settings(deadline=None)
def test_one_row_more_is_no_leap(device, format, inputs, outputs, rows):
    before, after = seconds(Gemm("any", 1, device, inputs, outputs, format), rows, rows + 1)
    assert after <= before * (1 + 1 / rows) * (1 + 1e-12)


@given(devices, weights, st.lists(st.integers(1, 20_000), min_size=2, max_size=8).map(sorted), st.sampled_from([0.0, 0.5, 1.0]))
@settings(deadline=None)
def test_more_tokens_never_make_the_experts_faster(device, format, tokens, skew):
    moe = MIXTRAL.layers[0].feed_forward
    skewed = replace(device, profile=replace(device.profile, expert_skew=skew))
    times = seconds(Experts("experts", 1, skewed, moe, 4096, format, 1, 1, 1), *tokens)
    assert (np.diff(times) >= -1e-15).all()


def test_skewed_routing_reaches_fewer_experts():
    device, moe = DEVICES["h100_sxm"], MIXTRAL.layers[0].feed_forward
    skewed = replace(device, profile=replace(device.profile, expert_skew=1.0))
    even, uneven = (seconds(Experts("experts", 1, each, moe, 4096, FORMATS["bf16"], 1, 1, 1), 4) for each in (device, skewed))
    assert uneven < even


@given(devices, st.sampled_from([2, 4, 8]), st.lists(st.integers(1, 100_000), min_size=2, max_size=8).map(sorted))
@settings(deadline=None)
def test_a_longer_message_never_takes_less_time(device, ranks, rows):
    assert (np.diff(seconds(AllReduce("all-reduce", 1, device, ranks, 8192.0), *rows)) >= -1e-15).all()


@pytest.mark.parametrize("name", sorted(set(accelerator_names()) - {"xeon_8480_2s", "t4", "b60"}))
def test_every_accelerator_decodes_faster_than_it_could_not_and_slower_than_light(name):
    accelerator = load_accelerator(name)
    engine = replace(load_engine("vllm", accelerator.architecture), per_step=0, per_sequence=0)
    cost = cost_of(LLAMA_8B, accelerator, profile=engine, curves=load_curves(accelerator))
    reading = 2 * (LLAMA_8B.num_parameters - 128256 * 4096) / accelerator.memory_bandwidth
    assert reading < cost.step_time(decode(100)) < 2.5 * reading + 3e-3


def test_a_product_by_hand():
    """Llama-3.1-70B's down projection at TP 4 on an H100: 64 rows of 7168 to 8192 in bf16."""
    device = DEVICES["h100_sxm"]
    fitted = device.curves.find("gemm", "bf16", "bf16")
    curve = fitted.curve
    reading = (7168 * 8192 * 2 + 64 * (7168 + 8192) * 2) / (3.35e12 * curve.memory)
    multiplying = 2 * (64 + curve.half_rows) * (7168 + curve.half_inputs) * (8192 + curve.half_outputs) / (989.4e12 * curve.compute)
    both = (reading**curve.blend + multiplying**curve.blend) ** (1 / curve.blend)
    by_hand = both + curve.fixed + curve.per_input * 7168
    alone = replace(device, profile=replace(device.profile, gemm_scale=1.0))
    assert seconds(Gemm("down", 1, alone, 7168, 8192, FORMATS["bf16"]), 64) == pytest.approx(by_hand)
    assert 38e-6 < by_hand < 48e-6
    assert fitted.accelerator == "h100_sxm"


def test_an_engine_that_takes_longer_per_product_shows_in_products_alone():
    one, two = (cost_of(LLAMA_8B, profile=replace(KERNELS_ALONE, gemm_scale=scale)) for scale in (1.0, 2.0))
    parts = [{part.name: part.seconds for part in cost.explain(chunk(0, 4096))} for cost in (one, two)]
    assert parts[1]["MLP"] == pytest.approx(2 * parts[0]["MLP"])
    assert parts[1]["prompt attention"] == parts[0]["prompt attention"]


def test_each_part_of_a_step_says_how_it_is_known():
    accelerator = load_accelerator("h100_sxm")
    cost = cost_of(LLAMA_70B, accelerator, Parallelism(4), curves=load_curves(accelerator))
    known = {part.name: part.estimate for part in cost.explain(decode(*[1000] * 32))}
    assert known["MLP"].provenance == "interpolated"  # 57,344 / 4 outputs were not timed
    assert known["decode attention"].provenance == "measured"
    assert known["engine, per step"] is None
    whole = cost.provenance(decode(*[1000] * 32))
    assert whole.provenance == "interpolated"
    assert known["MLP"].error.median * 0.5 < whole.error.median < 0.2
    assert 0.7 < whole.share < 1


def test_borrowed_curves_are_known_as_such():
    accelerator = load_accelerator("h100_nvl")
    cost = cost_of(LLAMA_8B, accelerator, curves=load_curves(accelerator))
    assert cost.lenders
    assert cost.provenance(decode(1000)).provenance == "scaled"
    assert cost_of(LLAMA_8B, load_accelerator("h100_sxm"), curves=load_curves(load_accelerator("h100_sxm"))).lenders == ()


def known(part, step, name="b200_sxm", model=LLAMA_8B, layout=ALONE, **changed):
    """How that part of the step is known under an engine that adds nothing to its kernels but what is `changed`."""
    accelerator = load_accelerator(name)
    cost = cost_of(model, accelerator, layout, profile=replace(KERNELS_ALONE, **changed), curves=load_curves(accelerator))
    return next(each.estimate for each in cost.explain(step) if each.name == part)


@pytest.mark.parametrize(
    ("part", "step", "changed"),
    [
        ("prompt attention", chunk(0, 4096), {"attention_scale": 3.2}),
        ("decode attention", decode(*[4096] * 64), {"attention_memory": 0.4}),
        ("output projection", chunk(0, 4096), {"gemm_scale": 1.5}),
    ],
)
def test_a_time_that_the_engines_profile_scales_does_not_pass_for_a_measured_one(part, step, changed):
    own, scaled = known(part, step), known(part, step, **changed)
    assert (own.provenance, scaled.provenance) == ("measured", "scaled")
    assert scaled.error.median >= own.error.median
    assert scaled.error.p90 >= own.error.p90
    fitted = next(each for each in load_curves(load_accelerator("b200_sxm")) if f"{each.operator}.{each.number_format}" == own.curve)
    assert scaled.error.p90 >= fitted.errors["scaled"].p90
    assert scaled.curve == own.curve


def test_a_scale_within_the_curves_own_error_leaves_it_what_it_is():
    assert known("output projection", chunk(0, 4096), gemm_scale=1.02).provenance == "measured"


def test_experts_whose_weights_are_unpacked_slowly_are_scaled_where_the_arithmetic_shows():
    moe = MIXTRAL.layers[0].feed_forward
    device = replace(DEVICES["h100_sxm"], profile=replace(KERNELS_ALONE, unpacking_scale=2.8))
    experts = Experts(
        "experts", 1, device, replace(moe, num_experts=128, num_experts_per_tok=4, intermediate_size=2880), 2880, FORMATS["mxfp4"], 1, 1, 1
    )
    few, many = (experts.estimate(Load(np.array([rows]), np.array([rows]))).provenance for rows in (1.0, 16384.0))
    assert (few, many) == ("measured", "scaled")


def test_loads_beyond_those_that_were_measured_are_known_as_such():
    assert known("decode attention", decode(*[4096] * 64)).provenance == "measured"
    assert known("decode attention", decode(10_000_000)).provenance == "scaled"
    assert known("output projection", chunk(0, 100_000)).provenance == "scaled"


def test_a_chunk_at_an_offset_was_not_measured_but_one_that_repeats_a_token_is_as_good_as_whole():
    assert known("prompt attention", chunk(0, 4096)).provenance == "measured"
    assert known("prompt attention", chunk(4096, 4096)).provenance == "scaled"
    assert known("prompt attention", chunk(1, 4096)).provenance == "measured"


def test_heads_of_another_size_than_those_measured_are_known_as_such():
    narrow = dense("narrow", 4096, 32, 64, 8, 14336, 128256, dim=64)
    for part, step in (("prompt attention", chunk(0, 4096)), ("decode attention", decode(*[4096] * 64))):
        assert known(part, step).provenance == "measured"
        assert known(part, step, model=narrow).provenance == "scaled"


def test_matrices_that_were_measured_but_not_together_are_interpolated():
    device = DEVICES["h100_sxm"]
    fitted = device.curves.find("gemm", "bf16", "bf16")
    load = Load(np.array([8.0]), np.array([8.0]))
    alone = replace(device, profile=KERNELS_ALONE)
    for inputs, outputs in ((4096, 14336), (4096, 1024), (4096, 768)):
        found = Gemm("any", 1, alone, inputs, outputs, FORMATS["bf16"]).estimate(load)
        assert (found.provenance == "measured") == ((inputs, outputs) in fitted.shapes)
    assert 768 in fitted.sizes["outputs"]
    assert 4096 in fitted.sizes["inputs"]


def test_a_sum_over_nodes_is_known_no_better_than_the_way_between_them():
    inside, across = (known("all-reduce", decode(1000), "h100_sxm", LLAMA_70B, Parallelism(tensor)) for tensor in (8, 16))
    assert (inside.provenance, across.provenance) == ("measured", "roofline")
