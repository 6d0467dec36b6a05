"""Errors are worked out by hand, over the window that a point is about."""

import numpy as np
import pytest

from seatrial.core.batch import RequestOverhead
from seatrial.core.record import EngineTotals
from seatrial.validate.accuracy import Pair, errors
from seatrial.validate.observe import Observation, Reading, Window
from seatrial.validate.peers import read_peers
from seatrial.validate.unsimulated import Unsimulated


def test_percentages_are_of_what_was_measured():
    assert Pair(1.2, 1.0).signed_pct == pytest.approx(20)
    assert Pair(0.5, 2.0).signed_pct == pytest.approx(-75)
    assert Pair(0.5, 2.0).ape_pct == pytest.approx(75)


def test_median_p90_and_bias_over_points():
    points = [{"ttft_mean": Pair(100 + off, 100.0)} for off in (-10, -20, 30, 40, 0)]
    found = errors([*points, {"tpot_mean": Pair(1.0, 0.0)}])
    assert found.keys() == {"ttft_mean"}  # what was measured as 0 has no percentage
    assert found["ttft_mean"] == pytest.approx((20, 36, 0, 5))  # sizes 0 10 20 30 40: nine tenths of the way is 36


@pytest.fixture
def seen():
    """Four hundred requests, one a second; each takes as many seconds as its stage has a number, and two to its first token, of three."""
    count = 400
    arrival, stage = np.arange(count, dtype=float), np.repeat([0, 1], count // 2)
    e2e = 4.0 + stage
    return Observation(
        stage=stage,
        arrival_time=arrival,
        first_token_time=arrival + 2,
        finish_time=arrival + e2e,
        num_output_tokens=np.full(count, 3),
        completed=np.ones(count, bool),
        given_up=np.zeros(count, bool),
        overhead=RequestOverhead(0.5, 0.25),
        gaps=[],
        totals=EngineTotals(),
    )


def test_the_figures_of_a_whole_run(seen):
    reading = Reading(seen, Window())
    assert reading["ttft_mean"] == 2
    assert reading["e2e_mean"] == pytest.approx(4.5)
    assert reading["tpot_mean"] == pytest.approx((2 / 2 + 3 / 2) / 2)
    assert reading["requests_per_s"] == pytest.approx(400 / (399 + 5))
    assert reading["output_tokens_per_s"] == pytest.approx(1200 / 404)


@pytest.mark.parametrize(
    ("stage", "count", "e2e"), [("0", 200, 4), ("1", 200, 5), ("cold100", 100, 4), ("first300", 300, 13 / 3), ("warm", 100, 5)]
)
def test_a_stage_or_slice_counts_its_own_requests_alone(seen, stage, count, e2e):
    reading = Reading(seen, Window(stage))
    assert reading.num_completed == count
    assert reading["e2e_mean"] == pytest.approx(e2e)


def test_a_stage_that_is_not_there_is_refused(seen):
    with pytest.raises(Unsimulated, match="no requests in stage '2'"):
        Reading(seen, Window("2"))
    with pytest.raises(Unsimulated, match="no stage is called 'hot'"):
        Reading(seen, Window("hot"))


def test_who_gives_up_is_not_counted_and_the_others_figures_are_the_survivors(seen):
    reading = Reading(seen, Window(client_timeout=4.5))
    assert reading.num_completed == 200
    assert reading["e2e_mean"] == 4
    assert reading.duration == pytest.approx(399 + 4.5)  # the client waits for the last to give up


def test_an_engines_clock_leaves_out_what_lies_before_and_after(seen):
    reading = Reading(seen, Window("0", engine_clock=True))
    assert reading["ttft_mean"] == pytest.approx(2 - 0.75)
    assert reading["e2e_mean"] == pytest.approx(4 - 0.75)
    assert reading["tpot_mean"] == pytest.approx(1)


def test_time_per_token_of_a_batch_is_the_whole_latency_over_its_tokens(seen):
    assert Reading(seen, Window("0", tpot_of_whole_answer=True))["tpot_mean"] == pytest.approx(4 / 3)


def test_other_simulators_are_found_by_experiment_and_stage(tmp_path, point):
    file = tmp_path / "peers.csv"
    file.write_text(
        "simulator,experiment,stage_index,metric,predicted,actual\n"
        "them,run,-1,ttft_mean,40,30\nthem,run,1,ttft_mean,60,30\nthem,other,-1,ttft_mean,1,1\nthem,run,-1,tpot_mean_corrected,9,8\n"
    )
    measured = {"ttft_mean": 0.03, "tpot_mean": 0.008}
    peers = read_peers(file, [point(exp_id="study/run", measured=measured), point(exp_id="study/run", stage="0", measured=measured)])
    assert peers == {"them": {"p": {"ttft_mean": pytest.approx((0.04, 0.03)), "tpot_mean": pytest.approx((0.009, 0.008))}}}
