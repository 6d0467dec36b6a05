"""A measured step is put beside what the cost says of the same batch."""

import json
from dataclasses import replace

import pytest

from seatrial.cli.main import main
from seatrial.core.batch import Batch
from seatrial.core.errors import PointsError
from seatrial.cost import AffineCost
from seatrial.validate.steps import MeasuredStep, batch_of, read_steps, validate_steps
from seatrial.validate.unsimulated import Unsimulated

HEADER = "model,gpu,tp,precision,engine,phase,prefill_seqs,decode_seqs,prefill_tokens,mean_context_tokens,power_cap,time_ms"


@pytest.fixture
def steps_file(tmp_path):
    def write(*rows, header=HEADER):
        file = tmp_path / "steps.csv"
        file.write_text("\n".join((header, *rows)) + "\n")
        return file

    return write


@pytest.fixture
def step(point):
    def make(**fields):
        return MeasuredStep(point(engine="vLLM", engine_version="0.15.1"), "mixed", 0.01, **fields)

    return make


def test_decodes_have_the_mean_context_each(step):
    assert batch_of(step(decode_seqs=4, mean_context_tokens=100), None) == Batch(num_decodes=4, decode_context=400, num_sampled=4)


def test_prompts_are_alike_and_end_at_the_mean_context(step):
    batch = batch_of(step(decode_seqs=3, prefill_seqs=2, prefill_tokens=10, mean_context_tokens=100), None)
    assert batch == Batch(
        num_prompts=2,
        num_prompt_tokens=10,
        prompt_pairs=2 * (5 * 95 + 15),
        prompt_context=200,
        num_decodes=3,
        decode_context=300,
        num_sampled=5,
    )


def test_a_prompt_from_the_start_has_no_context_but_its_own(step):
    batch = batch_of(step(prefill_seqs=2, prefill_tokens=20), None)
    assert (batch.prompt_pairs, batch.prompt_context) == (2 * 55, 20)


def test_a_window_cuts_what_is_looked_at(step):
    batch = batch_of(step(decode_seqs=4, prefill_seqs=1, prefill_tokens=10, mean_context_tokens=100), 32)
    assert batch.window_decode_context == 4 * 32
    assert batch.window_pairs == 10 * 32
    assert batch.window_prompt_context == 31 + 10


def test_a_step_that_computes_nothing_is_refused(step):
    with pytest.raises(Unsimulated, match="computes nothing"):
        batch_of(step(), None)


def test_every_step_is_compared_or_has_a_reason(steps_file):
    file = steps_file(
        "llama-3.1-8b,h100_sxm,1,bf16,vLLM 0.15.1,decode,0,8,0,500,False,10",
        "llama-3.1-8b,h100_sxm,1,bf16,vLLM 0.15.1,decode,0,8,0,500,False,20",
        "llama-3.1-8b,h100_sxm,1,bf16,vLLM 0.15.1,decode,0,8,0,500,True,20",
        "llama-9,h100_sxm,1,bf16,vLLM 0.15.1,decode,0,8,0,500,False,20",
    )
    found = validate_steps(read_steps(file), cost=lambda setup, system: AffineCost(base=0.004, per_decode=0.001))
    assert [compared.step_time.predicted for compared in found.steps] == pytest.approx([0.012, 0.012])
    error = found.groups()["phase"]["vllm-0.15, decode"]
    assert error == pytest.approx((30, 38, -10, 2))  # 20 % too much and 40 % too little
    assert [skipped.point_id for skipped in found.skipped] == ["row 3", "row 4"]
    assert "power cap" in found.skipped[0].reason
    assert "llama-9" in found.skipped[1].reason


def test_the_command_needs_no_points_for_steps(steps_file, capsys):
    file = steps_file("llama-3.1-8b,h100_sxm,1,bf16,vLLM 0.15.1,decode,0,8,0,500,False,10")
    assert main(["validate", "--steps", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["num_points"] == 0
    assert (found["steps"]["num_steps"], found["steps"]["num_compared"]) == (1, 1)
    assert found["steps"]["groups"]["engine"].keys() == {"vllm-0.15"}
    assert main(["validate", "--steps", str(file)]) == 0
    assert "h100_sxm, decode" in capsys.readouterr().out


def test_a_file_that_says_no_time_is_refused(steps_file):
    with pytest.raises(PointsError, match="no column 'time_ms'"):
        read_steps(steps_file("llama-3.1-8b,h100_sxm,decode", header="model,gpu,phase"))


def test_a_step_that_says_nothing_to_compare_is_skipped_with_the_reason(step):
    found = validate_steps([replace(step(decode_seqs=4), step_time=0.0), step(prefill_tokens=100, decode_seqs=4)])
    assert [skip.reason for skip in found.skipped] == ["its time_ms is 0", "it has prefill_tokens above 0 and no prefill_seqs"]


def test_the_step_before_does_not_decide_what_a_step_ran_on(step):
    plain = step(decode_seqs=4, mean_context_tokens=100)
    speculative = replace(plain, point=replace(plain.point, spec_decode="MTP, 1 draft token"))
    found = validate_steps([plain, speculative])
    assert len(found.steps) == 1
    assert "speculative decoding" in found.skipped[0].reason
