"""A timeline of fixed size tells the mean TTFT over any span, and the chart draws it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.core.record import RequestRecords, Status
from seatrial.report.chart import PLAIN, Columns, column_rows
from seatrial.report.tables import number_text, seconds_in, share_text
from seatrial.report.timeline import Timeline
from seatrial.report.verdict import is_growing


def records(times, ttft):
    times, first = np.array(times, np.float64), np.array(times, np.float64) + np.array(ttft, np.float64)
    counts = np.ones(len(times), np.int64)
    status = np.full(len(times), Status.COMPLETED, np.int8)
    return RequestRecords(np.arange(len(times)), times, counts, counts, 0 * counts, 0 * times, first, first, 0 * counts, status)


def timeline(times, ttft, parts=1):
    made = Timeline()
    for some_times, some_ttft in zip(np.array_split(times, parts), np.array_split(ttft, parts)):
        made.add(records(some_times, some_ttft))
    return made


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=60).map(sorted), st.integers(1, 5))
def test_at_most_sixty_values_hold_the_mean_of_any_span(times, parts):
    made = timeline(times, np.full(len(times), 0.25), parts)
    values = made.mean_ttft(60)
    assert 1 <= len(values) <= 60
    assert values[0] is not None
    assert values[-1] is not None
    assert all(value is None or value == pytest.approx(0.25, abs=1e-6) for value in values)


def test_the_course_of_a_run_shows():
    times = np.arange(6000) / 10
    values = timeline(times, times / 600).mean_ttft(60)
    assert values == sorted(values)
    assert values[-1] == pytest.approx(1, rel=0.05)


def test_the_rate_counts_those_who_were_never_served():
    made = timeline([10.0, 11.0, 12.0], [0.1, np.nan, 0.1])
    assert made.arrival_rate == 1.0
    assert timeline([3.0, 3.0], [0.1, 0.1]).arrival_rate is None


def test_a_queue_grows_where_late_arrivals_wait_much_longer():
    times = np.arange(100.0)
    assert is_growing(timeline(times, times / 10))
    assert not is_growing(timeline(times, np.full(100, 10.0)))
    assert not is_growing(timeline(times, times / 1000))


def test_columns_are_as_high_as_their_values():
    assert column_rows([1.0, 0.5, None, 0.0, 1e-9], 2, PLAIN) == ["|    ", "||  ."]


def test_a_chart_has_its_scale_and_its_span():
    assert Columns([1.0, 2.0, 3.0, 4.0], top="4 s", left="0", right="9 s", height=2).lines(PLAIN) == [
        "  4 s |  .|",
        "    0 |:|||",
        "       0 9 s",
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "-"), (0, "0"), (0.01234, "0.0123"), (4.567, "4.57"), (13, "13.0"), (99.96, "100"), (1234.5, "1,234"), (-2.5, "-2.50")],
)
def test_numbers_have_three_digits_or_all(number, text):
    assert number_text(number) == text


def test_a_share_below_the_whole_never_shows_as_the_whole():
    assert [share_text(share) for share in (None, 0.0, 0.1234, 0.995, 0.9995, 0.99994, 1.0)] == [
        *("-", "0 %", "12.3 %", "99.50 %", "99.95 %", "99.99 %", "100 %")
    ]


def test_seconds_are_shown_in_the_unit_of_their_row():
    assert (seconds_in("ms", 0.0123), seconds_in("s", 123.4), seconds_in("us", None)) == ("12.3", "123", "-")
