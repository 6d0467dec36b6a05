"""`seatrial run`: what it prints for people, for programs and into a directory, and how flags and bad input meet it."""

import json
import os
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from seatrial.cli.main import main

SHARED = Path(os.environ.get("SEATRIAL_SHARED_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))

FEW = ["--num-requests", "60"]
KEYS = [
    *("num_requests", "num_completed", "num_rejected", "duration_s", "requests_per_s", "input_tokens_per_s", "output_tokens_per_s"),
    *("ttft_s", "tpot_s", "itl_s", "e2e_s", "queue_s", "slo", "kv_cache", "num_preemptions", "num_steps", "estimate"),
    *("wall_s", "simulated_requests_per_wall_s", "seatrial_version"),
]


def run(capsys, *flags):
    """What a run that succeeds prints on stdout."""
    code = main(["run", *map(str, flags)])
    told = capsys.readouterr()
    assert code == 0, told.err
    return told.out


def run_json(capsys, *flags):
    return json.loads(run(capsys, "--json", *flags))


def refusal(capsys, *flags):
    """The one sentence on stderr of a run that is refused."""
    assert main(["run", *map(str, flags)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert re.fullmatch(r"seatrial: .+\n", told.err)
    return told.err


def test_without_anything_the_builtin_scenario_runs(capsys):
    out = run(capsys)
    assert out.startswith("llama-3.1-8b on 1 x h100_sxm (TP 1)\n")
    assert "2,000 requests simulated in" in out


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--rate", 400, "--accelerator", "l4", "--model", "llama-3.2-1b"],
        ["--model", "deepseek-v3", "--accelerator", "h200_sxm", "--tensor-parallel", 8, "--expert-parallel"],
        ["--model", "mixtral-8x7b", "--data-parallel", 4, "--pipeline-parallel", 2, "--expert-parallel"],
        ["--concurrency", 32, "--think-time", 0.5, "--max-num-seqs", 8],
        ["--cost", "affine:base=0.01", "--num-gpu-blocks-override", 400, "--slo", "ttft:mean=1e-9,queue:p99.9=1000"],
        ["--scheduler", "static", "--warmup", 1, "--cooldown", 1],
        ["--num-gpu-blocks-override", 2],
        ["--request-timeout", 0.5],
        ["--warmup", 1e6],
    ],
)
def test_what_people_see_fits_80_columns_and_is_plain(capsys, flags):
    out = run(capsys, *FEW, *flags)
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "\x1b" not in out
    assert "nan" not in out
    assert "None" not in out
    assert "…" not in out


def test_people_see_whether_the_promise_was_kept(capsys):
    out = run(capsys, *FEW, "--cost", "affine:base=0.01", "--slo", "ttft:p90=1000,itl:p99=0.001")
    assert re.search(r"ttft p90 +16.7 min +\d.+ held", out)
    assert re.search(r"itl p99 +1 ms +10 ms +missed", out)


@pytest.mark.parametrize(("slo", "promise"), [("ttft:p90=1000", "SLO held"), ("itl:p99=0.001", "itl missed its target")])
def test_people_see_whether_a_closed_loop_keeps_the_promise(capsys, slo, promise):
    out = run(capsys, *FEW, "--cost", "affine:base=0.01", "--concurrency", 8, "--slo", slo)
    assert f"answers/s, {promise}; short of" in " ".join(out.split())


def test_a_replica_short_of_nothing_is_told_so(capsys):
    closed_loop = ["--model", "llama-3.1-70b", "--tensor-parallel", 4, "--concurrency", 64]
    out = " ".join(run(capsys, "--num-requests", 300, *closed_loop).split())
    assert re.search(r"short of neither compute nor memory bandwidth \(MFU .+, MBU .+\): `seatrial explain` shows", out)


def test_people_see_what_the_figures_leave_out(capsys):
    assert "leave out" not in run(capsys, *FEW)
    out = run(capsys, *FEW, "--warmup", 1, "--cooldown", 0.5)
    assert "leave out who came in the first 1 s and the last 0.5 s." in " ".join(out.split())


def test_json_is_one_object_with_the_keys_that_scripts_rely_on(capsys):
    found = run_json(capsys, *FEW, "--slo", "ttft:p90=0.5")
    assert [key for key in KEYS if key not in found] == []
    for latency in ("ttft_s", "tpot_s", "itl_s", "e2e_s", "queue_s"):
        assert list(found[latency]) == ["mean", "p50", "p90", "p95", "p99", "max"]
    assert {"attainment", "goodput_requests_per_s"} <= found["slo"].keys()
    assert {"capacity_tokens", "peak_usage", "mean_usage"} <= found["kv_cache"].keys()
    assert found["scenario"]["engine"]["max_num_batched_tokens"] == 8192
    assert found["scenario"]["num_gpu_blocks"] * 16 == found["kv_cache"]["capacity_tokens"]
    assert found["price"]["dollars_per_hour"] > 0
    assert found["notes"] == []


def test_notes_are_in_the_json_and_on_stderr(capsys):
    main(["run", "--json", *FEW, "--num-gpu-blocks-override", "2"])
    told = capsys.readouterr()
    notes = json.loads(told.out)["notes"]
    assert "every request was rejected" in notes[0]
    assert f"note: {notes[0]}\n" in told.err


def test_figures_say_how_sure_they_are(capsys):
    found = run_json(capsys, *FEW)["estimate"]
    assert list(found) == ["provenance", "error", "curves", "sources", "classes"]
    assert found["provenance"] in ("measured", "interpolated")
    assert 0 < found["error"]["median_pct"] < found["error"]["p90_pct"] < 100
    assert "h100_sxm gemm.bf16" in found["curves"]
    assert sum(found["classes"].values()) == pytest.approx(1)
    error = f"+-{found['error']['median_pct']:.0f} % (p90 {found['error']['p90_pct']:.0f} %)"
    assert re.search(rf"step times  .+ measured on this accelerator, {re.escape(error)}\n", run(capsys, *FEW))


def test_whoever_names_the_prices_is_told_no_error_of_ours(capsys):
    assert run_json(capsys, *FEW, "--cost", "affine:base=0.01")["estimate"] is None
    assert "step times" not in run(capsys, *FEW, "--cost", "affine:base=0.01")


def test_the_same_seed_gives_the_same_figures_and_another_seed_others(capsys):
    one, same, other = (run_json(capsys, *FEW, "--seed", seed)["ttft_s"] for seed in (1, 1, 2))
    assert one == same != other


def test_flags_set_the_engine(capsys):
    sizes = ["--max-num-seqs", 7, "--max-num-batched-tokens", 512, "--block-size", 32, "--gpu-memory-utilization", 0.8]
    others = ["--tensor-parallel", 2, "--scheduler", "vllm-v1", "--no-enable-chunked-prefill"]
    told = run_json(capsys, *FEW, *sizes, *others)["scenario"]
    engine = told["engine"]
    assert (engine["max_num_seqs"], engine["max_num_batched_tokens"], engine["block_size"]) == (7, 512, 32)
    assert (engine["gpu_memory_utilization"], engine["enable_chunked_prefill"]) == (0.8, False)
    assert (told["parallelism"]["tensor_parallel"], told["scheduler"]) == (2, "vllm-v1")


def test_what_out_writes_runs_again_to_the_same_bytes(capsys, tmp_path):
    first, again = tmp_path / "a", tmp_path / "b"
    found = run_json(capsys, *FEW, "--rate", 30, "--out", first)
    run(capsys, first / "scenario.yaml", "--out", again)
    assert (first / "requests.parquet").read_bytes() == (again / "requests.parquet").read_bytes()
    assert (first / "scenario.yaml").read_bytes() == (again / "scenario.yaml").read_bytes()
    assert json.loads((first / "summary.json").read_text()) == found


def test_an_audited_run_prints_the_same(capsys):
    plain, audited = run_json(capsys, *FEW), run_json(capsys, *FEW, "--audit")
    assert plain["ttft_s"] == audited["ttft_s"]


def test_a_trace_with_other_column_names_is_mapped(capsys, tmp_path):
    (tmp_path / "log.csv").write_text("t,p,a\n0,10,5\n1000,20,5\n2000,30,0\n")
    columns = ["--column", "arrival_ms=t", "--column", "input_tokens=p", "--column", "output_tokens=a"]
    found = run_json(capsys, "--trace", tmp_path / "log.csv", *columns)
    assert found["num_requests"] == 2
    assert "1 row was left out" in found["notes"][0]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--model", "lama-3.1-8b"], "did you mean llama-3.1-8b"),
        (["--accelerator", "h101"], "no accelerator 'h101'"),
        (["--model", "llama-3.1-70b"], "the smallest tensor_parallel that fits is 2"),
        (["--tensor-parallel", "3"], "tensor_parallel 3 does not divide"),
        (["--expert-parallel"], "needs a mixture of experts"),
        (["--scheduler", "vllm-v2"], "did you mean vllm-v1"),
        (["--slo", "ttft"], "SLO 'ttft': 'ttft' has no limit"),
        (["--slo", "ttft:p90=nan"], "'nan' is not a number of seconds"),
        (["--cost", "affine:bse=1"], "did you mean base?"),
        (["--trace", "none.csv"], "there is no trace"),
        (["--rate", "nan"], "--rate cannot be 'nan'; it must be a number above 0"),
        (["--rate", "1", "--speedup", "2"], "--rate and --speedup each set the pace"),
        (["--max-num-seqs", "2.5"], "--max-num-seqs cannot be '2.5'; it must be a whole number, 1 or more"),
        (["--watermark", "2"], "--watermark cannot be '2'; it must be a number, 0 or more, at most 1"),
        (["--max-model-len", "1000000"], "goes up to 131072"),
        (["--column", "a"], "--column a maps nothing"),
        (["--column", "arrival_s=foo"], "--column is for traces"),
        (["--model", ""], "the name of the model is empty"),
        (["--accelerator", " "], "the name of the accelerator is empty"),
        (["--block-size", "999999999"], "give a smaller block_size"),
        (["--slo", "ttft:p90=0.5,ttft=0.1"], "ttft:p90 has two limits"),
        (["/dev/urandom"], "/dev/urandom is a device or a pipe"),
        (["--replicas", "0"], "--replicas cannot be '0'; it must be a whole number, 1 or more"),
        (["--replicas", "2", "--router", "round-robbin"], "no router 'round-robbin'; did you mean round-robin"),
        (["--replicas", "2", "--router", "random:seed=1"], "the router 'random' has no option 'seed'; it has none"),
        (["--view-delay", "-1"], "--view-delay cannot be '-1'"),
        (["--warmup", "-1"], "--warmup cannot be '-1'"),
        (["--seed", "x"], "--seed cannot be 'x'"),
        (["none.yaml"], "there is no file none.yaml"),
        (["none.yaml/x"], "there is no file none.yaml/x"),
        ([""], "SCENARIO cannot be ''; it must be a path"),
        (["--engine", ""], "no engine ''; known are sglang, "),
        (["--scheduler", ""], "no scheduler ''; known are "),
        (["--engine", "none.toml"], "engine file none.toml cannot be read: there is no such file"),
        (["--bogus"], "run has no flag --bogus"),
    ],
)
def test_bad_input_gets_one_sentence_and_leaves_nothing(capsys, tmp_path, monkeypatch, flags, sentence):
    monkeypatch.chdir(tmp_path)
    assert sentence in refusal(capsys, *flags, "--out", "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("arrival_s,input_tokens\n0,1\n", "has no column 'output_tokens'"),
        ("arrival_s,input_tokens,output_tokens\n0,10,5\n1,-3,5\n", "row 1"),
        ("arrival_s,input_tokens,output_tokens\n0,10,5\n1,many,5\n", "row 1"),
        ("arrival_s,input_tokens,output_tokens\n5,10,5\n1,10,5\n", "row 1"),
        ("arrival_s,input_tokens,output_tokens\nnan,10,5\n", "row 0"),
        ("arrival_s,input_tokens,output_tokens\n", "no rows"),
        ("", "is empty"),
        ("PAR1 and then nothing", "t.csv"),
    ],
)
def test_a_bad_trace_gets_one_sentence_and_leaves_nothing(capsys, tmp_path, text, sentence):
    (tmp_path / "t.csv").write_text(text)
    assert sentence in refusal(capsys, "--trace", tmp_path / "t.csv", "--out", tmp_path / "run")
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.skipif(not (SHARED / "traces").is_dir(), reason="the shared traces are not here (SEATRIAL_SHARED_DATA)")
@pytest.mark.parametrize("name", ["azure2023_conv", "azure2023_code", "mooncake_conversation"])
def test_real_traces_run_and_every_request_is_accounted_for(capsys, tmp_path, name):
    trace = SHARED / "traces" / f"{name}.parquet"
    found = run_json(capsys, "--trace", trace, "--limit", 500, "--slo", "ttft:p90=0.5,itl:p99=0.1", "--audit", "--out", tmp_path / "run")
    assert found["num_requests"] == found["num_completed"] == 500
    assert any("prefix" in note or "begin alike" in note for note in found["notes"]) == (name == "mooncake_conversation")
    lengths = pq.read_table(trace, columns=["output_tokens"])["output_tokens"].to_pylist()[:500]
    assert pq.read_table(tmp_path / "run" / "requests.parquet").sort_by("row")["output_tokens"].to_pylist() == lengths
