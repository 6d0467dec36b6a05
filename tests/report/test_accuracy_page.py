"""The accuracy page says everything that a validation found, and the same of the same."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seatrial.cli.main import main
from seatrial.report.accuracy_goals import goal_text
from seatrial.validate.accuracy import Error
from seatrial.validate.sections import OTHERS, read_sections

COLUMNS = (
    "point_id,exp_id,source,trust,model,gpu,tp,kind,concurrency,num_requests,input_mean,output_mean,ttft_mean_ms,tpot_mean_ms,n_ok,n_fail"
)
LOOP = "serving_closedloop"
ROWS = (
    f"a,a,InferenceX dump,B,llama-3.1-8b,h100_sxm,1,{LOOP},4,12,100,20,30,8,10,2",
    f"b,b,InferenceX dump,B,llama-3.1-8b,h100_sxm,2,{LOOP},4,12,100,20,25,6,,",
    f"c,c,InferenceX dump,B,llama-3.1-8b,h200_sxm,1,{LOOP},4,12,100,20,28,7,,",
    f"d,d,ours,B,llama-3.1-8b,x9000,1,{LOOP},4,12,100,20,30,8,,",
    f"e,e,ours,B,llama-3.1-8b,h100_sxm,1,{LOOP},2,6,100,20,30,8,,",
)
STEPS = "model,gpu,tp,engine,phase,decode_seqs,mean_context_tokens,time_ms\nllama-3.1-8b,h100_sxm,1,vLLM 0.15.1,decode,8,500,9\n"


@pytest.fixture
def write_page(tmp_path):
    (tmp_path / "points.csv").write_text("\n".join((COLUMNS, *ROWS)) + "\n")
    (tmp_path / "steps.csv").write_text(STEPS)

    def write(name="accuracy.md", *more):
        files = [str(tmp_path / "points.csv"), "--steps", str(tmp_path / "steps.csv"), "--page", str(tmp_path / name)]
        assert main(["validate", *files, "--jobs", "1", *map(str, more)]) == 0
        return (tmp_path / name).read_text()

    return write


def test_the_page_has_every_part(write_page):
    page = write_page()
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert headings == [
        "Method",
        "InferenceX closed loops",
        "All other points",
        "Overloaded runs: requests answered in time",
        "Step times",
        "What a change of configuration does",
        "By how the times of steps are known",
        "What is not simulated",
        "Assumed where a source is silent",
    ]
    assert "| a | 12 | 10 | 12 | **+20.0** |" in page
    assert "x9000" in page


def test_pictures_lie_beside_the_page_where_it_says(write_page, tmp_path):
    places = re.findall(r"!\[.*?\]\((.*?)\)", write_page())
    assert places == [f"accuracy/{name}.png" for name in ("inferencex", "others", "steps", "ratios")]
    for place in places:
        content = (tmp_path / place).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) < 100_000


def test_the_same_points_give_the_same_bytes(write_page, tmp_path):
    assert write_page() == write_page("again.md").replace("again/", "accuracy/").replace("again.md", "accuracy.md")
    for picture in (tmp_path / "accuracy").iterdir():
        assert picture.read_bytes() == (tmp_path / "again" / picture.name).read_bytes()


def test_what_a_person_wrote_beside_it_comes_last_as_it_is(write_page, tmp_path):
    (tmp_path / "accuracy_notes.md").write_text("## Why\n\nBecause *we* tried.\n")
    assert write_page().endswith("\n\n## Why\n\nBecause *we* tried.\n")


def test_what_each_fit_left_out_is_a_table_under_its_files_name(write_page, tmp_path):
    error = Error(2.25, 8.0, -1.0, 7)._asdict()
    content = {"model": {"all": {"tpot_mean": error}, "llama-2-7b": {"tpot_mean": error, "ttft_mean": error}}, "gpu": {"all": {}}}
    for name in ("ours.cross_validation.json", "theirs.json"):
        (tmp_path / name).write_text(json.dumps(content))
    both = ("--cross-validation", tmp_path / "ours.cross_validation.json", "--cross-validation", tmp_path / "theirs.json")
    page = write_page("accuracy.md", *both)
    assert "## Leaving one model out: ours" in page
    assert "## Leaving one model out: theirs" in page
    assert "| model | ttft_mean | tpot_mean |" in page
    assert "| all |  | 2.2 / 8.0 |" in page
    assert "*goal*" not in page, "what is aimed at is said of our own fits alone"
    assert "Leaving one gpu" not in page, "one that was alone could not be left out"


def test_fits_of_the_same_name_are_refused(write_page, tmp_path, capsys):
    (tmp_path / "more").mkdir()
    for file in (tmp_path / "ours.json", tmp_path / "more" / "ours.json"):
        file.write_text("{}")
    points = str(tmp_path / "points.csv")
    both = ["--cross-validation", str(tmp_path / "ours.json"), "--cross-validation", str(tmp_path / "more" / "ours.json")]
    assert main(["validate", points, "--page", str(tmp_path / "p.md"), *both]) == 2
    assert "give each file a name of its own" in capsys.readouterr().err


def test_the_page_says_what_it_was_made_by(write_page, tmp_path):
    (tmp_path / "fit of ours.json").write_text("{}")
    page = write_page("p.md", "--cross-validation", tmp_path / "fit of ours.json", "--where", "model=llama*")
    command = "seatrial validate points.csv --where 'model=llama*' --steps steps.csv --cross-validation 'fit of ours.json' --page p.md"
    assert f"This page is written by `{command}`" in page


def test_what_is_aimed_at_for_each_run_is_in_the_first_table(write_page, tmp_path):
    rows = [f"{name},{name},LLMServingSim,A,llama-3.1-8b,h100_sxm,1,{LOOP},4,12,100,20,30,8,{ok},2" for name, ok in (("f", 12), ("g", 3))]
    table = pa.table({"arrival_s": [0.0] * 12, "input_tokens": [100] * 12, "output_tokens": [20] * 12})
    pq.write_table(table, tmp_path / "requests.parquet")
    with_requests = [f"{row},requests.parquet,summary" for row in rows]
    (tmp_path / "points.csv").write_text("\n".join((f"{COLUMNS},requests_file,stage", *with_requests)) + "\n")
    page = write_page()
    assert "| Overloaded runs, answers in time | num_completed | 2 | 150 / 270 | **each within 5** (1 of 2) |" in page
    assert re.search(r"\| Recorded requests, run by run \| ttft_mean \| 2 \| .* \| \*\*each within 10\*\* \(0 of 2\) \|", page)


def test_kernels_that_were_timed_stand_beside_their_curves(write_page, tmp_path):
    (tmp_path / "gemm.csv").write_text("gpu,dtype,m,k,n,latency_us\nh100_sxm,bfloat16,64,4096,4096,15\n")
    page = write_page("accuracy.md", "--operators", tmp_path)
    assert "## Kernels timed by themselves" in page
    assert re.search(r"\| gemm.bf16 on h100_sxm \| all \| 1 \|", page)


def test_a_cross_validation_of_another_form_is_one_sentence(write_page, tmp_path, capsys):
    file = tmp_path / "left_out.json"
    file.write_text('{"model": 3}')
    points = str(tmp_path / "points.csv")
    assert main(["validate", points, "--page", str(tmp_path / "p.md"), "--cross-validation", str(file)]) == 2
    assert "is JSON of another form" in capsys.readouterr().err
    assert main(["validate", points, "--cross-validation", str(file)]) == 2
    assert "give --page FILE too" in capsys.readouterr().err


@pytest.mark.parametrize("number", ['"much"', "null", "NaN"])
def test_a_cross_validation_without_numbers_is_refused_before_anything_runs(write_page, tmp_path, capsys, number):
    error = f'{{"median_ape_pct": {number}, "p90_ape_pct": 1, "median_signed_pct": 1, "n": 1}}'
    (tmp_path / "cv.json").write_text(f'{{"model": {{"all": {{"tpot_mean": {error}}}}}}}')
    with pytest.raises(AssertionError):
        write_page("accuracy.md", "--cross-validation", tmp_path / "cv.json")
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "accuracy.md").exists()


def test_goals_of_steps_ratios_and_what_was_left_out_are_on_the_page(write_page, tmp_path):
    error = {"median_ape_pct": 3.0, "p90_ape_pct": 7.0, "median_signed_pct": 0.0, "n": 4}
    (tmp_path / "vllm-0.15-study.json").write_text(json.dumps({"model": {"all": {"tpot_mean": error}}}))
    page = write_page("accuracy.md", "--cross-validation", tmp_path / "vllm-0.15-study.json")
    assert "| Leaving one model out, vllm-0.15-study | tpot_mean | 4 | 3.0 / 7.0 | **2.5** / 8 |" in page
    assert "| *goal* | **2.5** / 8 |" in page
    assert re.search(r"\| Ratios, tensor_parallel \| tpot_mean \| 1 \| .* \| .*10.*, .*always right", page)
    assert re.search(r"\| Step times, vllm-0.15 \| step_time \| 1 \| .* \| .*2.* / .*6.* \|", page)


def test_a_run_of_which_nothing_was_answered_has_no_percentage(tmp_path):
    row = f"a,a,InferenceX dump,B,llama-3.1-8b,h100_sxm,1,{LOOP},4,12,100,20,30,8,0,5"
    (tmp_path / "points.csv").write_text(f"{COLUMNS}\n{row}\n")
    assert main(["validate", str(tmp_path / "points.csv"), "--page", str(tmp_path / "accuracy.md"), "--jobs", "1"]) == 0
    assert "| a | 5 | 0 | 12 |  |" in (tmp_path / "accuracy.md").read_text()


def test_a_goal_that_is_missed_is_bold():
    assert goal_text(Error(2.5, 5.0, 0.0, 9), (2.0, 6.0)) == "**2** / 6"
    assert goal_text(Error(19.0, 90.0, 0.0, 9), (20.0, None)) == "20"


def test_sections_have_names_of_their_own():
    names = [section.name for section in (*read_sections(), OTHERS)]
    assert len(set(names)) == len(names)
