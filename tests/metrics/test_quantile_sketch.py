"""The sketch keeps its promises: the error bound, exact totals, and runs that equal their expansion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seatrial.metrics.sketch import RELATIVE_ERROR, QuantileSketch

seconds = st.one_of(st.just(0.0), st.floats(1e-9, 1e9))
lists = arrays(np.float64, st.integers(1, 200), elements=seconds)
quantiles = st.floats(0, 1)

runs = st.lists(
    st.tuples(
        st.floats(1e-4, 10),  # first
        st.floats(-1e-8, 1e-2).filter(lambda x: x == 0 or abs(x) > 1e-12),  # increment: falling only a little, to stay above zero
        st.integers(0, 300),  # steps
        st.integers(0, 50),  # gaps
    ),
    min_size=1,
    max_size=8,
)


def of(values):
    sketch = QuantileSketch()
    sketch.add(values)
    return sketch


def expanded(first, increment, num_steps, num_gaps):
    return np.concatenate([np.repeat(f + np.arange(n) * i, g) for f, i, n, g in zip(first, increment, num_steps, num_gaps)])


def same(one, other):
    assert one.count == other.count
    assert one.sum == pytest.approx(other.sum, rel=1e-12)
    assert (one.min, one.max) == pytest.approx((other.min, other.max), rel=1e-12)
    assert np.array_equal(one.counts, other.counts)


def test_the_stated_error_is_a_tenth_of_a_percent():
    assert RELATIVE_ERROR < 0.001


@given(lists, quantiles)
def test_quantiles_are_those_of_numpy_to_the_stated_error(values, q):
    assert of(values).quantile(q) == pytest.approx(np.quantile(values, q), rel=RELATIVE_ERROR * 1.000001, abs=1e-9)


@pytest.mark.parametrize("draw", ["uniform", "lognormal", "pareto", "ties"])
@pytest.mark.parametrize("q", [0.0, 0.001, 0.5, 0.9, 0.99, 0.9999, 1.0])
def test_quantiles_of_a_hundred_thousand_values_are_those_of_numpy(draw, q):
    random = np.random.default_rng(7)
    values = {
        "uniform": lambda: random.uniform(0, 3, 100_000),
        "lognormal": lambda: random.lognormal(-3, 2, 100_000),
        "pareto": lambda: random.pareto(1.1, 100_000),
        "ties": lambda: random.integers(1, 5, 100_000) / 10,
    }[draw]()
    assert of(values).quantile(q) == pytest.approx(np.quantile(values, q), rel=RELATIVE_ERROR)


@given(lists)
def test_count_mean_and_both_ends_are_exact(values):
    sketch = of(values)
    assert sketch.count == len(values)
    assert sketch.mean == pytest.approx(values.mean(), rel=1e-12)
    assert sketch.quantile(0) == values.min() == sketch.min
    assert sketch.quantile(1) == values.max() == sketch.max


@given(lists, quantiles, quantiles)
def test_a_higher_quantile_is_no_smaller(values, one, other):
    low, high = of(values).quantiles(sorted((one, other)))
    assert low <= high * (1 + 1e-12)


@given(lists, lists, lists)
def test_merging_is_associative_and_commutative_and_loses_nothing(a, b, c):
    left, right = of(a), of(c)
    left.merge(of(b))
    left.merge(of(c))
    right.merge(of(b))
    right.merge(of(a))
    same(left, right)
    same(left, of(np.concatenate([a, b, c])))


@given(runs)
def test_runs_count_as_their_expansion(rows):
    first, increment, num_steps, num_gaps = map(np.array, zip(*rows))
    sketch = QuantileSketch()
    sketch.add_runs(first, increment, num_steps, num_gaps)
    naive = of(expanded(first, increment, num_steps, num_gaps))
    assert sketch.count == naive.count
    assert sketch.sum == pytest.approx(naive.sum, rel=1e-12)
    if naive.count:
        assert (sketch.min, sketch.max) == pytest.approx((naive.min, naive.max), rel=1e-12)
    # a falling run is counted from its end, which may round a value on an edge into the next bin
    moved = np.abs(np.cumsum(sketch.counts - naive.counts)).sum()
    assert moved <= (num_gaps[increment < 0].sum() if (increment < 0).any() else 0)


@given(st.floats(1e-3, 1), st.floats(1e-7, 1e-4), st.integers(1, 5000))
def test_a_long_rising_run_counts_step_for_step(first, increment, num_steps):
    sketch = QuantileSketch()
    sketch.add_runs([first], [increment], [num_steps], [3])
    same(sketch, of(expanded([first], [increment], [num_steps], [3])))


def test_a_run_that_starts_and_rises_by_bin_edges_falls_on_the_right_side():
    first, increment = 0.5, 2.0**-10  # every step is an edge of a bin, and 512 bins make an octave
    sketch = QuantileSketch()
    sketch.add_runs([first], [increment], [1500], [1])
    same(sketch, of(first + np.arange(1500) * increment))


def test_a_run_from_below_the_smallest_value_to_above_the_largest_is_whole():
    sketch = QuantileSketch()
    sketch.add_runs([0.0], [1e6], [2000], [5])
    assert sketch.count == 10_000
    assert sketch.counts.sum() == 10_000
    assert (sketch.min, sketch.max) == (0.0, 1999e6)


def test_a_run_of_a_trillion_gaps_costs_a_few_bins():
    sketch = QuantileSketch()
    sketch.add_runs([0.01], [1e-12], [10**9], [1000])
    assert sketch.count == 10**12
    assert sketch.quantile(0.5) == pytest.approx(0.0105, rel=RELATIVE_ERROR)


@given(lists, st.integers(0, 200))
def test_chunks_do_not_show(values, cut):
    sketch = of(values[:cut])
    sketch.add(values[cut:])
    same(sketch, of(values))


def test_nothing_in_gives_nan_out():
    sketch = QuantileSketch()
    sketch.add(np.array([]))
    sketch.add_runs([1.0], [0.0], [0], [3])
    assert sketch.count == 0
    assert np.isnan(sketch.mean)
    assert np.isnan(sketch.quantile(0.5))


def test_a_value_below_zero_by_rounding_is_shown_as_zero_and_kept_as_the_minimum():
    sketch = of([-1e-17, 0.0, 2.0])
    assert sketch.quantile(0.5) == 0
    assert sketch.min == -1e-17
