"""What a point ran on is understood as stated, assumed where it is silent, and refused where it cannot be known."""

from pathlib import Path

import pytest

from seatrial.core.errors import PointsError
from seatrial.trial.setup import resolve_pool
from seatrial.validate.assumptions import Answers, Assumption, read_assumptions, texts
from seatrial.validate.names import read_names, served_model
from seatrial.validate.point import Point
from seatrial.validate.points import read_points
from seatrial.validate.steps import read_steps
from seatrial.validate.system import engine_name, is_true, on_or_off, system_of, unmultiplied
from seatrial.validate.unsimulated import Unsimulated
from truth import TRUTH, needs_truth

NAMES = read_names()


def pool_of(point):
    return system_of(point, NAMES, Answers(point, read_assumptions())).pool


def test_what_a_point_states_is_what_runs(point):
    stated = point(
        tp=2.0, max_num_seqs=128.0, max_num_batched_tokens=1024.0, gpu_mem_util="0.95", chunked_prefill="on (default)", kv_blocks_gpu=501.0
    )
    pool = pool_of(stated)
    assert (pool.tensor_parallel, pool.max_num_seqs, pool.max_num_batched_tokens) == (2, 128, 1024)
    assert (pool.gpu_memory_utilization, pool.enable_chunked_prefill) == (0.95, True)
    assert pool.num_gpu_blocks_override == 500  # one of vLLM's is the null block


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"gpu": "X9000"}, "no accelerator 'X9000'"),
        ({"gpu": ""}, "accelerator is not stated"),
        ({"model": "llama-9"}, "no model 'llama-9'"),
        ({"disaggregated": "True"}, "disaggregated"),
        ({"spec_decode": "MTP, 1 draft token"}, "speculative decoding"),
        ({"duplicate_of": "q"}, "same measurement as q"),
        ({"n_gpu": 8.0}, "how its 8 accelerators share the model is not stated"),
        ({"n_gpu": 8.0, "tp": 2.0}, "are not its 8 accelerators"),
        ({"tp": 72.0, "n_gpu": 72.0}, "72 accelerators are stated as one"),
        ({"precision": "UINT4"}, "weights in 'UINT4'"),
        ({"max_num_seqs": 0.0}, "max_num_seqs"),
        ({"max_num_seqs": 2.5}, "2.5 is stated where only a whole number can be"),
        ({"tp": 1.5}, "1.5 is stated where only a whole number can be"),
        ({"gpu_mem_util": "90"}, "gpu_mem_util is 90, and not a share"),
        ({"block_size": 0.5}, "0.5 is stated"),
        ({"kv_blocks_gpu": 1.0}, "num_gpu_blocks_override"),
    ],
)
def test_what_cannot_be_simulated_has_a_reason(point, fields, reason):
    with pytest.raises(Unsimulated, match=reason):
        pool_of(point(**fields))


def test_a_setting_in_words_is_counted_as_assumed(point):
    worded = point(gpu_mem_util="kv fraction 0.95")
    answers = Answers(worded, read_assumptions())
    assert system_of(worded, NAMES, answers).pool.gpu_memory_utilization is None
    assert "setting-not-understood" in answers.used


@pytest.mark.parametrize(
    ("model", "precision", "served"),
    [
        ("llama-3.1-8b", "fp16/bf16", ("llama-3.1-8b", None)),
        ("llama-3.1-8b", "fp8 (gemm fp8, moe fp8)", ("llama-3.1-8b", "fp8")),
        ("llama-3.1-8b", "nan (gemm nan, moe nan)", ("llama-3.1-8b", None)),
        ("mixtral-8x7b", "fp8 (gemm fp8, moe fp8_block)", ("mixtral-8x7b", "fp8_block")),
        ("openai/gpt-oss-120b", "fp4 (gemm nvfp4, moe nvfp4)", ("gpt-oss-120b", None)),
        ("deepseek-ai/DeepSeek-R1", "fp8", ("deepseek-r1", None)),
        ("deepseek-ai/DeepSeek-R1", "fp4", ("deepseek-r1-nvfp4", None)),
    ],
)
def test_a_checkpoint_of_that_width_is_left_as_it_is(model, precision, served):
    assert served_model(NAMES, model, precision)[:2] == served


def test_sizes_that_were_multiplied_by_the_expert_ranks_are_divided_again():
    assert unmultiplied(64, 1, 8) == (8, 1)
    assert unmultiplied(1, 16, 4) == (1, 4)
    assert unmultiplied(4, 4, 16) == (4, 1)
    assert unmultiplied(8, 1, 8) is None
    assert unmultiplied(1, 4, 4) is None


def test_sizes_of_other_sources_are_as_they_say(point):
    stated = {"model": "deepseek-ai/DeepSeek-R1", "precision": "fp8", "tp": 8.0, "dp": 8.0, "ep": "64", "n_gpu": 64.0}
    theirs = point(source="aiconfigurator silicon_sample (InferenceX dump)", **stated)
    answers = Answers(theirs, read_assumptions())
    pool = system_of(theirs, NAMES, answers).pool
    assert (pool.tensor_parallel, pool.data_parallel) == (8, 1)
    assert "layout-times-ep" in answers.used
    ours = point(source="ours", **stated)
    pool = system_of(ours, NAMES, Answers(ours, read_assumptions())).pool
    assert (pool.tensor_parallel, pool.data_parallel, pool.expert_parallel) == (8, 8, True)


@pytest.mark.parametrize(
    ("words", "value"),
    [("on (V1 default)", True), ("default on", True), ("False", False), ("not on", None), ("once", None), ("", None)],
)
def test_a_setting_in_words_is_on_or_off_or_noted(point, words, value):
    worded = point(chunked_prefill=words)
    answers = Answers(worded, read_assumptions())
    assert on_or_off(words, answers) is value
    assert ("setting-not-understood" in answers.used) == (bool(words) and value is None)


def test_what_only_begins_like_true_is_not():
    assert is_true("true (later manifest of the same study)")
    assert is_true("1.0")
    assert not is_true("once")
    assert not is_true("off, then on")


def test_an_engine_has_a_name_with_two_numbers():
    def named(engine, version):
        return engine_name(Point("p", "m", "g", {}, engine=engine, engine_version=version))

    assert named("vLLM (a fork)", "0.15.1 (stated)") == "vllm-0.15"
    assert named("TensorRT-LLM", "1.2.0rc6") == "tensorrt-llm-1.2"
    assert named("SGLang", "") == "sglang"


def test_steps_are_planned_ahead_where_the_engine_does_so(point):
    def plans_ahead(**facts):
        system = system_of(point(engine="vLLM", **facts), read_names(), Answers(point(), ()))
        return resolve_pool(system.model, system.pool).engine.async_scheduling

    assert plans_ahead(engine_version="0.15.1")
    assert not plans_ahead(engine_version="0.12.0")
    assert not plans_ahead(engine_version="0.15.1", pp=2.0, n_gpu=2.0, tp=1.0)


def test_a_stated_setting_beats_an_assumption(point):
    silent = point(engine="vLLM", source="x (NVIDIA gap-analysis run)")
    assert pool_of(silent).max_num_batched_tokens == 2048
    assert pool_of(point(engine="vLLM", source="x (NVIDIA gap-analysis run)", max_num_batched_tokens=512.0)).max_num_batched_tokens == 512


def test_every_assumption_says_why_and_can_hold():
    assert all(why for why in texts().values())
    columns = {column for assumption in read_assumptions() for column in assumption.when or {}}
    assert columns <= set(Point.__dataclass_fields__)
    assert not Assumption(name="x", why="y").holds(Point("p", "m", "g", {}))


@needs_truth
def test_every_assumption_holds_for_something_that_was_measured():
    measured = [*read_points(TRUTH / "engine_points.csv"), *(step.point for step in read_steps(TRUTH / "iteration_points.csv"))]
    holding = {assumption.name for assumption in read_assumptions() if any(map(assumption.holds, measured))}
    assert {assumption.name for assumption in read_assumptions() if assumption.when is not None} == holding


def test_the_docs_list_every_assumption():
    page = (Path(__file__).parents[2] / "docs" / "validate.md").read_text(encoding="utf-8")
    assert [name for name, why in texts().items() if f"| {name} |" not in page or why not in page] == []


def test_a_mapping_file_adds_names_and_is_checked(tmp_path, point):
    file = tmp_path / "names.yaml"
    file.write_text("accelerators: {X9000: h100_sxm}\nmodels: {llama-9: {model: llama-3.1-8b, quantization: fp8}}\n")
    mine = point(gpu="X9000", model="llama-9")
    system = system_of(mine, read_names(file), Answers(mine, read_assumptions()))
    assert (system.model, system.pool.accelerator, system.pool.quantization) == ("llama-3.1-8b", "h100_sxm", "fp8")
    file.write_text("accelerators: {X9000: h1000}\n")
    with pytest.raises(PointsError, match=r"--mapping .*names\.yaml: accelerators\.X9000: no accelerator 'h1000'"):
        read_names(file)
    file.write_text("gpus: {X9000: h100_sxm}\n")
    with pytest.raises(PointsError, match="no key 'gpus'"):
        read_names(file)
    with pytest.raises(PointsError, match="--mapping: there is no file"):
        read_names(tmp_path / "none.yaml")
