"""A trial of several replicas is what they would be alone, if nobody looks, and better if somebody does."""

import csv
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from seatrial.trial.notes import notes
from seatrial.trial.outcome import outcome
from seatrial.trial.run import resolve, run_trial
from seatrial.trial.scenario import parse_scenario, read_scenario, scenario_yaml

CHAT = {
    "num_requests": 600,
    "arrivals": {"process": "poisson", "rate": 30},
    "input": {"distribution": "lognormal", "mean": 900, "cv": 1.2, "max": 6000},
    "output": {"distribution": "lognormal", "mean": 150, "cv": 1.5, "max": 2000},
}
FLEET = {"model": "llama-3.1-8b", "pools": [{"accelerator": "h100_sxm", "replicas": 3}], "workload": CHAT}


def trial(**changes):
    return resolve(parse_scenario(FLEET | changes, "s.yaml", Path.cwd()))


def rows_of(folder):
    return sorted(pq.read_table(folder / "requests.parquet").to_pylist(), key=lambda row: row["row"])


def test_round_robin_over_three_replicas_is_three_runs(tmp_path):
    """Byte for byte: every time in the records is the same float."""
    run_trial(trial(), out=tmp_path / "fleet", audit=True)
    together = rows_of(tmp_path / "fleet")
    for replica in range(3):
        share = together[replica::3]
        assert {row["replica"] for row in share} == {replica}
        with (tmp_path / "share.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["arrival_s", "input_tokens", "output_tokens"])
            writer.writerows([repr(row["arrival_s"]), row["input_tokens"], row["output_tokens"]] for row in share)
        # a trace counts from its own start on, unless that is where the clock starts
        alone = trial(workload={"trace": str(tmp_path / "share.csv")}, pools=[{"accelerator": "h100_sxm"}])
        run_trial(alone, out=tmp_path / "alone", audit=True)
        for row, other in zip(share, rows_of(tmp_path / "alone"), strict=True):
            assert row == other | {"row": row["row"], "replica": replica}


@pytest.mark.parametrize("router", ["round-robin", "least-outstanding", "least-kv"])
def test_a_fleet_of_one_is_its_replica_whatever_the_router(tmp_path, router):
    one = [{"accelerator": "h100_sxm"}]
    run_trial(trial(pools=one), out=tmp_path / "plain")
    run_trial(trial(pools=one, router=router, view_delay=1.0), out=tmp_path / "routed")
    assert (tmp_path / "plain" / "requests.parquet").read_bytes() == (tmp_path / "routed" / "requests.parquet").read_bytes()


def test_who_looks_serves_sooner_than_who_does_not():
    """Joining the shortest queue beats two choices, and two choices beat one, as the theory of queues has it."""
    busy = CHAT | {"num_requests": 4000, "arrivals": {"process": "poisson", "rate": 85}}
    ttft = {
        router: run_trial(trial(router=router, workload=busy)).ttft_s.mean for router in ("random", "power-of-two", "least-outstanding")
    }
    assert ttft["least-outstanding"] < 0.97 * ttft["power-of-two"]
    assert ttft["power-of-two"] < 0.97 * ttft["random"]


def test_a_router_that_hears_late_sends_everybody_to_the_same_place(tmp_path):
    stale = trial(router="least-kv", view_delay=3600.0)
    summary = run_trial(stale, audit=True)
    # the figures stand still, so only what the router counts itself spreads the requests
    fresh = run_trial(trial(router="least-kv"), audit=True)
    assert summary.ttft_s != fresh.ttft_s
    assert [each.num_requests for each in summary.pools[0].replicas] != [each.num_requests for each in fresh.pools[0].replicas]


def test_pools_have_their_own_engines_and_one_bill():
    pools = [
        {"name": "new", "accelerator": "h100_sxm", "replicas": 2},
        {"name": "old", "accelerator": "a100_sxm", "replicas": 3, "max_num_seqs": 7},
    ]
    made = trial(pools=pools, router="least-outstanding")
    summary = run_trial(made, audit=True)
    found = outcome(made, summary)
    assert [(pool["name"], pool["replicas"], pool["accelerator"]) for pool in found["scenario"]["pools"]] == [
        ("new", 2, "h100_sxm"),
        ("old", 3, "a100_sxm"),
    ]
    assert found["scenario"]["pools"][1]["engine"]["max_num_seqs"] == 7
    prices = [pool.setup.accelerator.price_per_hour for pool in made.pools]
    assert found["price"]["dollars_per_hour"] == pytest.approx(2 * prices[0] + 3 * prices[1])
    assert sum(each["num_requests"] for pool in found["pools"] for each in pool["replicas"]) == 600
    capacity = [pool.setup.capacity.capacity_tokens for pool in made.pools]
    assert found["kv_cache"]["capacity_tokens"] == 2 * capacity[0] + 3 * capacity[1]
    assert any(note.startswith("old: ") for note in notes(made, summary))


def test_a_closed_loop_and_clients_who_give_up_are_served_by_a_fleet_too():
    loop = {key: value for key, value in CHAT.items() if key != "arrivals"} | {"closed_loop": {"concurrency": 40}, "timeout": 2.0}
    summary = run_trial(trial(router="least-outstanding", workload=loop), audit=True)
    assert summary.num_completed + summary.num_failed == 600
    assert summary.num_failed > 0


def test_the_resolved_fleet_reads_back_and_repeats_itself(tmp_path):
    made = trial(router="power-of-two", view_delay=0.5)
    run_trial(made, out=tmp_path / "first")
    again = read_scenario(tmp_path / "first" / "scenario.yaml")
    assert yaml.safe_load(scenario_yaml(again))["pools"][0]["replicas"] == 3
    run_trial(resolve(again), out=tmp_path / "second")
    assert rows_of(tmp_path / "first") == rows_of(tmp_path / "second")
    other = replace(made, scenario=made.scenario.model_copy(update={"seed": 1}))
    run_trial(other, out=tmp_path / "other")
    assert rows_of(tmp_path / "other") != rows_of(tmp_path / "first")
