"""A transformed workload is the same requests at other times, and keeps the order and the uniqueness of rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.core.errors import WorkloadError
from seatrial.core.request import Arrival, Arrivals, Prefix, Request, Workload
from seatrial.testing import Given
from seatrial.workload import at_rate, limited, repeated, speedup
from seatrial.workload.closed_loop import closed_loop


@dataclass(frozen=True)
class Listed:
    """A workload of given arrivals, `size` to a chunk."""

    arrivals: tuple[Arrival, ...]
    size: int = 3
    has_follow_ups: bool = False

    @property
    def num_requests(self) -> int | None:
        return len(self.arrivals)

    def chunks(self) -> Iterator[Arrivals]:
        for start in range(0, len(self.arrivals), self.size):
            yield Arrivals.of(self.arrivals[start : start + self.size])

    def follow_ups(self, row: int, finish_time: float) -> Sequence[Arrival]:
        return [Arrival(Request(100 + row, finish_time + 6.0, 5), 5)] if self.has_follow_ups else []


def listed(*times: float, has_follow_ups: bool = False) -> Listed:
    return Listed(tuple(Arrival(Request(2 * i, time, 10 + i), 1 + i) for i, time in enumerate(times)), has_follow_ups=has_follow_ups)


def column(workload: Workload, name: str) -> list[float]:
    return np.concatenate([getattr(chunk, name) for chunk in workload.chunks()]).tolist()


times = st.lists(st.floats(0, 1e6).map(lambda time: round(time, 3)), min_size=1, max_size=12).map(sorted)
factors = st.floats(1e-3, 1e3)


class TestSpeedup:
    def test_times_are_divided_and_nothing_else_changes(self):
        workload = speedup(listed(1.0, 3.0, 3.0, 8.0), 2)
        assert column(workload, "arrival_time") == [0.5, 1.5, 1.5, 4.0]
        assert column(workload, "row") == [0, 2, 4, 6]
        assert column(workload, "num_prompt_tokens") == [10, 11, 12, 13]
        assert column(workload, "num_output_tokens") == [1, 2, 3, 4]
        assert workload.num_requests == 4

    @given(times=times, factor=factors)
    def test_the_order_stays(self, times, factor):
        faster = column(speedup(listed(*times), factor), "arrival_time")
        assert faster == sorted(faster)

    def test_time_to_think_shrinks_as_well(self):
        workload = speedup(listed(0.0, has_follow_ups=True), 2)
        assert workload.has_follow_ups
        ((request, _),) = workload.follow_ups(0, 10.0)
        assert request.arrival_time == 13.0

    @pytest.mark.parametrize("factor", [0, -1, float("nan"), float("inf")])
    def test_an_impossible_factor_is_refused(self, factor):
        with pytest.raises(WorkloadError, match="speedup"):
            speedup(listed(0.0), factor)

    @pytest.mark.parametrize("factor", [1e-308, 5e-324, 1e-9])
    def test_the_end_of_the_clock_is_not_passed(self, factor):
        with pytest.raises(WorkloadError, match=r"a speedup of .* puts a request at .* s, and none may come after 1e\+09 s"):
            column(speedup(listed(0.0, 8.0), factor), "arrival_time")

    def test_nor_is_it_by_those_who_think(self):
        with pytest.raises(WorkloadError, match="speedup"):
            speedup(listed(0.0, has_follow_ups=True), 1e-300).follow_ups(0, 10.0)


class TestAtRate:
    @given(times=times.filter(lambda times: times[-1] > times[0]), rate=factors)
    def test_the_mean_rate_is_what_was_asked(self, times, rate):
        workload = at_rate(listed(*times), rate)
        scaled = column(workload, "arrival_time")
        assert scaled == sorted(scaled)
        shift = scaled[0] * rate  # digits that a late start costs
        assert (len(scaled) - 1) / (scaled[-1] - scaled[0]) == pytest.approx(rate, rel=1e-9 + 1e-13 * shift)
        assert workload.num_requests == len(times)

    def test_requests_of_one_moment_are_spread_evenly(self):
        assert column(at_rate(listed(0, 0, 0, 0, 0), 4), "arrival_time") == [0, 0.25, 0.5, 0.75, 1.0]

    def test_a_lone_request_stays(self):
        assert column(at_rate(listed(3.0), 4), "arrival_time") == [3.0]

    @pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
    def test_an_impossible_rate_is_refused(self, rate):
        with pytest.raises(WorkloadError, match="rate"):
            at_rate(listed(0.0), rate)

    @pytest.mark.parametrize("times", [(0.0, 8.0), (8.0, 8.0), (0.0, 5e-324)])
    @pytest.mark.parametrize("rate", [1e-10, 5e-324])
    def test_the_end_of_the_clock_is_not_passed(self, times, rate):
        with pytest.raises(WorkloadError, match=r"a rate of .* puts a request at .* give a higher one"):
            column(at_rate(listed(*times), rate), "arrival_time")


class TestRepeated:
    def test_the_end_meets_the_start_a_mean_gap_apart(self):
        workload = repeated(listed(1.0, 2.0, 5.0), 7)
        assert column(workload, "arrival_time") == [1, 2, 5, 7, 8, 11, 13]
        assert column(workload, "row") == [0, 2, 4, 5, 7, 9, 10]
        assert column(workload, "num_prompt_tokens") == [10, 11, 12, 10, 11, 12, 10]
        assert workload.num_requests == 7

    @given(times=times, num_requests=st.integers(1, 50))
    def test_rows_are_unique_and_times_sorted(self, times, num_requests):
        workload = repeated(listed(*times), num_requests)
        rows, moments = column(workload, "row"), column(workload, "arrival_time")
        assert len(rows) == num_requests
        assert rows == sorted(set(rows))
        assert moments == sorted(moments)

    @given(times=times.filter(lambda times: times[-1] > times[0]), repetitions=st.integers(2, 5))
    def test_the_mean_rate_stays(self, times, repetitions):
        moments = column(repeated(listed(*times), repetitions * len(times)), "arrival_time")
        rate = (len(times) - 1) / (times[-1] - times[0])
        assert (len(moments) - 1) / (moments[-1] - moments[0]) == pytest.approx(rate, rel=1e-6)

    def test_it_can_be_read_again(self):
        workload = repeated(listed(1.0, 2.0), 5)
        assert column(workload, "arrival_time") == column(workload, "arrival_time")

    def test_nothing_cannot_be_repeated(self):
        with pytest.raises(WorkloadError, match="without requests"):
            list(repeated(listed(), 3).chunks())

    def test_the_end_of_the_clock_is_not_passed(self):
        with pytest.raises(WorkloadError, match=r"repeated until there are 5 requests puts a request at .* fewer requests"):
            column(repeated(listed(0.0, 4e8), 5), "arrival_time")


class TestLimited:
    @given(times=times, num_requests=st.integers(1, 20))
    def test_the_first_requests_are_left(self, times, num_requests):
        workload = limited(listed(*times), num_requests)
        assert column(workload, "arrival_time") == times[:num_requests]
        assert workload.num_requests == min(num_requests, len(times))

    @pytest.mark.parametrize("make", [limited, repeated])
    def test_less_than_one_request_is_refused(self, make):
        with pytest.raises(WorkloadError, match="at least 1"):
            make(listed(0.0), 0)


@pytest.mark.parametrize("make", [limited, repeated, at_rate])
def test_requests_that_wait_for_one_another_are_not_moved(make):
    with pytest.raises(WorkloadError, match="wait for one another"):
        make(listed(0.0, has_follow_ups=True), 3)


def with_ids():
    prefixes = [None, Prefix(4, (1, 1)), None, Prefix(4, (1, 3))]
    return Given([Arrival(Request(row, float(row), 8, prefix=prefix), 1) for row, prefix in enumerate(prefixes)])


@pytest.mark.parametrize(
    "change",
    [lambda all: speedup(all, 2), lambda all: at_rate(all, 5), lambda all: limited(all, 3), lambda all: repeated(all, 7)],
)
def test_how_prompts_begin_stays_as_it_is(change):
    found = [prefix for chunk in change(with_ids()).chunks() for prefix in chunk.each_prefix()]
    before = [None, Prefix(4, (1, 1)), None, Prefix(4, (1, 3))]
    assert found == (before * 2)[: len(found)]
    assert len(found) >= 3


def test_a_closed_loop_asks_the_same_prompts():
    loop = closed_loop(with_ids(), 2)
    assert [prefix for chunk in loop.chunks() for prefix in chunk.each_prefix()] == [None, Prefix(4, (1, 1))]
    assert [ask.prefix for row in range(2) for ask, _ in loop.follow_ups(row, 1.0)] == [None, Prefix(4, (1, 3))]
