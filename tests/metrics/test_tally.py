"""The tally counts what counts, whatever the chunks, in memory that stays."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.core.errors import ScenarioError
from seatrial.core.record import GapRuns, Status
from seatrial.core.slo import SLO
from seatrial.metrics import Tally

NAN = float("nan")
LOST = (NAN, NAN, NAN)


def gaps(*runs):
    """Runs of (time, first, increment, steps, gaps)."""
    time, first, increment, steps, each = zip(*runs)
    return GapRuns(
        np.array(time, np.float64),
        np.array(first, np.float64),
        np.array(increment, np.float64),
        np.array(steps, np.int64),
        np.array(each, np.int64),
    )


def facts(tally):
    tally.close()
    numbers = (tally.num_requests, *tally.num_by_status, tally.num_attained, tally.num_prompt_tokens, tally.num_output_tokens)
    return numbers, {name: sketch.counts.tobytes() for name, sketch in tally.sketches.items()}, tally.duration, tally.span


def test_latencies_are_as_worked_out_by_hand(records):
    tally = Tally()
    tally.add(records([(10.0, 100, 5, 0.25, 10.5, 12.5)]))
    means = {name: sketch.mean for name, sketch in tally.sketches.items() if sketch.count}
    assert means == {"ttft": 0.5, "tpot": 0.5, "e2e": 2.5, "queue": 0.25, "normalized": 0.5}
    assert (tally.num_prompt_tokens, tally.num_output_tokens) == (100, 5)
    assert tally.duration == tally.span == 2.5


def test_only_completed_requests_have_latencies_but_all_are_counted(records):
    tally = Tally()
    tally.add(records([(0.0, 7, 2, 0.0, 1.0, 2.0), (1.0, 9, 2, *LOST, Status.REJECTED), (2.0, 9, 2, 0.1, 3.0, NAN, Status.UNFINISHED)]))
    assert tally.num_requests == 3
    assert list(tally.num_by_status) == [1, 1, 0, 0, 1]
    assert {sketch.count for name, sketch in tally.sketches.items() if name != "itl"} == {1}
    assert tally.num_prompt_tokens == 7


def test_attainment_needs_every_limit_and_counts_the_lost_as_missed(records):
    tally = Tally(SLO.parse("ttft:p90=1,tpot:p50=0.1,e2e:p99=5,queue:mean=0.5"))
    tally.add(
        records(
            [
                (0.0, 1, 11, 0.5, 1.0, 2.0),  # every value at its limit
                (0.0, 1, 11, 0.1, 1.1, 2.0),  # late first token
                (0.0, 1, 11, 0.1, 0.5, 1.6),  # slow tokens
                (0.0, 1, 99, 0.1, 0.5, 5.1),  # late end
                (0.0, 1, 11, 0.6, 0.9, 1.0),  # long wait
                (0.0, 1, 1, 0.1, 0.5, 0.5),  # one token: no TPOT to miss
                (0.0, 1, 11, *LOST, Status.REJECTED),
                (0.0, 1, 11, 0.1, 0.5, NAN, Status.UNFINISHED),
            ]
        )
    )
    assert tally.num_attained == 2


def test_a_request_meets_an_itl_target_by_its_own_mean_gap(records):
    tally = Tally(SLO.parse("itl:p99=0.1"))
    tally.add(records([(0.0, 1, 11, 0.0, 1.0, 2.0), (0.0, 1, 11, 0.0, 1.0, 2.1)]))
    assert tally.num_attained == 1


def test_the_stricter_of_two_limits_on_one_metric_decides(records):
    tally = Tally(SLO.parse("ttft:p50=0.5,ttft:p99=2"))
    tally.add(records([(0.0, 1, 1, 0.0, 1.0, 1.0)]))
    assert tally.num_attained == 0


def test_warm_up_and_cool_down_trim_by_arrival_time_both_ends_included(records):
    tally = Tally(warmup=2.0, cooldown=3.0)
    tally.add(records([(t, 1, 1, 0.0, t + 1, t + 1) for t in range(10, 21)]))
    tally.close()
    assert tally.num_requests == 6  # 12 to 17
    assert tally.num_seen == 11
    assert tally.duration == 5.0
    assert tally.span == 11.0


def test_gap_runs_are_trimmed_by_their_start(records):
    tally = Tally(warmup=2.0, cooldown=3.0)
    tally.add_gaps(gaps((11.9, 0.1, 0.0, 10, 1), (12.0, 0.2, 0.0, 10, 1)))
    tally.add(records([(t, 1, 1, 0.0, t + 1, t + 1) for t in range(10, 21)]))
    tally.add_gaps(gaps((17.0, 0.3, 0.0, 5, 1), (17.1, 0.4, 0.0, 10, 1)))
    tally.close()
    assert tally.sketches["itl"].count == 15
    assert tally.sketches["itl"].sum == pytest.approx(3.5)


def test_a_warm_up_alone_keeps_the_end(records):
    tally = Tally(warmup=2.0)
    tally.add(records([(t, 1, 1, 0.0, t + 5, t + 5) for t in range(5)]))
    tally.close()
    assert tally.num_requests == 3
    assert tally.duration == 7.0  # 2 to 9


def test_a_trim_longer_than_the_run_leaves_nothing(records):
    tally = Tally(warmup=10.0, cooldown=10.0)
    tally.add(records([(0.0, 1, 1, 0.0, 1.0, 1.0)]))
    tally.close()
    assert (tally.num_requests, tally.duration) == (0, 0.0)


@settings(max_examples=60)
@given(
    edges=st.lists(st.integers(0, 400), max_size=6),
    trim=st.sampled_from([(0, 0), (5, 0), (0, 7), (4, 6)]),
    backwards=st.booleans(),
)
def test_neither_chunks_nor_their_order_show(many, pieces, edges, trim, backwards):
    slo = SLO.parse("ttft:p90=0.3,tpot:p90=0.03")
    whole, runs = many(400), gaps(*((i * 0.4, 0.01 + i * 1e-4, 1e-5, 40, 3) for i in range(100)))
    one, other = Tally(slo, *trim), Tally(slo, *trim)
    one.add(whole)
    one.add_gaps(runs)
    chunks = pieces(whole, *sorted(edges))
    for at, chunk in enumerate(reversed(chunks) if backwards else chunks):
        if at == len(chunks) // 2:
            other.add_gaps(runs)
        other.add(chunk)
    assert facts(one) == facts(other)


@pytest.mark.parametrize("trim", [(0, 0), (60, 60)])
def test_memory_does_not_grow_with_the_run(many, trim):
    tally = Tally(SLO.parse("ttft:p90=0.3"), *trim)

    def peak_of(first, last):
        tracemalloc.start()
        for i in range(first, last):
            start = i * 500.0
            tally.add_gaps(GapRuns(start + np.arange(5_000) / 10, *np.full((2, 5_000), 1e-3), *np.full((2, 5_000), 20)))
            tally.add(many(5_000, start=start))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    peak_of(0, 2)
    early = peak_of(2, 22)
    assert peak_of(22, 82) < 1.3 * early


@pytest.mark.parametrize("wrong", [-1.0, NAN, float("inf")])
def test_a_trim_that_is_no_time_is_refused_in_a_sentence(wrong):
    with pytest.raises(ScenarioError, match=r"warm-up .* 0 or more"):
        Tally(warmup=wrong)
    with pytest.raises(ScenarioError, match=r"cool-down .* 0 or more"):
        Tally(cooldown=wrong)


def test_closing_twice_changes_nothing_and_adding_after_it_is_a_bug(records):
    tally = Tally(warmup=1.0)
    tally.add(records([(0.0, 1, 1, 0.0, 1.0, 1.0), (2.0, 1, 1, 0.0, 3.0, 3.0)]))
    tally.close()
    tally.close()
    assert tally.num_requests == 1
    with pytest.raises(AssertionError):
        tally.add(records([(0.0, 1, 1, 0.0, 1.0, 1.0)]))
