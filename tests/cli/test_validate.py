"""`seatrial validate` from a points file to errors, tables, plots and a journal that goes on where it was."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest

from seatrial.cli.main import main
from seatrial.validate import predict, prepare, read_points
from seatrial.validate.sweep import Journal, read_lines

HEADER = "point_id,exp_id,model,gpu,tp,kind,concurrency,num_requests,input_mean,output_mean,stage,stage_rates_rps,stage_durations_s"
MEASURED = "ttft_mean_ms,tpot_mean_ms,req_per_s"
ROWS = (
    "a,a,llama-3.1-8b,h100_sxm,1,serving_closedloop,4,12,100,20,summary,,,30,8,20",
    'b#0,b,llama-3.1-8b,h100_sxm,1,serving_openloop,,,100,20,0,"[2, 4]","[5, 5]",30,8,2',
    'b#1,b,llama-3.1-8b,h100_sxm,1,serving_openloop,,,100,20,1,"[2, 4]","[5, 5]",30,8,4',
    "c,c,llama-3.1-8b,x9000,1,serving_closedloop,4,12,100,20,summary,,,30,8,20",
    "d,d,llama-3.1-70b,l40s,1,serving_closedloop,4,12,100,20,summary,,,30,8,20",
)


@pytest.fixture
def points(tmp_path):
    file = tmp_path / "points.csv"
    file.write_text("\n".join((f"{HEADER},{MEASURED}", *ROWS)) + "\n")
    return file


@pytest.fixture
def told(capsys):
    def run(*tokens):
        assert main(["validate", *map(str, tokens), "--jobs", "1"]) == 0
        return capsys.readouterr().out

    return run


def test_every_point_is_compared_or_has_a_reason(points, told):
    found = json.loads(told(points, "--json"))
    assert (found["num_points"], found["num_simulated"]) == (5, 3)
    assert [skipped["point_id"] for skipped in found["skipped"]] == ["c", "d"]
    assert "x9000" in found["skipped"][0]["reason"]
    assert "does not fit" in found["skipped"][1]["reason"]
    first = found["points"][0]["metrics"]
    assert first["ttft_mean"]["actual"] == pytest.approx(0.03)
    assert set(first) == {"ttft_mean", "tpot_mean", "requests_per_s"}
    signed = sorted(100 * (p["metrics"]["ttft_mean"]["predicted"] / 0.03 - 1) for p in found["points"])
    error = found["errors"]["ttft_mean"]
    assert error["median_signed_pct"] == pytest.approx(signed[1])
    assert (error.keys(), error["n"]) == ({"median_ape_pct", "p90_ape_pct", "median_signed_pct", "n"}, 3)
    assert found["groups"]["gpu"]["h100_sxm"]["ttft_mean"] == error


def test_points_are_told_apart_by_how_their_times_are_known(points, told):
    found = json.loads(told(points, "--json"))
    kinds = {point["provenance"] for point in found["points"]}
    assert kinds <= {"measured", "interpolated"}
    assert found["groups"]["provenance"].keys() == kinds


def test_an_open_loop_is_as_fast_as_its_clients_and_closed_loops_as_their_server(points, told):
    by_id = {point["point_id"]: point["metrics"] for point in json.loads(told(points, "--json"))["points"]}
    assert by_id["b#0"]["requests_per_s"]["predicted"] == pytest.approx(2, rel=0.1)
    assert by_id["b#1"]["requests_per_s"]["predicted"] == pytest.approx(4, rel=0.1)


def test_the_table_fits_a_terminal_of_80_columns(points, told, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    table = told(points)
    assert "5 points: 3 simulated, 2 skipped" in table
    assert max(map(len, table.splitlines())) <= 80
    assert "x9000" in table


def test_the_directory_holds_tables_plots_and_what_is_finished(points, told, tmp_path):
    out = tmp_path / "out"
    told(points, "--out", out)
    assert {file.name for file in out.iterdir()} == {
        "errors.csv",
        "points.parquet",
        "summary.json",
        "parity.png",
        "validation.html",
        "finished.jsonl",
    }
    table = pq.read_table(out / "points.parquet").to_pylist()
    assert sum(row["skipped"] is None for row in table) == 9
    assert sum(row["skipped"] is not None for row in table) == 2
    assert (out / "parity.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "validation.html").read_text()
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert [len(ElementTree.fromstring(svg).findall(".//title")) for svg in drawings] == [3, 3]  # ttft and tpot of three points
    assert page.count("within a factor of 1.2</text>") == len(drawings), "the grey band has its legend"
    assert "http" not in page.replace("http://www.w3.org", "")


def test_what_is_finished_is_not_run_again(points, told, tmp_path, monkeypatch):
    out = tmp_path / "out"
    first = told(points, "--out", out, "--json")
    kept = (out / "finished.jsonl").read_text()
    monkeypatch.setattr("seatrial.validate.sweep.predict_one", lambda experiment: pytest.fail("it ran again"))
    assert told(points, "--out", out, "--json") == first
    assert (out / "finished.jsonl").read_text() == kept


def test_an_interrupted_validation_says_so_and_goes_on(points, told, tmp_path, monkeypatch, capsys):
    import seatrial.validate.sweep as module

    real, ran = module.predict_one, []

    def interrupted(experiment):
        ran.append(experiment)
        if len(ran) == 2:
            raise KeyboardInterrupt
        return real(experiment)

    monkeypatch.setattr(module, "predict_one", interrupted)
    out = tmp_path / "out"
    assert main(["validate", str(points), "--out", str(out), "--jobs", "1"]) == 130
    assert "1 of 3 runs finished; the same command goes on from there" in capsys.readouterr().err
    assert {file.name for file in out.iterdir()} == {"finished.jsonl"}
    monkeypatch.setattr(module, "predict_one", lambda experiment: ran.append(experiment) or real(experiment))
    told(points, "--out", out)
    assert len(ran) == 2 + 2  # the one that was finished is not run again


def test_a_terminated_validation_keeps_what_is_finished_too(points, tmp_path, monkeypatch, capsys):
    import seatrial.validate.sweep as module

    real, ran = module.predict_one, []

    def terminated(experiment):
        ran.append(experiment)
        return real(experiment) if len(ran) < 2 else signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(module, "predict_one", terminated)
    assert main(["validate", str(points), "--out", str(tmp_path / "out"), "--jobs", "1"]) == 143
    assert "1 of 3 runs finished; the same command goes on from there" in capsys.readouterr().err
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"finished.jsonl"}


@pytest.fixture
def underway(tmp_path):
    """A validation of a minute or more by two processes, of which something is finished."""
    rows = [f"p{n},p{n},llama-3.1-8b,h100_sxm,1,serving_closedloop,{8 + n},4000,200,100,summary,,,30,8,20" for n in range(300)]
    file = tmp_path / "many.csv"
    file.write_text("\n".join((f"{HEADER},{MEASURED}", *rows)) + "\n")
    command = [sys.executable, "-m", "seatrial", "validate", str(file), "--jobs", "2", "--out", str(tmp_path / "out")]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    until = time.monotonic() + 60
    while len(read_lines(tmp_path / "out" / "finished.jsonl")) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    yield started
    if started.poll() is None:
        started.kill()


@pytest.mark.parametrize("pause", [0, 0.001, 0.05])
def test_interrupts_at_once_end_all_processes_and_what_is_finished_is_kept(underway, tmp_path, pause):
    for _ in range(3):
        os.killpg(underway.pid, signal.SIGINT)
        time.sleep(pause)
    out, err = underway.communicate(timeout=60)  # workers hold these too, so they are gone when it returns
    assert (underway.returncode, out) == (130, "")
    said = err.splitlines()[-1]
    assert re.fullmatch(r"seatrial: interrupted with [1-9]\d* of 300 runs finished; the same command goes on from there", said)
    assert len(read_lines(tmp_path / "out" / "finished.jsonl")) > 1


def test_a_validation_that_is_killed_leaves_no_process(underway):
    underway.kill()
    assert underway.communicate(timeout=60)[0] == ""  # its workers hold its stdout too, so they are gone when it returns


def test_a_journal_of_other_code_or_with_a_torn_line_is_not_believed(points, told, tmp_path):
    out = tmp_path / "out"
    told(points, "--out", out)
    file = out / "finished.jsonl"
    whole = file.read_text()
    file.write_text(whole[:-20])
    journal = Journal(file)
    assert len(journal.predictions) == 2
    journal.close()
    assert len(read_lines(file)) == 3
    file.write_text(whole.replace('"code": "', '"code": "x'))
    journal = Journal(file)
    assert not journal.predictions
    journal.close()


def test_several_processes_say_the_same_as_one(points, told, capsys):
    alone = told(points, "--json")
    assert main(["validate", str(points), "--json", "--jobs", "2"]) == 0
    assert capsys.readouterr().out == alone


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--where", "gpuu=x"], "names no column of a point to choose by; did you mean gpu"),
        (["--where", "zzz=x"], "known are arrival, "),
        (["--mapping", "none.yaml"], "there is no file none.yaml; a mapping file is YAML with the tables accelerators and models"),
        (["--mapping", "."], "--mapping: . is a directory; a mapping file is"),
        (["--mapping", "points.csv/x"], "(a part of its path is a file and no directory); a mapping file is"),
        (["--mapping", "gpus.yaml"], "--mapping gpus.yaml: accelerators.my box: no accelerator 'h100x'"),
        (["--mapping", "models.yaml"], "--mapping models.yaml: models.mine: no model is called 'llama-9'"),
        (["--mapping", ""], "--mapping cannot be ''; it must be a path"),
        (["--predictions", "none.csv"], "there is no file none.csv; a file of predictions is CSV with simulator, experiment"),
        (["--predictions", "points.csv"], "points.csv has no column 'simulator'; a file of predictions is CSV with simulator, experiment"),
        (["--predictions", "latin.csv"], "latin.csv cannot be read (it is not text in UTF-8); a file of predictions"),
        (["--steps", "none.csv"], "there is no file none.csv; a file of steps is CSV"),
        (["--out", ""], "--out cannot be ''; it must be a path, like . for this directory"),
        (["--out", "points.csv/x"], "cannot be written (a part of its path is a file and no directory); give another place"),
        (["--out", "points.csv", "--page", "new/page.md"], "points.csv is a file; give a directory"),
        (["--out", "new", "--page", "new/page.md"], "--page new/page.md lies in --out new, "),
        (["--page", "points.csv"], "--page cannot be points.csv; a page is Markdown, so give a name that ends in .md"),
        (["--page", "points.csv/page.md"], "--page points.csv/page.md cannot be written (a part of its path is a file"),
        (["--page", "new/page.md", "--cross-validation", "none.json"], "none.json cannot be read (there is no such file)"),
        (["--page", "new/page.md", "--cross-validation", ""], "--cross-validation cannot be ''; it must be a path"),
        (["--limit", "0"], "limit"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2_and_leaves_nothing(points, tmp_path, capsys, monkeypatch, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpus.yaml").write_text("accelerators: {my box: h100x}")
    (tmp_path / "models.yaml").write_text("models: {mine: llama-9}")
    (tmp_path / "latin.csv").write_bytes(b"\xe4\n")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    assert main(["validate", "points.csv", *arguments]) == 2
    err = capsys.readouterr().err
    assert complaint in err
    assert "rrno" not in err
    assert err.count("\n") == 1
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_name_that_is_not_known_is_told_the_nearest_and_that_a_mapping_can_say_it(tmp_path, told):
    rows = [
        ROWS[0].replace("llama-3.1-8b", "llama-3.1-8bb"),
        ROWS[3].replace("x9000", "H10O_SXM"),
        ROWS[3].replace("c,c", "e,e").replace("x9000", "?"),
    ]
    file = tmp_path / "points.csv"
    file.write_text("\n".join((f"{HEADER},{MEASURED}", *rows)) + "\n")
    reasons = [skipped["reason"] for skipped in json.loads(told(file, "--json"))["skipped"]]
    assert re.search(r"no model 'llama-3.1-8bb'.*; did you mean llama-3.1-8b or .*\?; a --mapping FILE can say which model", reasons[0])
    assert re.search(r"no accelerator 'H10O_SXM'.*; did you mean h100_sxm.*\?; a --mapping FILE can say", reasons[1])
    assert "did you mean" not in reasons[2]
    assert reasons[2].endswith("a --mapping FILE can say which accelerator it is")


@pytest.mark.parametrize("flag", [["--where", "trust=A"], ["--limit", "3"], ["--requests", "."], ["--predictions", "x.csv"]])
def test_what_is_about_points_needs_points(tmp_path, capsys, flag):
    (tmp_path / "gemm.csv").write_text("gpu,dtype,m,k,n,latency_us\nh100_sxm,bfloat16,64,4096,4096,15\n")
    assert main(["validate", "--operators", str(tmp_path), *flag]) == 2
    assert "give a file of points too" in capsys.readouterr().err


def test_a_directory_with_other_things_in_it_is_left_alone(points, tmp_path, capsys):
    assert main(["validate", str(points), "--out", str(tmp_path)]) == 2
    assert "also holds points.csv" in capsys.readouterr().err


def test_another_cost_takes_the_place_of_the_replicas_own_without_a_new_setup(points):
    from seatrial.cost import AffineCost

    experiments = prepare(read_points(points)[:3]).experiments
    slow = predict(experiments, lambda setup, system: AffineCost(base=0.05))
    fast = predict(experiments, lambda setup, system: AffineCost(base=0.01))
    assert fast["a"].figures["tpot_mean"] == pytest.approx(0.01)
    assert slow["a"].figures["tpot_mean"] == pytest.approx(0.05)
