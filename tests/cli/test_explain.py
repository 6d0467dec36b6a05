"""`seatrial explain`: the parts of a step add up to the step, and the memory's to the memory."""

import json
import re
from pathlib import Path

import pytest

from seatrial.cli.main import main

EXAMPLES = Path(__file__).parents[2] / "examples"


def explain(capsys, *flags):
    code = main(["explain", *map(str, flags)])
    told = capsys.readouterr()
    assert code == 0, told.err
    return told.out


def explain_json(capsys, *flags):
    return json.loads(explain(capsys, "--json", *flags))


EVERY_KIND = [
    [],
    ["--model", "deepseek-v3", "--accelerator", "h200_sxm", "--tensor-parallel", 8, "--decodes", 100, "--prompt-tokens", 300],
    ["--model", "mixtral-8x7b", "--data-parallel", 2, "--pipeline-parallel", 2, "--expert-parallel"],
    [
        "--model",
        "gemma-2-27b",
        "--accelerator",
        "mi300x",
        "--decodes",
        9,
        "--context",
        8000,
        "--prompt-tokens",
        99,
        "--prompt-offset",
        8000,
    ],
    ["--model", "jamba-1.5-mini", "--tensor-parallel", 8],
    ["--cost", "affine:base=0.01"],
]


@pytest.mark.parametrize("flags", EVERY_KIND)
def test_what_people_see_fits_80_columns_and_is_plain(capsys, flags):
    out = explain(capsys, *flags)
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "\x1b" not in out
    assert "…" not in out


@pytest.mark.parametrize("flags", EVERY_KIND[:-1])
def test_operators_add_up_to_the_step(capsys, flags):
    for step in explain_json(capsys, *flags)["steps"]:
        assert sum(part["seconds"] for part in step["operators"]) == pytest.approx(step["step_time_s"], rel=1e-9)
        assert sum(part["share"] for part in step["operators"]) == pytest.approx(1)
        assert {part["bound"] for part in step["operators"]} <= {"compute", "memory", "network", "overhead"}


def test_every_operator_with_a_curve_says_whose_it_is_and_how_far_off(capsys):
    for step in explain_json(capsys, "--model", "mixtral-8x7b", "--tensor-parallel", 2)["steps"]:
        known = {part["name"]: part["estimate"] for part in step["operators"]}
        assert known["experts"]["accelerator"] == "h100_sxm"
        assert known["experts"]["curve"] == "experts.bf16"
        assert 0 < known["experts"]["error"]["median"] < known["experts"]["error"]["p90"]
        assert known["engine, per step"] is None
        assert step["confidence"]["provenance"] in ("measured", "interpolated", "scaled", "roofline")
        assert 0.5 < step["confidence"]["share"] <= 1


def test_people_see_whose_curves_were_used(capsys):
    out = explain(capsys, "--accelerator", "h20")
    assert re.search(r"MLP +h100_sxm +bf16 +scaled +\d+ %", out)
    assert "no operator times of h20 are known: curves are those of h100_sxm" in " ".join(out.split())


def test_without_a_batch_decodes_and_a_prompt_are_told_apart(capsys):
    decodes, prompt = explain_json(capsys)["steps"]
    assert (decodes["batch"]["num_decodes"], decodes["batch"]["decode_context"]) == (32, 32_000)
    assert (prompt["batch"]["num_prompt_tokens"], prompt["batch"]["prompt_pairs"]) == (1000, 500_500)


def test_a_batch_of_ones_own_is_one_step(capsys):
    (step,) = explain_json(capsys, "--decodes", 2, "--context", 10, "--prompt-tokens", 4, "--prompt-offset", 6)["steps"]
    assert step["batch"] == {
        "num_prompts": 1,
        "num_prompt_tokens": 4,
        "prompt_pairs": 4 * 6 + 10,
        "prompt_context": 10,
        "num_decodes": 2,
        "decode_context": 20,
        "num_sampled": 3,
        "window_pairs": 0,
        "window_prompt_context": 0,
        "window_decode_context": 0,
    }


def test_a_window_cuts_what_a_token_looks_back_on(capsys):
    flags = ["--model", "gemma-2-27b", "--decodes", 2, "--context", 5000, "--prompt-tokens", 3, "--prompt-offset", 6000]
    (step,) = explain_json(capsys, *flags)["steps"]
    window = 4096
    assert step["batch"]["window_decode_context"] == 2 * window
    assert step["batch"]["window_pairs"] == 3 * window
    assert step["batch"]["window_prompt_context"] == window - 1 + 3


def test_the_blocks_are_what_is_left_of_the_memory(capsys):
    cache = explain_json(capsys, "--gpu-memory-utilization", 0.8)["kv_cache"]
    memory = cache["memory"]
    assert memory["requested"] == pytest.approx(0.8 * memory["total"])
    left = memory["requested"] - memory["weights"] - memory["activations"] - memory["non_torch"] - memory["cuda_graphs"]
    assert cache["num_blocks"] == int(left // cache["block_bytes"]) - 1  # vLLM's null block
    assert cache["capacity_tokens"] == 16 * cache["num_blocks"]


def test_as_many_sequences_fit_as_their_blocks_do(capsys):
    cache = explain_json(capsys, "--num-gpu-blocks-override", 100, "--context", 17)["kv_cache"]
    assert cache["num_sequences"] == 50


def test_people_see_where_a_step_goes(capsys):
    out = explain(capsys)
    assert re.search(r"MLP +\d+\.\d{3} +\d+\.\d % +memory", out)
    assert "Peaks of all accelerators together: 989 TFLOP/s and 3.35 TB/s" in out


def test_a_step_that_is_too_large_is_remarked_on(capsys):
    notes = explain_json(capsys, "--decodes", 1000, "--context", 100_000, "--prompt-tokens", 10_000)["notes"]
    assert "max_num_batched_tokens" in notes[0]
    assert "that the KV cache holds" in notes[1]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--decodes", "0"], "a step without decodes and without a prompt computes nothing"),
        (["--decodes", "-1"], "--decodes cannot be '-1'; it must be a whole number, 0 or more"),
        (["--context", "0"], "--context cannot be '0'"),
        (["--model", "llama-3.1-70b"], "the smallest tensor_parallel that fits is 2"),
        (["--trace", "a.csv"], "explain has no flag --trace"),
    ],
)
def test_bad_input_gets_one_sentence(capsys, flags, sentence):
    assert main(["explain", *flags]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert sentence in told.err
    assert told.err.count("\n") == 1


def test_of_several_pools_one_is_explained_and_said_which(capsys):
    fleet = str(EXAMPLES / "old-and-new-accelerators.yaml")
    assert main(["explain", fleet, "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["replica"]["accelerator"] == "h100_sxm"
    assert told.err == "note: this is the pool 'new', the first of 2; --pool chooses another\n"
    old = explain_json(capsys, fleet, "--pool", "old", "--max-num-seqs", 7)
    assert (old["replica"]["accelerator"], old["replica"]["engine"]["max_num_seqs"]) == ("a100_sxm", 7)
    assert main(["explain", fleet, "--pool", "odl"]) == 2
    assert "the scenario has no pool 'odl'; did you mean old?" in capsys.readouterr().err
