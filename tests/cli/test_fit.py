"""`seatrial fit engine` from measured runs to a profile that `run` takes, and what it says to wrong input."""

import json
import re
import tomllib

import pytest

import seatrial.cli.fit_engine as command
from seatrial.catalog import load_engine
from seatrial.cli.main import main

HEADER = "point_id,model,gpu,tp,kind,engine,engine_version,num_requests,concurrency,input_mean,output_mean,ttft_mean_ms,tpot_mean_ms"
ROWS = (
    "a,llama-3.1-8b,h100_sxm,1,serving_closedloop,vLLM,0.15,8,2,100,10,30,8",
    "b,qwen2.5-14b,h100_sxm,1,serving_closedloop,vLLM,0.15,8,2,100,10,40,14",
)


@pytest.fixture
def points(tmp_path):
    return points_file(tmp_path, *ROWS)


def points_file(directory, *rows):
    file = directory / "points.csv"
    file.write_text("\n".join((HEADER, *rows)) + "\n")
    return file


def fit(points, *tokens):
    rounds = [] if "--rounds" in tokens else ["--rounds", "2"]
    return main(["fit", "engine", str(points), "--jobs", "1", *rounds, "--fit", "per_step", *map(str, tokens)])


def refused(capsys, points, *tokens):
    """The one sentence."""
    assert fit(points, *tokens) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    return told.err


def test_a_fit_is_shown_and_its_profile_can_be_loaded(points, tmp_path, capsys):
    out = tmp_path / "new" / "mine.toml"
    assert fit(points, "--out", out, "--source", "my\nown runs", "--date", "2026-11") == 0
    assert "per_step" in capsys.readouterr().out
    mine = load_engine(str(out))
    assert mine.per_step != load_engine("vllm").per_step
    assert mine.sources["per_step"].source.startswith("my\nown runs; ×/÷ ")
    left_out = json.loads(out.with_suffix(".cross_validation.json").read_text())
    assert (set(left_out["model"]), set(left_out["gpu"])) == ({"all", "llama-3.1-8b", "qwen2.5-14b"}, {"all"})
    assert {file.name for file in out.parent.iterdir()} == {"mine.toml", "mine.cross_validation.json"}


def test_json_has_the_numbers_and_what_is_left_out_is_said(tmp_path, capsys):
    unknown = ROWS[0].replace("a,", "d,", 1).replace("h100_sxm", "x9000")
    assert fit(points_file(tmp_path, *ROWS, unknown), "--fit", "per_step", "--json") == 0
    told = capsys.readouterr()
    assert "1 points are left out: the catalogue has no accelerator 'x9000'" in told.err
    found = json.loads(told.out)
    assert (set(found["values"]), found["num_points"]) == ({"per_step"}, 2)


def test_a_model_that_does_not_fit_is_left_out_and_said(tmp_path, capsys):
    large = ROWS[0].replace("a,llama-3.1-8b", "e,llama-3.1-70b", 1)
    assert fit(points_file(tmp_path, *ROWS, large), "--json") == 0
    told = capsys.readouterr()
    assert "e is left out: llama-3.1-70b does not fit h100_sxm" in told.err
    assert json.loads(told.out)["num_points"] == 2


def test_what_runs_do_not_tell_is_said_and_stays_the_bases(points, tmp_path, capsys):
    out = tmp_path / "mine.toml"
    assert main(["fit", "engine", str(points), "--jobs", "1", "--rounds", "2", "--base", "vllm-0.15", "--out", str(out)]) == 0
    told = capsys.readouterr()
    said = re.search(r"not told by these runs, left as in vllm-0.15: (.*)\n", told.err).group(1).split(", ")
    assert {"experts_scale", "expert_skew", "on.Hopper.attention_memory"} < set(said)
    shown = " ".join(told.out.split())
    assert f"Not told by these runs, left as in vllm-0.15: {', '.join(said)}." in shown
    assert max(map(len, told.out.splitlines())) <= 80
    assert "…" not in told.out
    written = tomllib.loads(out.read_text())
    assert not written.keys() & set(said)
    assert written["gemm_scale"]["source"] == "runs"
    assert load_engine(str(out)).experts_scale == load_engine("vllm-0.15").experts_scale


def test_a_number_that_is_asked_for_is_written_though_runs_do_not_tell_it_and_that_is_said(points, tmp_path, capsys):
    out = tmp_path / "mine.toml"
    assert fit(points, "--fit", "experts_scale", "--out", out) == 0
    told = capsys.readouterr()
    assert "hardly told by these runs, but asked for, so these are about what is common among engines: experts_scale\n" in told.err
    assert re.search(r"experts_scale .* \*", told.out)
    assert "* mostly what is common among engines: these runs say less of it." in told.out
    assert "experts_scale" in tomllib.loads(out.read_text())


def test_a_figure_of_0_is_left_out_and_said(tmp_path, capsys):
    assert fit(points_file(tmp_path, *ROWS, ROWS[0].replace("a,", "c,", 1).replace(",30,", ",0,")), "--json") == 0
    told = capsys.readouterr()
    assert "1 measured figures are left out: they are not above 0" in told.err
    assert json.loads(told.out)["in_sample"]["ttft_mean"]["n"] == 2


@pytest.mark.parametrize(("gpu", "num_left_out"), [("h100_sxm", 2), ("h200_sxm", 4)])
def test_the_bars_end_where_the_work_does(tmp_path, monkeypatch, gpu, num_left_out):
    """Each model is left out once, and each accelerator unless it is the only one."""
    from contextlib import contextmanager

    bars = {}

    @contextmanager
    def progress(what, total):
        bars[what] = [total, 0.0]
        yield lambda done: bars[what].__setitem__(1, done)

    monkeypatch.setattr(command, "progress", progress)
    assert fit(points_file(tmp_path, *ROWS, ROWS[0].replace("a,", "c,", 1).replace("h100_sxm", gpu).replace(",8,2,", ",9,2,"))) == 0
    assert bars == {"fitting": [50 * 2, 50 * 2], "leaving out": [50 * num_left_out] * 2}


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (["--fit", "gem_scale"], "did you mean gemm_scale"),
        (["--fit", "zzz"], "known are all_reduce_fixed, "),
        (["--base", "mine.toml"], "--base cannot be mine.toml"),
        (["--base", "vlm"], "no engine 'vlm'"),
        (["--out", "mine.json"], "a profile is a .toml file"),
        (["--out", "points.csv/mine.toml"], "cannot write points.csv/mine.toml: a part of its path is a file and no directory"),
        (["--out", "folder.toml"], "cannot write folder.toml: it is a directory"),
        (["--out", ""], "--out cannot be ''; it must be a path"),
        (["--rounds", "1"], "--rounds cannot be '1'; it must be a whole number, 2 or more"),
        (["--date", "yesterday"], "--date cannot be 'yesterday'"),
        (["--where", "gpu=x9000"], "x9000"),
    ],
)
def test_wrong_input_gets_one_sentence_before_anything_is_simulated(points, tokens, sentence, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "fit_engine", lambda *_: pytest.fail("it was fitted"))
    (tmp_path / "folder.toml").mkdir()
    assert sentence in refused(capsys, points, *tokens)


def test_points_without_a_figure_above_0_are_refused(tmp_path, capsys):
    file = points_file(tmp_path, ROWS[0].replace(",30,8", ",0,0"))
    assert fit(file) == 2
    assert "none of these points has a figure to fit" in capsys.readouterr().err
