"""A trial is what its scenario says, and its run directory is enough to repeat it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from seatrial.core.errors import CapacityError, PolicyError, ScenarioError, WorkloadError
from seatrial.core.record import Status
from seatrial.policy.schedulers import SCHEDULERS
from seatrial.trial.changes import changed
from seatrial.trial.outcome import outcome
from seatrial.trial.run import resolve, run_trial
from seatrial.trial.run_directory import run_directory
from seatrial.trial.scenario import parse_scenario, read_scenario

# every step takes 10 ms, so every figure can be worked out by hand
BY_HAND = {
    "model": "llama-3.1-8b",
    "pools": [{"accelerator": "h100_sxm", "num_gpu_blocks_override": 100}],
    "cost": "affine:base=0.01",
    "workload": {
        "num_requests": 50,
        "arrivals": {"process": "constant", "rate": 2},
        "input": {"distribution": "fixed", "value": 30},
        "output": {"distribution": "fixed", "value": 11},
    },
}


def scenario(pool=None, workload=None, **changes):
    content = BY_HAND | changes
    content["pools"] = [BY_HAND["pools"][0] | (pool or {})]
    content["workload"] = BY_HAND["workload"] | (workload or {})
    return parse_scenario(content, "s.yaml", Path.cwd())


def trial(**changes):
    return resolve(scenario(**changes))


def setup_of(model, accelerator="h100_sxm", **pool):
    content = BY_HAND | {"model": model, "cost": "roofline", "pools": [{"accelerator": accelerator, **pool}]}
    return resolve(parse_scenario(content, "s.yaml", Path.cwd())).setup


def test_every_figure_of_a_lone_request_is_worked_out_by_hand():
    summary = run_trial(trial(slo="ttft:p90=0.02,itl:p99=0.005"))
    assert summary.num_completed == 50
    assert summary.ttft_s.max == pytest.approx(0.01)
    assert summary.e2e_s.mean == pytest.approx(0.11)
    assert summary.duration_s == pytest.approx(49 * 0.5 + 0.11)
    assert summary.utilization.busy == pytest.approx(50 * 0.11 / summary.duration_s)
    assert summary.slo is not None
    assert [target.held for target in summary.slo.targets] == [True, False]
    assert summary.kv_cache.capacity_tokens == 1600
    assert summary.kv_cache.peak_usage == pytest.approx(0.03)  # 40 tokens of 41 are stored: three blocks


TUNING = {
    "max_num_batched_tokens": 4096,
    "watermark": 0.05,
    "enable_chunked_prefill": True,
    "long_prefill_token_threshold": 512,
    "scheduler_reserve_full_isl": False,
    "enable_prefix_caching": True,
    "async_scheduling": True,
}
BUDGET = {"max_num_batched_tokens"}
READ = {
    "vllm-v1": set(TUNING),
    "vllm-v0": BUDGET | {"watermark"},
    "sarathi": BUDGET | {"watermark"},
    "sglang": BUDGET | {"watermark", "async_scheduling"},
    "orca": BUDGET,
    "static": BUDGET,
}


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("option", TUNING)
def test_a_scheduler_is_given_only_what_it_reads(name, option):
    given = scenario(pool={"scheduler": name, option: TUNING[option]})
    if option in READ[name]:
        made = resolve(given)
        assert getattr(made.setup.engine, option) == getattr(made.scenario.pool, option) == TUNING[option]
        assert resolve(made.scenario).setup.engine == made.setup.engine
    else:
        with pytest.raises(ScenarioError, match=f"scheduler '{name}' has no use for {option}; leave it out, it knows max_num_seqs"):
            resolve(given)


def test_a_run_directory_repeats_itself_to_the_byte(tmp_path):
    first, again = tmp_path / "first", tmp_path / "again"
    random = scenario(workload={"arrivals": {"process": "gamma", "rate": 40, "cv": 2}}, seed=7, cost="roofline")
    run_trial(resolve(random), out=first)
    run_trial(resolve(read_scenario(first / "scenario.yaml")), out=again)
    for name in ("requests.parquet", "scenario.yaml"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
    told, told_again = (json.loads((folder / "summary.json").read_text()) for folder in (first, again))
    for wall in ("wall_s", "simulated_requests_per_wall_s"):
        del told[wall], told_again[wall]
    assert told == told_again


KINDS = [{"data_parallel": 2}, {"pipeline_parallel": 2}, {"enable_chunked_prefill": False}]


@pytest.mark.parametrize("pool", [*KINDS, *({"scheduler": name} for name in SCHEDULERS)])
def test_what_was_resolved_resolves_to_itself(tmp_path, pool):
    made = trial(pool=pool, cost="roofline")
    run_trial(made, out=tmp_path / "run")
    again = resolve(read_scenario(tmp_path / "run" / "scenario.yaml"))
    assert again.scenario == made.scenario
    assert (again.setup.engine, again.setup.capacity) == (made.setup.engine, made.setup.capacity)


@pytest.mark.parametrize("model", ["jamba-1.5-mini", "qwen3-next-80b-a3b", "nemotron-nano-9b-v2"])
def test_recurrent_states_resolve_to_the_same_engine_again(model):
    made = setup_of(model, tensor_parallel=4, max_num_seqs=10_000)
    assert made.engine.max_num_seqs == made.capacity.max_num_seqs < 10_000
    again = setup_of(model, tensor_parallel=4, max_num_seqs=made.engine.max_num_seqs)
    assert again.capacity == made.capacity


def test_the_records_are_those_that_the_summary_counts(tmp_path):
    summary = run_trial(trial(), out=tmp_path / "run")
    table = pq.read_table(tmp_path / "run" / "requests.parquet")
    assert table.num_rows == summary.num_requests
    assert np.mean(table["ttft_s"].to_numpy()) == pytest.approx(summary.ttft_s.mean)


def test_requests_that_never_fit_are_counted_and_told(tmp_path):
    made = trial(workload={"input": {"distribution": "fixed", "value": 1591}})  # with 11 more 1,602 tokens, of which 1,601 are stored
    summary = run_trial(made, out=tmp_path / "run")
    assert (summary.num_rejected, summary.num_completed) == (50, 0)
    assert "every request was rejected" in outcome(made, summary)["notes"][0]
    assert "1,601 tokens" in outcome(made, summary)["notes"][0]
    assert set(pq.read_table(tmp_path / "run" / "requests.parquet")["status"].to_pylist()) == {"rejected"}


def test_one_rejected_request_is_one():
    made = trial(workload={"input": {"distribution": "uniform", "min": 1200, "max": 1600}}, seed=0)  # the longest of the fifty is too long
    assert "1 request was rejected" in outcome(made, run_trial(made))["notes"][0]


def test_the_longest_request_that_fits_runs():
    summary = run_trial(trial(workload={"input": {"distribution": "fixed", "value": 1590}}))
    assert summary.num_completed == 50


def test_an_audit_finds_nothing_in_a_good_run():
    summary = run_trial(trial(), audit=True)
    assert summary.num_completed == 50


def test_progress_and_records_are_told_while_it_runs():
    heard, seen = [], []
    made = trial(workload={"num_requests": 10_000, "arrivals": {"process": "constant", "rate": 5}})
    run_trial(made, progress=heard.append, watch=seen.append)
    assert heard == sorted(heard)
    assert 0 < heard[0] <= 10_000
    assert sum(len(records) for records in seen) == 10_000
    assert all((records.status == Status.COMPLETED).all() for records in seen)


def test_a_warm_up_is_trimmed_from_the_figures_and_not_from_the_records(tmp_path):
    summary = run_trial(trial(warmup=10.0, cooldown=4.5), out=tmp_path / "run")
    assert summary.num_requests == 21  # arrivals at 0.5, 1.0 ... 25: those from 10.5 to 20.5
    assert pq.read_table(tmp_path / "run" / "requests.parquet").num_rows == 50


def test_data_parallel_ranks_are_one_engine_with_the_limits_of_all():
    one, two = setup_of("mixtral-8x7b", "h200_sxm"), setup_of("mixtral-8x7b", "h200_sxm", data_parallel=2, expert_parallel=True)
    assert two.scheduler_engine == replace(
        two.engine, max_num_seqs=2 * one.engine.max_num_seqs, max_num_batched_tokens=2 * one.engine.max_num_batched_tokens
    )
    assert two.capacity.num_blocks == 2 * two.capacity.num_blocks_per_rank
    assert two.engine.max_model_len <= two.capacity.capacity_tokens_per_rank
    assert two.price_per_hour == 2 * one.price_per_hour


def trace_of(tmp_path, num_requests=20):
    rows = "".join(f"{0.5 * row},{100 + row},5\n" for row in range(num_requests))
    (tmp_path / "t.csv").write_text("arrival_s,input_tokens,output_tokens\n" + rows)
    return {"trace": str(tmp_path / "t.csv")}


def run_trace(tmp_path, **said):
    content = BY_HAND | {"workload": trace_of(tmp_path) | said}
    run_trial(resolve(parse_scenario(content, "s.yaml", tmp_path)), out=tmp_path / "run")
    return pq.read_table(tmp_path / "run" / "requests.parquet").sort_by("row")


@pytest.mark.parametrize(
    ("said", "num_requests", "last_arrival"),
    [
        ({}, 20, 9.5),
        ({"limit": 5}, 5, 2.0),
        ({"limit": 5, "speedup": 4.0}, 5, 0.5),
        ({"rate": 1.0}, 20, 19.0),
        ({"num_requests": 30}, 30, 14.5),
        ({"limit": 10, "rate": 4.0, "num_requests": 25}, 25, 6.0),
    ],
)
def test_a_trace_is_limited_then_paced_then_repeated(tmp_path, said, num_requests, last_arrival):
    table = run_trace(tmp_path, **said)
    assert table.num_rows == num_requests
    assert table["arrival_s"].to_pylist()[-1] == pytest.approx(last_arrival)


def test_a_trace_in_a_closed_loop_keeps_its_lengths_and_not_its_times(tmp_path):
    table = run_trace(tmp_path, closed_loop={"concurrency": 2, "think_time": 0.0})
    assert table["input_tokens"].to_pylist() == list(range(100, 120))
    assert table["arrival_s"].to_pylist()[:2] == [0.0, 0.0]
    assert table["arrival_s"].to_pylist()[2] == pytest.approx(0.05)


def test_who_gives_up_has_failed_and_counts_as_such(tmp_path):
    table = run_trace(tmp_path, timeout=0.045)  # an answer takes five steps of 10 ms
    assert set(table["status"].to_pylist()) == {"failed"}
    summary = run_trial(
        resolve(parse_scenario(BY_HAND | {"workload": trace_of(tmp_path) | {"timeout": 0.045}}, "s.yaml", tmp_path)), audit=True
    )
    assert (summary.num_requests, summary.num_completed, summary.num_failed) == (20, 0, 20)


def test_clients_give_up_only_where_the_engine_can_drop_their_requests(tmp_path):
    said = BY_HAND | {"workload": trace_of(tmp_path) | {"timeout": 1.0}}
    said["pools"] = [said["pools"][0] | {"scheduler": "static"}]
    with pytest.raises(ScenarioError, match="every scheduler but static"):
        resolve(parse_scenario(said, "s.yaml", tmp_path))


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"cost": "rofline"}, ScenarioError, "did you mean roofline"),
        ({"cost": "affine"}, ScenarioError, "affine:TERM=SECONDS"),
        ({"slo": "ttft:p9x=1"}, ScenarioError, "'p9x' is not a quantile"),
        ({"slo": ""}, ScenarioError, "has no limit"),
        ({"slo": {}}, ScenarioError, "slo has a metric without a target, or none at all; write `ttft"),
        ({"slo": {"ttft": {"p90": 0.5}, "itl": {}}}, ScenarioError, "slo has a metric without a target"),
        ({"slo": "ttft:p90=0.5,ttft:p90=0.0001"}, ScenarioError, "ttft:p90 has two limits; leave one"),
        ({"slo": {"ttft": {"p90": 0.5, "p90.0": 0.1}}}, ScenarioError, "ttft:p90 has two limits"),
        ({"pool": {"scheduler": "vlm-v1"}}, PolicyError, "did you mean vllm-v1"),
        ({"model": "llama-3.1-405b", "pool": {"num_gpu_blocks_override": None}}, CapacityError, "needs"),
        ({"workload": {"num_requests": None, "duration": 0.1}}, WorkloadError, "ends before its first request"),
        ({"warmup": 1e400}, ScenarioError, "warmup"),
    ],
)
def test_what_cannot_run_is_refused_and_leaves_nothing_behind(tmp_path, changes, error, text):
    with pytest.raises(error, match=text):
        run_trial(trial(**changes), out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


# the run directory


def test_an_interrupted_run_leaves_what_was_there(tmp_path):
    run_trial(trial(), out=tmp_path / "run")
    before = (tmp_path / "run" / "summary.json").read_text()

    def interrupt(records):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trial(trial(seed=1), out=tmp_path / "run", watch=interrupt)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]
    assert (tmp_path / "run" / "summary.json").read_text() == before


def test_an_earlier_run_and_an_empty_directory_are_replaced(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "empty", "deep/er"):
        run_trial(trial(), out=tmp_path / name)
        assert sorted(entry.name for entry in (tmp_path / name).iterdir()) == ["requests.parquet", "scenario.yaml", "summary.json"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["deep", "empty"]


@pytest.mark.parametrize(
    ("names", "text"), [(["diary.txt"], "not empty"), (["summary.json", "diary.txt"], "also holds diary.txt"), ([], "is a file")]
)
def test_what_no_run_wrote_is_never_replaced(tmp_path, names, text):
    place = tmp_path / "place"
    if names:
        place.mkdir()
    for path in [place / name for name in names] or [place]:
        path.write_text("mine")
    with pytest.raises(ScenarioError, match=text), run_directory(place):
        pass
    assert all(path.read_text() == "mine" for path in [place / name for name in names] or [place])


def test_another_scheduler_by_flag_leaves_behind_what_it_has_no_use_for():
    told = scenario(pool={"scheduler": "vllm-v1", "watermark": 0.05, "long_prefill_token_threshold": 512})
    found = changed(told, top={}, pool={"scheduler": "sarathi"}, workload={})
    assert resolve(found).setup.engine.watermark == 0.05
    assert found.pool.long_prefill_token_threshold is None


def test_planning_ahead_is_for_one_stage():
    pool = {"async_scheduling": True, "pipeline_parallel": 2}
    with pytest.raises(ScenarioError, match="pipeline_parallel is 2"):
        resolve(scenario(pool=pool))
    found = resolve(scenario(pool={"async_scheduling": True}))
    assert found.setup.engine.async_scheduling
    assert found.scenario.pool.async_scheduling


def prefix_scenario(tmp_path, ids="1 2 3", **pool):
    rows = [f"{row},{100},{5},{ids and 32},{ids}" for row in range(20)]
    path = tmp_path / "alike.csv"
    path.write_text("\n".join(["arrival_s,input_tokens,output_tokens,prefix_block_tokens,prefix_hash_ids", *rows]) + "\n")
    content = BY_HAND | {"workload": {"trace": str(path)}, "pools": [BY_HAND["pools"][0] | pool]}
    return parse_scenario(content, "s.yaml", tmp_path)


def test_what_prompts_begin_with_alike_is_computed_once_unless_asked_otherwise(tmp_path):
    found = resolve(prefix_scenario(tmp_path))
    assert found.setup.engine.enable_prefix_caching
    assert found.scenario.pool.enable_prefix_caching
    summary = run_trial(found, audit=True, out=tmp_path / "run")
    assert summary.prefix_cache is not None
    assert summary.prefix_cache.hit_tokens == 19 * 96
    assert summary.prefix_cache.queries_tokens == 20 * 100
    assert summary.prefix_cache.hit_rate == pytest.approx(19 * 96 / 2000)
    table = pq.read_table(tmp_path / "run" / "requests.parquet").sort_by("row")
    assert table["cached_tokens"].to_pylist() == [0] + [96] * 19
    assert any("prefix cache" in note for note in outcome(found, summary)["notes"])

    off = resolve(prefix_scenario(tmp_path, enable_prefix_caching=False))
    assert not off.setup.engine.enable_prefix_caching
    summary = run_trial(off)
    assert summary.prefix_cache is None
    assert any("computed in full" in note for note in outcome(off, summary)["notes"])


def test_without_ids_there_is_no_prefix_cache_unless_asked_for(tmp_path):
    assert not resolve(prefix_scenario(tmp_path, ids="")).setup.engine.enable_prefix_caching
    assert resolve(scenario(pool={"enable_prefix_caching": True})).setup.engine.enable_prefix_caching


@pytest.mark.parametrize("pool", [{"scheduler": "orca"}, {"pipeline_parallel": 2}])
def test_where_there_can_be_no_prefix_cache_prompts_are_computed_in_full_and_asking_for_one_is_refused(tmp_path, pool):
    found = resolve(prefix_scenario(tmp_path, **pool))
    assert not found.setup.engine.enable_prefix_caching
    assert any("only vllm-v1 without a pipeline" in note for note in outcome(found, run_trial(found))["notes"])
    with pytest.raises(ScenarioError, match="enable_prefix_caching"):
        resolve(prefix_scenario(tmp_path, enable_prefix_caching=True, **pool))
