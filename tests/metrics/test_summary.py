"""A summary says what the tally and the engine counted, under the keys that scripts rely on."""

import json

import numpy as np
import pytest

from seatrial.core.record import EngineTotals, GapRuns, PoolFacts, ReplicaFacts, Status, Work
from seatrial.core.slo import SLO
from seatrial.metrics import Tally, summarise
from seatrial.version import __version__

NAN = float("nan")
LOST = (NAN, NAN, NAN)
KEYS = """
num_requests num_completed num_rejected num_shed num_failed num_unfinished
duration_s requests_per_s input_tokens_per_s output_tokens_per_s
ttft_s tpot_s itl_s e2e_s queue_s normalized_latency_s
slo kv_cache prefix_cache num_preemptions num_steps batch utilization
estimate pools wall_s simulated_requests_per_wall_s seatrial_version
"""
DISTRIBUTION = {"mean", "p50", "p90", "p95", "p99", "max"}
TOTALS = EngineTotals(
    num_steps=4, busy_time=2.0, num_decodes=6, num_preemptions=1, peak_blocks=8, kv_block_seconds=10.0, steps_by_tokens={2: 3, 100: 1}
)


def pool(*totals, name="main", work=None, capacity_blocks=10):
    replicas = tuple(ReplicaFacts(index, 3, 2, 100, each) for index, each in enumerate(totals))
    return PoolFacts(name, replicas, capacity_blocks, 16, EngineTotals.of_all(totals), work)


def summary(tally, totals=TOTALS, work=None, **changes):
    return summarise(tally, [pool(totals, work=work)], **({"wall_time": 0.5} | changes))


def small_run(records, slo=None):
    tally = Tally(slo and SLO.parse(slo))
    tally.add(
        records(
            [
                (1.0, 100, 3, 0.0, 2.0, 3.0),  # ttft 1, tpot 0.5, e2e 2
                (2.0, 200, 1, 1.0, 4.0, 4.0),  # ttft 2, e2e 2
                (3.0, 300, 5, 2.0, 6.0, 6.0),  # ttft 3, tpot 0, e2e 3
                (4.0, 400, 9, *LOST, Status.REJECTED),
            ]
        )
    )
    one = np.array([1])
    tally.add_gaps(GapRuns(one * 2.0, one * 0.25, one * 0.5, one * 2, one))
    return tally


def test_the_keys_are_the_contract(records):
    found = summary(small_run(records, "ttft:p90=0.5")).as_dict()
    assert list(found) == KEYS.split()
    for name in ("ttft_s", "tpot_s", "itl_s", "e2e_s", "queue_s", "normalized_latency_s"):
        assert set(found[name]) == DISTRIBUTION
    assert set(found["slo"]) == {"attainment", "goodput_requests_per_s", "targets", "held"}
    assert set(found["slo"]["targets"][0]) == {"metric", "quantile", "limit_s", "actual_s", "held"}
    assert set(found["kv_cache"]) == {"capacity_tokens", "peak_usage", "mean_usage"}
    assert set(found["batch"]) == {"mean_tokens", "p50_tokens", "max_tokens", "mean_decodes", "mean_running"}
    assert set(found["utilization"]) == {"busy", "mfu", "mbu"}


def test_a_small_run_adds_up_as_by_hand(records):
    found = summary(small_run(records)).as_dict()
    expected = {
        "num_requests": 4,
        "num_completed": 3,
        "num_rejected": 1,
        "num_shed": 0,
        "num_failed": 0,
        "num_unfinished": 0,
        "duration_s": 5.0,
        "requests_per_s": 0.6,
        "input_tokens_per_s": 120.0,
        "output_tokens_per_s": 1.8,
        "num_preemptions": 1,
        "num_steps": 4,
        "wall_s": 0.5,
        "simulated_requests_per_wall_s": 8.0,
        "seatrial_version": __version__,
        "slo": None,
        "kv_cache": {"capacity_tokens": 160, "peak_usage": 0.8, "mean_usage": 0.2},
        "batch": {"mean_tokens": 26.5, "p50_tokens": 2.0, "max_tokens": 100, "mean_decodes": 1.5, "mean_running": 0.8},
        "utilization": {"busy": 0.4, "mfu": None, "mbu": None},
    }
    assert {name: found[name] for name in expected} == expected
    assert found["ttft_s"] == pytest.approx({"mean": 2, "p50": 2, "p90": 2.8, "p95": 2.9, "p99": 2.98, "max": 3}, rel=1e-3)
    assert found["tpot_s"] == pytest.approx({"mean": 0.25, "p50": 0.25, "p90": 0.45, "p95": 0.475, "p99": 0.495, "max": 0.5}, rel=1e-3)
    assert found["itl_s"] == pytest.approx({"mean": 0.5, "p50": 0.5, "p90": 0.7, "p95": 0.725, "p99": 0.745, "max": 0.75}, rel=1e-3)
    assert found["normalized_latency_s"]["mean"] == pytest.approx((2 / 3 + 2 + 3 / 5) / 3)


def test_goodput_and_attainment_count_requests_and_targets_count_quantiles(records):
    found = summary(small_run(records, "ttft:p50=2.5,itl:p99=0.6,e2e:mean=3")).as_dict()["slo"]
    assert found["attainment"] == 0.5  # the third is late, the fourth was rejected
    assert found["goodput_requests_per_s"] == 0.4
    assert [(t["metric"], t["quantile"], t["limit_s"], t["held"]) for t in found["targets"]] == [
        ("ttft", 0.5, 2.5, True),
        ("itl", 0.99, 0.6, False),
        ("e2e", None, 3.0, True),
    ]
    assert found["targets"][2]["actual_s"] == pytest.approx(7 / 3)
    assert found["held"] is False


def test_the_slo_is_held_when_all_of_its_targets_are(records):
    assert summary(small_run(records, "ttft:p50=2.5,itl:p99=1")).as_dict()["slo"]["held"] is True


def test_answers_of_one_token_hold_a_target_on_gaps(records):
    tally = Tally(SLO.parse("itl:p99=0.1,tpot:p90=0.1"))
    tally.add(records([(0.0, 1, 1, 0.0, 1.0, 1.0)]))
    found = summary(tally).as_dict()["slo"]
    assert (found["held"], found["attainment"], found["targets"][0]["actual_s"]) == (True, 1.0, None)


def test_mfu_and_mbu_are_shares_of_the_peak_while_busy(records):
    work = Work(flops=3e12, bytes=1e12, peak_flops=6e12, peak_bandwidth=1e12)
    assert summary(small_run(records), work=work).as_dict()["utilization"] == {"busy": 0.4, "mfu": 0.25, "mbu": 0.5}


def test_a_fleet_sums_up_its_replicas_and_its_peak_is_that_of_the_fullest(records):
    other = EngineTotals(num_steps=6, busy_time=4.0, num_decodes=10, peak_blocks=2, kv_block_seconds=30.0, steps_by_tokens={2: 6})
    large, small = Work(6e12, 0.0, 6e12, 1e12), Work(1e12, 2e12, 1e12, 1e12)
    pools = [pool(TOTALS, other, work=large), pool(TOTALS, name="old", capacity_blocks=80, work=small)]
    tally = small_run(records)
    by_pool = {"main": Tally(part_of=tally), "old": Tally(part_of=tally)}
    by_pool["old"].add(records([(2.0, 200, 1, 1.0, 4.0, 4.0), (4.0, 400, 9, *LOST, Status.REJECTED)]))
    found = summarise(tally, pools, by_pool=by_pool, wall_time=0.5).as_dict()
    assert [(one["num_requests"], one["num_completed"], one["ttft_s"]["mean"]) for one in found["pools"]] == [(0, 0, None), (2, 1, 2.0)]
    assert found["pools"][1]["output_tokens_per_s"] == 1 / 5
    assert (found["num_steps"], found["num_preemptions"]) == (4 + 6 + 4, 2)
    assert found["kv_cache"] == {"capacity_tokens": 1600, "peak_usage": 0.8, "mean_usage": (10 + 30 + 10) / (100 * 5)}
    assert found["utilization"]["busy"] == pytest.approx((2 + 4 + 2) / (3 * 5))
    assert found["utilization"]["mfu"] == pytest.approx(7e12 / (6e12 * 6 + 1e12 * 2))
    assert found["utilization"]["mbu"] == pytest.approx(2e12 / (1e12 * 8))
    assert found["batch"]["mean_decodes"] == pytest.approx((6 + 10 + 6) / 14)
    assert [(one["name"], one["num_replicas"]) for one in found["pools"]] == [("main", 2), ("old", 1)]
    facts = {"num_requests": 3, "num_completed": 2, "num_output_tokens": 100, "num_preemptions": 1}
    assert found["pools"][1]["replicas"][0] == {"replica": 0, "busy": 0.4, "kv_peak_usage": 0.1} | facts


def test_a_run_without_requests_has_nulls_and_no_promise_held():
    found = summary(Tally(SLO.parse("ttft:p90=1")), EngineTotals(), wall_time=0.0).as_dict()
    assert found["num_requests"] == 0
    assert found["duration_s"] == 0
    assert found["requests_per_s"] is None
    assert found["simulated_requests_per_wall_s"] is None
    assert found["ttft_s"] == dict.fromkeys(["mean", "p50", "p90", "p95", "p99", "max"])
    assert found["slo"]["attainment"] is None
    assert found["slo"]["held"] is False
    assert set(found["batch"].values()) == {None}
    json.dumps(found, allow_nan=False)


def test_a_run_that_rejects_everything_attains_nothing(records):
    tally = Tally(SLO.parse("ttft:p90=1"))
    tally.add(records([(0.0, 1, 1, *LOST, Status.REJECTED), (2.0, 1, 1, *LOST, Status.REJECTED)]))
    found = summary(tally).as_dict()
    assert (found["duration_s"], found["num_completed"], found["requests_per_s"]) == (2.0, 0, 0.0)
    assert (found["slo"]["attainment"], found["slo"]["held"]) == (0.0, False)


def test_the_object_survives_json_unchanged(records):
    found = summary(small_run(records, "ttft:p50=2.5,itl:p99=1")).as_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_trimmed_run_counts_the_window_and_the_engine_the_whole(records):
    tally = Tally(warmup=1.0, cooldown=1.0)
    tally.add(records([(float(t), 10, 2, 0.0, t + 1.0, t + 2.0) for t in range(5)]))
    found = summary(tally).as_dict()
    assert (found["num_requests"], found["duration_s"], found["requests_per_s"]) == (3, 2.0, 1.5)
    assert found["utilization"]["busy"] == pytest.approx(2 / 6)
    assert found["simulated_requests_per_wall_s"] == 10.0
