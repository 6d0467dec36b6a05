"""A scenario file says one thing, and whatever is wrong with it is told in a sentence."""

import os
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from seatrial.core.deployment import EngineConfig, Parallelism
from seatrial.core.errors import ScenarioError
from seatrial.trial.changes import changed
from seatrial.trial.scenario import PoolSpec, TraceSpec, builtin_scenario, parse_scenario, read_scenario, scenario_yaml

GENERATED = {
    "num_requests": 10,
    "arrivals": {"process": "poisson", "rate": 2},
    "input": {"distribution": "fixed", "value": 100},
    "output": {"distribution": "fixed", "value": 10},
}
SCENARIO = {"model": "llama-3.1-8b", "pools": [{"accelerator": "h100_sxm"}], "workload": GENERATED}


def parsed(**changes):
    return parse_scenario(SCENARIO | changes, "s.yaml", Path("/somewhere"))


def told(**changes):
    with pytest.raises(ScenarioError) as refused:
        parsed(**changes)
    return str(refused.value)


def with_flags(scenario, **workload):
    return changed(scenario, top={}, pool={}, workload=workload).workload


def test_a_pool_has_every_argument_of_the_engine_and_every_degree_of_parallelism():
    wanted = {field.name for noun in (EngineConfig, Parallelism) for field in fields(noun)}
    assert wanted <= set(PoolSpec.model_fields)


def test_the_builtin_scenario_reads_as_it_is_written():
    scenario = builtin_scenario()
    assert parse_scenario(yaml.safe_load(scenario_yaml(scenario)), "again", Path()) == scenario


def test_every_example_is_a_scenario():
    examples = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
    assert len(examples) >= 3
    for file in examples:
        assert read_scenario(file).model


def test_paths_are_relative_to_the_file_and_come_back_absolute(tmp_path):
    (tmp_path / "my-model").mkdir()
    content = SCENARIO | {"model": "my-model", "workload": {"trace": "traces/a.csv"}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(content))
    scenario = read_scenario(tmp_path / "s.yaml")
    assert scenario.workload.trace == str(tmp_path / "traces" / "a.csv")
    assert scenario.model == str(tmp_path / "my-model")


def test_a_catalogue_name_stays_a_name_even_beside_a_directory_of_that_name(tmp_path):
    (tmp_path / "llama-3.1-8b").mkdir()
    assert parse_scenario(SCENARIO, "s.yaml", tmp_path).model == "llama-3.1-8b"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"pools": [{"accelerator": "a", "tensor_paralel": 2}]},
            "s.yaml: pools[0] has no key 'tensor_paralel'; did you mean tensor_parallel",
        ),
        ({"pools": [{"accelerator": "a", "replicas": 0}]}, "s.yaml: pools[0].replicas must be at least 1, not 0"),
        ({"pools": [{"accelerator": "a"}] * 2}, "s.yaml: pools: two pools are called 'main'; give each a name of its own"),
        ({"pools": [{"accelerator": "a", "block_size": 0}]}, "s.yaml: pools[0].block_size must be at least 1, not 0"),
        ({"workload": {"trace": "a.csv", "sped": 2}}, "s.yaml: workload has no key 'sped'; did you mean speedup"),
        ({"workload": {"trace": "a.csv", "speedup": 2, "rate": 3}}, "'speedup' and 'rate' both set the pace"),
        ({"workload": {"trace": "a.csv", "rate": 2, "closed_loop": {"concurrency": 3}}}, "a 'closed_loop' sets its own pace"),
        ({"workload": GENERATED | {"arrivals": {"process": "poison", "rate": 1}}}, "did you mean poisson?"),
        ({"slo": {"ttl": {"p90": 1.0}}}, "s.yaml: slo"),
        ({"routers": "least-loaded"}, "s.yaml: the top level has no key 'routers'; did you mean router?"),
        ({"view_delay": -1}, "s.yaml: view_delay must be at least 0, not -1"),
        ({"warmup": float("nan")}, "s.yaml: warmup must be a finite number, not nan"),
        ({"seed": -1}, "s.yaml: seed must be at least 0, not -1"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(changes, text):
    assert text in told(**changes)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b"a: [1", "line 1"),
        (b"model: a\nmodel: b\n", "line 2: the key 'model' is given twice"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"- 1\n- 2\n", "must be a mapping with the keys model, pools, router, view_delay, workload"),
        (b"? {a: 1}\n: 2\n", "line 1"),
    ],
)
def test_what_is_no_scenario_is_refused_in_one_sentence(tmp_path, content, text):
    file = tmp_path / "s.yaml"
    file.write_bytes(content)
    with pytest.raises(ScenarioError, match=r"s\.yaml") as refused:
        read_scenario(file)
    assert text in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("what", ["device", "pipe", "directory", "huge"])
def test_what_might_never_end_is_not_read(tmp_path, what):
    file = tmp_path / "s.yaml"
    if what == "device":
        file.symlink_to("/dev/zero")
    elif what == "pipe":
        os.mkfifo(file)
    elif what == "directory":
        file.mkdir()
    else:
        with file.open("wb") as sparse:
            sparse.truncate(10 * 2**20 + 1)
    with pytest.raises(ScenarioError, match=r"s\.yaml (is a (device|directory)|has 10 MiB).*a scenario is a YAML file") as refused:
        read_scenario(file)
    assert "no YAML" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ScenarioError, match="there is no file"):
        read_scenario(tmp_path / "none.yaml")


# flags over a scenario


def test_flags_that_are_not_given_change_nothing():
    scenario = parsed()
    assert changed(scenario, top={"model": None}, pool={"block_size": None}, workload={"rate": None}) == scenario


def test_a_flag_wins_over_the_file():
    scenario = changed(parsed(seed=1), top={"seed": 2}, pool={"max_num_seqs": 7}, workload={})
    assert (scenario.seed, scenario.pool.max_num_seqs) == (2, 7)


def test_a_trace_takes_the_place_of_a_generated_workload(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert with_flags(parsed(), trace="a.csv", limit=5) == TraceSpec(trace=str(tmp_path / "a.csv"), limit=5)


def test_a_pace_that_is_given_takes_the_place_of_the_one_in_the_file():
    sped = parsed(workload={"trace": "/a.csv", "speedup": 2.0})
    assert with_flags(sped, rate=3.0) == TraceSpec(trace="/a.csv", rate=3.0)
    looped = with_flags(sped, concurrency=4)
    assert (looped.speedup, looped.closed_loop.concurrency) == (None, 4)
    assert with_flags(parsed(workload=looped.model_dump(exclude_none=True)), speedup=3.0) == TraceSpec(trace="/a.csv", speedup=3.0)


def test_a_rate_scales_both_rates_of_an_on_off_process():
    bursty = {"process": "on-off", "rate_on": 9.0, "rate_off": 1.0, "mean_on": 10.0, "mean_off": 30.0}  # 3 per second on average
    arrivals = with_flags(parsed(workload=GENERATED | {"arrivals": bursty}), rate=6.0).arrivals
    assert (arrivals.rate_on, arrivals.rate_off) == (18.0, 2.0)


def test_a_concurrency_makes_a_closed_loop_of_a_generator():
    made = with_flags(parsed(), concurrency=8, think_time=1.5)
    assert made.arrivals is None
    assert (made.closed_loop.concurrency, made.closed_loop.think_time) == (8, 1.5)


def test_a_timeout_is_for_any_workload():
    assert with_flags(parsed(), timeout=9.0).timeout == 9.0
    assert with_flags(parsed(), trace="a.csv", timeout=9.0).timeout == 9.0


def test_a_limit_never_makes_a_generated_workload_longer():
    assert with_flags(parsed(), limit=3).num_requests == 3
    assert with_flags(parsed(), limit=30).num_requests == 10


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ({"rate": 1.0, "speedup": 2.0}, "--rate and --speedup each set the pace"),
        ({"rate": 1.0, "concurrency": 2}, "--rate and --concurrency each set the pace"),
        ({"speedup": 2.0}, "--speedup is for traces"),
        ({"think_time": 2.0}, "--think-time is for a closed loop"),
    ],
)
def test_flags_that_contradict_are_refused(flags, text):
    with pytest.raises(ScenarioError, match=text):
        with_flags(parsed(), **flags)


def test_a_closed_loop_has_no_rate():
    looped = parsed(workload={key: value for key, value in GENERATED.items() if key != "arrivals"} | {"closed_loop": {"concurrency": 2}})
    with pytest.raises(ScenarioError, match="--rate is for requests that come by themselves"):
        with_flags(looped, rate=2.0)


def test_a_fragment_that_is_nothing_but_a_workload_runs_on_the_built_in_replica(tmp_path):
    fragment = tmp_path / "fit.yaml"
    fragment.write_text(
        "workload: {num_requests: 7, arrivals: {process: poisson, rate: 2}, input: {distribution: fixed, value: 9}, "
        "output: {distribution: fixed, value: 3}}\n"
    )
    found = read_scenario(fragment)
    assert found.workload.num_requests == 7
    assert found.model == builtin_scenario().model
