"""Requests are made as the client sent them: counts, rates, bursts, prompts that come back."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seatrial.core.errors import PointsError
from seatrial.validate.assumptions import Answers, read_assumptions
from seatrial.validate.requests import phases_of, prefixes_of
from seatrial.validate.traffic import Burst, Lengths, Prompts, Recorded, Stages, Users, traffic_of
from seatrial.validate.unsimulated import Unsimulated

NO_FOLDERS = ()


def traffic(point, *folders, must_find=False):
    return traffic_of(point, Answers(point, read_assumptions()), folders, must_find=must_find)


def test_a_stage_holds_exactly_rate_times_duration_requests_in_exactly_its_duration():
    stages = Stages((5.0, 10.0), (60.0, 30.0), Lengths(10, 20), Lengths(7, 7), drain_gap=2.5)
    first, second = phases_of(stages, seed=3)
    assert (len(first.arrivals), len(second.arrivals), stages.num_requests) == (300, 300, 600)
    for phase, duration in ((first, 60), (second, 30)):
        times = phase.arrivals.arrival_time
        assert times[0] == 0
        assert np.all(np.diff(times) >= 0)
        assert 0.9 * duration < times[-1] <= duration
    assert second.arrivals.row[0] == 300
    assert second.gap == 2.5
    assert set(first.arrivals.num_output_tokens.tolist()) == {7}


def test_gaps_are_exponential():
    (phase,) = phases_of(Stages((10.0,), (2000.0,), Lengths(1, 1), Lengths(1, 1)), seed=0)
    gaps = np.diff(phase.arrivals.arrival_time)
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.03)


def test_the_same_prompts_come_back_in_the_same_order():
    stages = Stages((10.0,), (35.0,), Lengths(500, 600), Lengths(7, 7), Prompts(100, 10, 104))
    (phase,) = phases_of(stages, seed=0)
    prompt = phase.arrivals.num_prompt_tokens
    assert np.array_equal(prompt[:100], prompt[100:200])
    assert np.array_equal(prompt[:50], prompt[300:350])
    assert len(np.unique(prompt[:100])) > 30


def test_prompts_of_a_group_begin_alike_and_end_on_their_own():
    found = prefixes_of(Prompts(4, 2, 40), np.array([0, 2, 1, 4]), np.array([100, 100, 100, 70]))
    first, same, other, again = (prefix.hash_ids for prefix in found.one_by_one())
    assert len(first) == 100 // 16
    assert first[:2] == same[:2] != other[:2]  # 40 tokens are two blocks of 16
    assert not set(first[2:]) & set(same[2:])
    assert again == first[: 70 // 16]  # prompt 4 of 4 is prompt 0


def test_prompts_are_the_same_in_every_stage():
    first, second = phases_of(Stages((10.0, 10.0), (10.0, 10.0), Lengths(500, 600), Lengths(7, 7), Prompts(100, 10, 104)), seed=0)
    assert list(first.arrivals.each_prefix()) == list(second.arrivals.each_prefix())


def test_closed_loop_users_start_at_once_and_draw_between_bounds():
    (phase,) = phases_of(Users(8, 80, Lengths(80, 100), Lengths(40, 50)), seed=1)
    (start,) = phase.workload(0.0).chunks()
    assert start.arrival_time.tolist() == [0.0] * 8
    assert set(phase.arrivals.num_prompt_tokens.tolist()) <= set(range(80, 101))
    assert phase.arrivals.num_output_tokens.max() <= 50


def test_traffic_is_what_the_row_says(point):
    lengths = {"input_mean": 92.0, "input_min": 80.5, "input_max": 100.0, "output_mean": 20.0}
    assert traffic(point(kind="serving_closedloop", concurrency=4.0, **lengths)) == Users(4, 40, Lengths(80, 100), Lengths(20, 20))
    assert traffic(point(kind="offline_throughput", num_requests=9.0, **lengths)) == Burst(9, Lengths(80, 100), Lengths(20, 20))
    stages = traffic(point(kind="serving_openloop", stage_rates_rps="[1, 2]", stage_durations_s="[5, 5]", **lengths))
    assert stages == Stages((1.0, 2.0), (5.0, 5.0), Lengths(80, 100), Lengths(20, 20))
    one = traffic(point(kind="serving_openloop", rate_rps=2.0, num_requests=10.0, **lengths))
    assert (one.rates, one.durations) == ((2.0,), (5.0,))


def test_prompt_identity_is_read_from_its_words(point):
    words = "100 distinct prompts = 10 groups x 10 (shared system prompt of 100 tokens + question), sent in turn"
    told = point(
        stage_rates_rps="[1]",
        stage_durations_s="[5]",
        input_mean=600.0,
        output_mean=9.0,
        prefix_structure=words,
        input_spec="100+400 random tokens",
    )
    assert traffic(told).prompts == Prompts(100, 10, 120)  # 600 tokens where the client wrote 500


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"concurrency": 4.0, "output_mean": 5.0}, "lengths of its requests are not stated"),
        ({"input_mean": 9.0, "output_mean": 5.0}, "neither the rate and number"),
        ({"input_mean": 9.0, "output_mean": 5.0, "stage_rates_rps": "[1, 2]", "stage_durations_s": "[5]"}, "as many numbers"),
        ({"input_mean": 9.0, "output_mean": 5.0, "stage_rates_rps": "five", "stage_durations_s": "[5]"}, "no list of numbers"),
        ({"requests_file": "requests/mine.parquet"}, "requests file mine.parquet is not there"),
    ],
)
def test_a_workload_that_cannot_be_known_has_a_reason(point, fields, reason):
    with pytest.raises(Unsimulated, match=reason):
        traffic(point(**fields))


def recorded(folder, **columns):
    table = {"arrival_s": [0.0, 1.5, 1.0, 3.0], "input_tokens": [30, 0, 40, 30], "output_tokens": [5, 6, 7, 8]} | columns
    pq.write_table(pa.table(table), folder / "mine.parquet")
    return folder


def test_recorded_requests_are_sent_at_their_times_and_failed_ones_have_their_prompts_length(tmp_path, point):
    folder = recorded(tmp_path, prompt_id=[0, 0, 1, 1], stage=[0, 0, 0, 1])
    found = traffic(point(requests_file="requests/dev/mine.parquet"), folder)
    assert isinstance(found, Recorded)
    (phase,) = phases_of(found, seed=0)
    assert phase.arrivals.arrival_time.tolist() == [0.0, 1.0, 1.5, 3.0]
    assert phase.arrivals.num_prompt_tokens.tolist() == [30, 40, 30, 30]
    assert phase.stage.tolist() == [0, 0, 0, 1]


def test_a_replica_gets_its_turn_of_a_trace_and_answers_as_long_as_those_given(tmp_path, point):
    words = {"exp_id": "x_2DP4TP_1", "notes": "served output tokens 7"}
    found = traffic(point(source="microsoft/apex_plus", requests_file="mine.parquet", **words), recorded(tmp_path))
    assert (found.share, found.num_requests, found.output_scale) == ((1, 2), 2, 0.5)
    (phase,) = phases_of(found, seed=0)
    assert phase.arrivals.num_output_tokens.tolist() == [3, 4]
    own = traffic(point(source="ours", requests_file="mine.parquet", **words), recorded(tmp_path))
    assert (own.share, own.output_scale) == ((0, 1), 1.0), "whose words mean something else"


def test_arrivals_are_drawn_where_the_record_is_missing_unless_it_was_asked_for(point):
    mine = point(requests_file="mine.parquet", stage_rates_rps="[1]", stage_durations_s="[5]", input_mean=9.0, output_mean=9.0)
    assert isinstance(traffic(mine), Stages)
    with pytest.raises(Unsimulated, match="is not there"):
        traffic(mine, must_find=True)


GOOD = {"arrival_s": [0.0, 1.0], "input_tokens": [5, 6], "output_tokens": [7, 8]}


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        ({"arrival_s": [0.0], "output_tokens": [5]}, "has no column 'input_tokens'"),
        ({"arrival_s": [0.0], "input_tokens": [5]}, "has no column 'output_tokens'"),
        (GOOD | {"output_tokens": [7, None]}, "has something in 'output_tokens' that is no number"),
        (GOOD | {"arrival_s": ["now", "later"]}, "has something in 'arrival_s' that is no number"),
        (GOOD | {"arrival_s": [0.0, None]}, "has something in 'arrival_s' that is no number"),
        (GOOD | {"input_tokens": [-1, 5]}, "has something in 'input_tokens' that is no number of 0 or more"),
        (GOOD | {"input_tokens": [0, 0], "prompt_id": [0, 1]}, "has only zeros in 'input_tokens'"),
        ({name: values[:0] for name, values in GOOD.items()}, "has no request"),
    ],
)
def test_a_record_without_what_is_needed_is_refused(tmp_path, point, spoilt, reason):
    pq.write_table(pa.table(spoilt), tmp_path / "mine.parquet")
    with pytest.raises(PointsError, match=r"the requests file mine\.parquet") as refusal:
        traffic(point(requests_file="mine.parquet"), tmp_path)
    assert reason in str(refusal.value)


def test_a_record_that_is_no_parquet_file_is_refused(tmp_path, point):
    (tmp_path / "mine.parquet").write_text("arrival_s,input_tokens")
    with pytest.raises(PointsError, match=r"mine\.parquet cannot be read"):
        traffic(point(requests_file="mine.parquet"), tmp_path)


def test_who_asks_nothing_is_not_simulated(point):
    how = {"input_mean": 9.0, "output_mean": 9.0}
    with pytest.raises(Unsimulated, match="a stage of it asks no request"):
        traffic(point(stage_rates_rps="[1, 0.01]", stage_durations_s="[5, 1]", **how))
    with pytest.raises(Unsimulated, match="it asks no request: its concurrency is 4 and its num_requests 0"):
        traffic(point(concurrency=4.0, num_requests=0.0, **how))
