"""`seatrial workload`: traces described, made and converted from the command line."""

import json
import re

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seatrial.cli.main import main
from seatrial.core.request import Arrivals
from seatrial.report.description import law_text
from seatrial.report.traffic import Traffic, bar
from seatrial.workload import open_trace
from seatrial.workload.generate import generate
from seatrial.workload.spec import read_spec

SPEC = {
    "num_requests": 3000,
    "arrivals": {"process": "gamma", "rate": 5.0, "cv": 2.0},
    "input": {"distribution": "lognormal", "mean": 800.0, "cv": 1.0, "min": 10.0, "max": 4000.0},
    "output": {"distribution": "gamma", "mean": 200.0, "cv": 0.8},
}

THREE = {"distribution": "fixed", "value": 3.0}
ON_OFF = {"process": "on-off", "rate_on": 5.0, "mean_on": 1.0, "mean_off": 1.0}


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path):
    """Runs `seatrial workload ...` in a directory of its own, and gives what went to stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)

    def run(*tokens, ends_with=0):
        assert main(["workload", *map(str, tokens)]) == ends_with
        return capsys.readouterr()

    return run


@pytest.fixture
def spec_file(tmp_path):
    def write(**changes):
        content = {key: value for key, value in (SPEC | changes).items() if value is not None}
        (tmp_path / "spec.yaml").write_text(yaml.safe_dump({"workload": content}))
        return "spec.yaml"

    return write


def refused(told):
    assert told.out == ""
    assert told.err.startswith("seatrial: ")
    assert told.err.count("\n") == 1
    return told.err


def requests(file):
    """All requests of a trace, one array per field."""
    chunks = list(open_trace(file).chunks())
    return Arrivals(*(np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in Arrivals.__slots__[:4]))


# Generate


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_written_trace_reads_back_as_it_was_generated(suffix, cli, spec_file):
    told = cli("generate", spec_file(), "--seed", 7, "--out", f"trace{suffix}")
    assert told.out == f"trace{suffix}: 3,000 requests\n"
    (made,) = generate(read_spec(SPEC, "test"), 7).chunks()
    read = requests(f"trace{suffix}")
    assert np.array_equal(read.row, made.row)
    assert np.allclose(read.arrival_time, made.arrival_time, rtol=0, atol=1e-9 if suffix == ".jsonl" else 0)
    assert np.array_equal(read.num_prompt_tokens, made.num_prompt_tokens)
    assert np.array_equal(read.num_output_tokens, made.num_output_tokens)


def test_the_same_words_write_the_same_bytes(cli, tmp_path):
    for name in ("a.parquet", "b.parquet"):
        cli("generate", "--num-requests", 200, "--seed", 3, "--out", name)
    cli("generate", "--num-requests", 200, "--seed", 4, "--out", "c.parquet")
    a, b, c = ((tmp_path / f"{name}.parquet").read_bytes() for name in "abc")
    assert a == b != c


def test_without_a_file_the_traffic_is_that_of_the_built_in_scenario(cli):
    from seatrial.trial.scenario import builtin_scenario

    cli("generate", "--out", "trace.csv")
    scenario = builtin_scenario()
    (made,) = generate(scenario.workload, scenario.seed).chunks()
    assert np.array_equal(requests("trace.csv").num_prompt_tokens, made.num_prompt_tokens)


def test_the_seed_of_a_scenario_holds_unless_a_flag_says_another(cli, tmp_path):
    (tmp_path / "scenario.yaml").write_text(yaml.safe_dump({"model": "any", "seed": 11, "workload": SPEC}))
    cli("generate", "scenario.yaml", "--out", "a.csv")
    cli("generate", "scenario.yaml", "--seed", 12, "--out", "b.csv")
    for name, seed in (("a.csv", 11), ("b.csv", 12)):
        (made,) = generate(read_spec(SPEC, "test"), seed).chunks()
        assert np.array_equal(requests(name).arrival_time, made.arrival_time)


@pytest.mark.parametrize(
    ("flags", "changes"),
    [
        (["--num-requests", 50], {"num_requests": 50}),
        (["--duration", 60], {"num_requests": None, "duration": 60.0}),
        (["--rate", 50], {"arrivals": {"process": "gamma", "rate": 50.0, "cv": 2.0}}),
        (["--cv", 3], {"arrivals": {"process": "gamma", "rate": 5.0, "cv": 3.0}}),
        (["--arrivals", "poisson"], {"arrivals": {"process": "poisson", "rate": 5.0}}),
        (["--arrivals", "weibull", "--cv", 3], {"arrivals": {"process": "weibull", "rate": 5.0, "cv": 3.0}}),
        (["--arrivals", "constant", "--rate", 2], {"arrivals": {"process": "constant", "rate": 2.0}}),
        (["--input-mean", 9000], {"input": {"distribution": "lognormal", "mean": 9000.0, "cv": 1.0}}),
        (["--input-cv", 0.5], {"input": SPEC["input"] | {"cv": 0.5}}),
        (["--output-mean", 7, "--output-cv", 0], {"output": {"distribution": "fixed", "value": 7.0}}),
        (["--output-cv", 2], {"output": {"distribution": "gamma", "mean": 200.0, "cv": 2.0}}),
        (["--correlation", 0.5], {"correlation": 0.5}),
    ],
)
def test_a_flag_changes_what_the_file_says(flags, changes, cli, spec_file):
    cli("generate", spec_file(), *flags, "--out", "trace.csv")
    spec = {key: value for key, value in (SPEC | changes).items() if value is not None}
    chunks = list(generate(read_spec(spec, "test")).chunks())
    read = requests("trace.csv")
    assert np.array_equal(read.arrival_time, np.concatenate([chunk.arrival_time for chunk in chunks]))
    assert np.array_equal(read.num_prompt_tokens, np.concatenate([chunk.num_prompt_tokens for chunk in chunks]))
    assert np.array_equal(read.num_output_tokens, np.concatenate([chunk.num_output_tokens for chunk in chunks]))


def test_a_cv_alone_makes_poisson_arrivals_gamma(cli, spec_file):
    cli("generate", spec_file(arrivals={"process": "poisson", "rate": 5.0}), "--cv", 4, "--out", "trace.csv")
    gaps = np.diff(requests("trace.csv").arrival_time)
    assert gaps.std() / gaps.mean() == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize(
    ("changes", "flags", "sentence"),
    [
        (
            {"sessions": {"turns": {"distribution": "fixed", "value": 3.0}, "think_time": {"distribution": "fixed", "value": 1.0}}},
            [],
            "sessions",
        ),
        ({"arrivals": None, "closed_loop": {"concurrency": 4}}, [], "closed loops cannot be written as a trace"),
        ({"trace": "some.csv"}, [], "its workload is the trace some.csv"),
        ({"num_request": 4}, [], "workload has no key 'num_request'; did you mean num_requests?"),
        ({}, ["--arrivals", "poisson", "--cv", 2], "--cv 2 is not for poisson arrivals; give --arrivals gamma or weibull"),
        ({}, ["--rate", -1], "workload.arrivals.rate must be at least 1e-06, not -1.0"),
        ({}, ["--num-requests", 5, "--duration", 5], "give exactly one of 'num_requests' and 'duration'"),
        ({}, ["--duration", 1e-6], "no request comes within the duration"),
        ({}, ["--input-mean", 1e12], "is more than a trace can hold"),
        ({}, ["--seed", -1], "the seed cannot be -1"),
        (
            {"arrivals": {"process": "on-off", "rate_on": 5.0, "mean_on": 1.0, "mean_off": 1.0}},
            ["--rate", 5],
            "--rate cannot change on-off",
        ),
    ],
)
def test_what_cannot_be_generated_is_refused_and_nothing_is_written(changes, flags, sentence, cli, spec_file, tmp_path):
    assert sentence in refused(cli("generate", spec_file(**changes), *flags, "--out", "trace.parquet", ends_with=2))
    assert [file.name for file in tmp_path.iterdir()] == ["spec.yaml"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no file spec.yaml"),
        ("", "spec.yaml is empty"),
        ("workload: [1, 2]", "spec.yaml has no mapping 'workload'"),
        ("workload: {\n  a: [1, 2\n", "spec.yaml, line 3: "),
        ("workload: {}\nseed: x", "seed must be a whole number, not 'x'"),
        ("workload: {}", "spec.yaml: workload needs"),
    ],
)
def test_an_unreadable_file_is_refused(content, sentence, cli, tmp_path):
    if content is not None:
        (tmp_path / "spec.yaml").write_text(content)
    assert sentence in refused(cli("generate", "spec.yaml", "--out", "trace.csv", ends_with=2))


@pytest.mark.parametrize(("out", "sentence"), [("trace.txt", "must end in one of"), ("nowhere/trace.csv", "no directory nowhere")])
def test_a_place_that_cannot_be_written_is_refused(out, sentence, cli, tmp_path):
    assert sentence in refused(cli("generate", "--out", out, ends_with=2))
    assert list(tmp_path.iterdir()) == []


# Describe


def test_the_description_in_json_is_one_object_without_nan(cli, spec_file):
    cli("generate", spec_file(), "--out", "trace.csv")
    told = json.loads(cli("describe", "trace.csv", "--json").out, parse_constant=pytest.fail)
    assert (told["path"], told["format"], told["num_requests"]) == ("trace.csv", "tidy", 3000)
    assert told["interarrival_cv"] == pytest.approx(2, rel=0.15)
    assert told["arrival_fit"]["best"]["process"] == "gamma"


def test_the_description_for_people_fits_80_columns(cli, spec_file):
    cli("generate", spec_file(), "--out", "trace.csv")
    told = cli("describe", "trace.csv")
    assert told.err == ""
    assert max(map(len, told.out.splitlines())) <= 80
    assert "…" not in told.out
    assert "3,000 requests in" in told.out
    assert "gamma (rate 4.7" in told.out
    assert "2,048 to 4,095" in told.out


def test_what_one_should_know_of_a_trace_goes_to_stderr(cli, tmp_path):
    (tmp_path / "failed.csv").write_text("arrival_s,input_tokens,output_tokens\n1,10,5\n2,10,0\n3,10,5\n")
    told = cli("describe", "failed.csv", "--json")
    assert json.loads(told.out)["num_requests"] == 2
    assert "note: failed.csv: 1 row was left out" in told.err


def test_columns_are_mapped_and_a_limit_holds(cli, tmp_path):
    (tmp_path / "log.csv").write_text("t,prompt,answer\n1000,10,5\n3000,20,5\n4000,30,nonsense\n")
    flags = ["--column", "arrival_ms=t", "--column", "input_tokens=prompt", "--column", "output_tokens=answer", "--limit", 2]
    told = json.loads(cli("describe", "log.csv", *flags, "--json").out)
    assert (told["num_requests"], told["span"], told["input"]["mean"]) == (2, 2.0, 15.0)
    assert "did you mean azure?" in refused(cli("describe", "log.csv", "--format", "azur", ends_with=2))


def test_a_fitted_generator_is_a_fragment_that_generate_takes(cli, spec_file):
    cli("generate", spec_file(), "--out", "trace.parquet")
    told = cli("describe", "trace.parquet", "--fit", "fitted.yaml")
    assert told.err == "note: the fitted generator is in fitted.yaml\n"
    cli("generate", "fitted.yaml", "--seed", 1, "--out", "again.parquet")
    told = json.loads(cli("describe", "again.parquet", "--json").out)
    assert told["num_requests"] == 3000
    assert told["rate"] == pytest.approx(5, rel=0.15)
    assert told["input"]["mean"] == pytest.approx(800, rel=0.15)


def test_a_fit_that_fails_writes_and_prints_nothing(cli, tmp_path):
    (tmp_path / "one.csv").write_text("arrival_s,input_tokens,output_tokens\n1,10,5\n")
    assert "no arrival times to fit" in refused(cli("describe", "one.csv", "--fit", "fit.yaml", ends_with=2))
    assert "ends in .yaml" in refused(cli("describe", "one.csv", "--fit", "one.csv", ends_with=2))
    assert [file.name for file in tmp_path.iterdir()] == ["one.csv"]


def test_a_single_request_can_be_described(cli, tmp_path):
    (tmp_path / "one.csv").write_text("arrival_s,input_tokens,output_tokens\n1,1,5\n")
    told = cli("describe", "one.csv")
    assert "1 request in 0" in told.out
    assert json.loads(cli("describe", "one.csv", "--json").out, parse_constant=pytest.fail)["rate"] is None


@pytest.mark.parametrize(
    ("sessions", "told"),
    [([0] * 1500, "One session of 1,500 turns"), ([0], "One session of 1 turn"), ([0, 0, 0, 1], "2 sessions of 2.00 turns on average")],
)
def test_numbers_of_sessions_and_turns_are_written_out(cli, tmp_path, sessions, told):
    rows = "".join(f"{row},10,5,{session}\n" for row, session in enumerate(sessions))
    (tmp_path / "chats.csv").write_text("arrival_s,input_tokens,output_tokens,session_id\n" + rows)
    assert re.search(rf"{re.escape(told)}\b", cli("describe", "chats.csv").out)


# Convert


def test_a_converted_trace_has_the_same_requests(cli, spec_file):
    cli("generate", spec_file(), "--out", "trace.csv")
    told = cli("convert", "trace.csv", "copy.parquet", "--limit", 100)
    assert told.out == "copy.parquet: 100 requests\n"
    original, copy = requests("trace.csv"), requests("copy.parquet")
    assert np.array_equal(copy.arrival_time, original.arrival_time[:100])


def test_an_unsorted_trace_is_refused_unless_it_may_be_sorted(cli, tmp_path):
    (tmp_path / "log.csv").write_text("arrival_s,input_tokens,output_tokens\n2,10,5\n1,20,5\n")
    assert "`seatrial workload convert --sort` sorts them" in refused(cli("convert", "log.csv", "out.csv", ends_with=2))
    assert [file.name for file in tmp_path.iterdir()] == ["log.csv"]
    cli("convert", "log.csv", "out.csv", "--sort")
    assert requests("out.csv").arrival_time.tolist() == [1.0, 2.0]


# Charts


class Rows:
    def __init__(self, times, inputs, outputs, size):
        self._table = pa.table({"arrival_s": times, "input_tokens": inputs, "output_tokens": outputs})
        self._size = size

    def tables(self):
        return (self._table.slice(start, self._size) for start in range(0, len(self._table), self._size))

    def notes(self):
        return []


def counted(times, size):
    traffic = Traffic(Rows(times, [1] * len(times), [5] * len(times), size))
    assert sum(len(table) for table in traffic.tables()) == len(times)
    return traffic


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=100), st.integers(1, 100))
def test_a_rate_over_time_does_not_depend_on_how_the_trace_is_cut(times, size):
    times = sorted(times)
    assert counted(times, size).rate_over_time() == counted(times, len(times)).rate_over_time()


def test_a_steady_rate_is_flat():
    width, rates = counted(np.arange(6400) / 10, 1000).rate_over_time()
    assert 32 <= len(rates) <= 64
    assert rates == pytest.approx([10.0] * len(rates), rel=1 / width / 5)


@given(st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=50))
def test_shares_of_lengths_add_up_and_stand_where_the_lengths_are(lengths):
    traffic = Traffic(Rows(np.zeros(len(lengths)), lengths, [1] * len(lengths), 7))
    assert sum(len(table) for table in traffic.tables()) == len(lengths)
    rows = traffic.length_shares()
    assert sum(row.input for row in rows) == pytest.approx(1)
    assert sum(row.output for row in rows) == pytest.approx(1)
    for row in rows:
        assert row.input == pytest.approx(sum(row.low <= length <= row.high for length in lengths) / len(lengths))


@pytest.mark.parametrize(("share", "drawn"), [(0, ""), (1e-9, "▏"), (0.5, "██"), (0.53125, "██▏"), (1, "████"), (2, "████")])
def test_a_bar_is_as_long_as_its_share_and_shows_if_there_is_any(share, drawn):
    assert bar(share, 4) == drawn
    assert bar(share, 4, ascii_only=True) == "#" * max(round(4 * min(share, 1)), share > 0)


def test_a_law_is_told_in_a_few_words():
    spec = read_spec(SPEC | {"output": {"distribution": "empirical", "values": [1.0, 2.0], "weights": [1.0, 3.0]}}, "test")
    assert law_text(spec.arrivals) == "gamma (rate 5, cv 2)"
    assert law_text(spec.output) == "empirical (2 values)"
