"""`seatrial fit engine` as a person calls it."""

import json

import pytest

from seatrial.catalog import read_engine
from seatrial.cli.main import main

COLUMNS = "point_id,model,gpu,tp,engine,engine_version,kind,concurrency,num_requests,input_mean,output_mean,ttft_mean_ms,tpot_mean_ms"
ROWS = (
    "a,llama-3.1-8b,h100_sxm,1,vLLM,0.15,serving_closedloop,4,12,100,20,30,8",
    "b,llama-3.1-8b,h100_sxm,2,vLLM,0.15,serving_closedloop,4,12,100,20,25,6",
    "c,qwen2.5-14b,h200_sxm,1,vLLM,0.15,serving_closedloop,4,12,100,20,0,12",
    "d,qwen2.5-14b,x9000,1,vLLM,0.15,serving_closedloop,4,12,100,20,30,8",
)


@pytest.fixture
def points(tmp_path):
    file = tmp_path / "points.csv"
    file.write_text("\n".join((COLUMNS, *ROWS)) + "\n")
    return str(file)


def fit(points, *more):
    return main(["fit", "engine", points, "--fit", "gemm_scale", "--rounds", "2", "--jobs", "1", *map(str, more)])


def test_a_profile_is_fitted_written_and_read_back(points, tmp_path, capsys):
    assert fit(points, "--base", "vllm-0.15", "--out", tmp_path / "mine.toml", "--json") == 0
    told, notes = capsys.readouterr()
    figures = json.loads(told)
    assert figures["num_points"] == 3
    assert set(figures["left_out"]["model"]) == {"all", "llama-3.1-8b", "qwen2.5-14b"}
    assert "no accelerator 'X9000'" in notes or "no accelerator 'x9000'" in notes
    assert read_engine(tmp_path / "mine.toml").gemm_scale == pytest.approx(figures["values"]["gemm_scale"], rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--base", "mine.toml"], "--base cannot be mine.toml"),
        (["--base", "vlm"], "no engine 'vlm'"),
        (["--fit", "gem_scale"], "no number of a profile is called 'gem_scale'"),
        (["--out", "mine.txt"], "a profile is a .toml file"),
        (["--where", "model=none"], "leaves no point"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(points, capsys, arguments, complaint):
    assert fit(points, *arguments) == 2
    err = capsys.readouterr().err
    assert complaint in err
    assert sum(line.startswith("seatrial:") for line in err.splitlines()) == 1
