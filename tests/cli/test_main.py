"""The command itself: what it knows, how it refuses, and how a run of it ends."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest

from seatrial.cli import catalog, output
from seatrial.cli.main import COMMANDS, main
from seatrial.version import __version__

SEATRIAL = [sys.executable, "-m", "seatrial"]


def refusal(tokens, capsys):
    """What a refused command says: nothing on stdout and one sentence on stderr."""
    assert main(tokens) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("seatrial: ")
    assert told.err.count("\n") == 1
    return told.err


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (["rnu"], "there is no command 'rnu'; did you mean run?"),
        (["workload", "descibe"], "there is no command 'workload descibe'; did you mean describe?"),
        (["--rate", "5"], "a command must come before --rate: catalog, explain, fit, run, validate, workload"),
        (["workload", "--rate"], "a command must come before --rate: workload convert, workload describe, workload generate"),
        (["workload", "generate", "--ouut", "x"], "workload generate has no flag --ouut; did you mean --out"),
        (["catalog", "models", "--no-json"], "catalog models has no flag --no-json; did you mean --json?"),
        (["workload", "describe"], "workload describe needs FILE"),
        (["workload", "generate"], "workload generate needs --out"),
        (["workload", "generate", "--out"], "--out needs a value after it"),
        (["workload", "generate", "--out", "a.csv", "--out", "b.csv"], "--out is given twice; give it once"),
        (["workload", "generate", "--out", "a.csv", "--rate", "fast"], "--rate cannot be 'fast'; it must be a number"),
        (["workload", "generate", "--out", "a.csv", "--rate", "nan"], "--rate cannot be 'nan'; it must be a finite number"),
        (["workload", "generate", "--out", "a.csv", "--num-requests", "1.5"], "--num-requests cannot be '1.5'; it must be a whole number"),
        (["workload", "generate", "--out", "a.csv", "--arrivals", "gama"], "--arrivals cannot be 'gama'; did you mean gamma?"),
        (["catalog", "models", "--json=3"], "--json takes no value"),
        (["catalog", "models", "a", "b"], "catalog models has no place for 'b'"),
    ],
)
def test_a_mistyped_command_gets_one_sentence(tokens, sentence, capsys):
    assert sentence in refusal(tokens, capsys)


def test_the_version_is_one_line(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_the_help_names_every_group_of_commands(capsys):
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(words.split()[0] in told for words in COMMANDS)


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_is_there_and_explains_itself(words, capsys):
    assert main([*words.split(), "--help"]) == 0
    assert f"Usage: seatrial {words}" in capsys.readouterr().out


@pytest.mark.parametrize("words", COMMANDS)
def test_help_fits_80_columns_and_splits_no_name(words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    main([*words.split(), "--help"])
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert "default: ()" not in told
    if words in ("run", "explain"):
        assert re.search(r"--long-prefill-token-threshold INT ", told)
        assert re.search(r"--no-scheduler-reserve-full-isl ", told)


def test_importing_the_command_imports_no_heavy_library():
    heavy = {"numpy", "pyarrow", "pydantic", "rich", "scipy", "yaml"}
    code = f"import sys, seatrial.cli.main; print(sorted(sys.modules.keys() & {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_interrupt_ends_with_130_and_a_sentence(monkeypatch, capsys):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(catalog, "load_model", interrupted)
    assert main(["catalog", "models"]) == 130
    assert capsys.readouterr().err == "seatrial: interrupted; no file was left half written\n"


def test_sigterm_ends_as_an_interrupt_does_but_with_143(monkeypatch, capsys):
    monkeypatch.setattr(catalog, "load_model", lambda name: signal.raise_signal(signal.SIGTERM))
    assert main(["catalog", "models"]) == 143
    assert capsys.readouterr().err == "seatrial: terminated; no file was left half written\n"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_interrupt_that_got_lost_comes_again(monkeypatch, capsys):
    def deaf(name):
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        while True:
            time.sleep(0.1)

    monkeypatch.setattr(catalog, "load_model", deaf)
    assert main(["catalog", "models"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_where_somebody_else_answers_to_sigterm_nothing_changes(monkeypatch, capsys):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        real = catalog.load_model
        monkeypatch.setattr(catalog, "load_model", lambda name: signal.raise_signal(signal.SIGTERM) or real(name))
        assert main(["catalog", "models", "llama-3.1-8b"]) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


def test_a_bug_of_ours_is_not_hidden(monkeypatch):
    def broken(name):
        raise RuntimeError("a bug")

    monkeypatch.setattr(catalog, "load_model", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["catalog", "models"])


def test_an_interrupted_command_leaves_no_file(tmp_path):
    command = [*SEATRIAL, "workload", "generate", "--num-requests", "1000000000", "--out", str(tmp_path / "trace.csv")]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for _ in range(500):  # until rows are written: an import, which comes before, may swallow an interrupt
        if any(file.stat().st_size > 2**20 for file in tmp_path.iterdir()):
            break
        time.sleep(0.02)
    assert [file.suffix for file in tmp_path.iterdir()] == [".unfinished"]
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=20)
    assert running.returncode == 130
    assert told.splitlines()[-1] == "seatrial: interrupted; no file was left half written"
    assert list(tmp_path.iterdir()) == []


def test_a_terminated_run_leaves_no_directory(tmp_path):
    command = [*SEATRIAL, "run", "--num-requests", "1000000000", "--out", str(tmp_path / "out")]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for _ in range(500):
        if any(file.stat().st_size > 2**20 for file in tmp_path.glob(".out.*.part/.requests.parquet*")):  # see above
            break
        time.sleep(0.02)
    assert len(list(tmp_path.iterdir())) == 1
    running.send_signal(signal.SIGTERM)
    _, told = running.communicate(timeout=20)
    assert (running.returncode, told.splitlines()[-1]) == (143, "seatrial: terminated; no file was left half written")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_reader_who_leaves_is_no_error_to_speak_of(flags):
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([*SEATRIAL, "catalog", "models", *flags], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full to write to")
def test_a_full_disk_is_told_in_a_sentence():
    with open("/dev/full", "w") as full:
        ended = subprocess.run([*SEATRIAL, "catalog", "models"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (2, "seatrial: cannot read or write the results (no space left on device)\n")


def test_a_terminal_without_our_marks_is_no_error():
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    ended = subprocess.run([*SEATRIAL, "catalog", "models"], env=ascii_only, capture_output=True, check=False)
    assert ended.returncode == 0
    assert ended.stdout.isascii()


# Output


def test_a_figure_that_is_no_number_is_null_in_json(capsys):
    output.print_json({"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": np.float64("nan"), "e": np.int64(3), "f": np.float32(0.5)}})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": {"d": None, "e": 3, "f": 0.5}}


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_waits_before_it_shows(monkeypatch, capsys, is_terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    monkeypatch.setattr(output, "monotonic", lambda: 7.0)
    with output.progress("counting", 3) as advance:
        advance(1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("total", "lines"),
    [(100, ["counting: 10 %, 20 s left", "counting: 16 %, 67 s left", "counting: 61 %, 15 s left"]), (None, ["counting: 10 so far"])],
)
def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(monkeypatch, capsys, total, lines):
    now = [0.0]
    monkeypatch.setattr(output, "monotonic", lambda: now[0])
    with output.progress("counting", total) as advance:
        for now[0], done in [(0.0, 1), (1.9, 9), (2.0, 10), (11.9, 15), (12.0, 16), (21.9, 60), (23.0, 61)]:
            advance(done)
    told = capsys.readouterr()
    assert (told.out, told.err.splitlines()[: len(lines)]) == ("", lines)
    assert told.err.count("\n") == 3


def test_progress_shows_what_is_done_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(output, "PATIENCE", 0.0)
    with output.progress("counting", 4) as advance:
        advance(1)
    told = capsys.readouterr()
    assert told.out == ""
    assert "counting" in told.err
    assert "25%" in told.err
