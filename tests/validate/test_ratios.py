"""Ratios are taken between points that differ in one thing alone."""

from dataclasses import replace

import pytest

from seatrial.trial.scenario import PoolSpec
from seatrial.validate.accuracy import Pair
from seatrial.validate.compared import Compared
from seatrial.validate.ratios import changes, ratio_errors
from seatrial.validate.system import System

SYSTEM = System("llama-3.1-8b", PoolSpec(accelerator="h100_sxm"), engine="vllm-0.15", scheduler="vllm-v1")


@pytest.fixture
def compared(point):
    def make(point_id, predicted, actual, **fields):
        return Compared(replace(point(**fields), point_id=point_id), SYSTEM, {"tpot_mean": Pair(predicted, actual)}, (0, None), "roofline")

    return make


def test_neighbours_in_one_setting_make_a_pair(compared):
    found = changes([compared("a", 8, 10, tp=1), compared("b", 5, 5, tp=2), compared("c", 3, 4, tp=4)])
    assert [(c.kind, c.old, c.new, c.points) for c in found] == [
        ("tensor_parallel", "1", "2", ("a", "b")),
        ("tensor_parallel", "2", "4", ("b", "c")),
    ]
    assert [(c.predicted, c.actual) for c in found] == [(5 / 8, 0.5), (3 / 5, 0.8)]


def test_two_differences_are_no_pair(compared):
    assert not changes([compared("a", 8, 10, tp=1, concurrency=4), compared("b", 5, 5, tp=2, concurrency=8)])
    assert not changes([compared("a", 8, 10, tp=1), compared("b", 5, 5, tp=2, precision="fp8")])
    assert not changes([compared("a", 8, 10, tp=1, input_mean=100.0), compared("b", 5, 5, tp=2, input_mean=8000.0)])


def test_every_two_accelerators_are_a_pair(compared):
    found = changes([compared(gpu, 1, 1, gpu=gpu) for gpu in ("l40s", "a100", "h100")])
    assert [(c.old, c.new) for c in found] == [("a100", "h100"), ("a100", "l40s"), ("h100", "l40s")]


def test_what_was_measured_twice_counts_with_its_mean(compared):
    (found,) = changes([compared("a", 1, 1, tp=1), compared("a2", 1, 3, tp=1), compared("b", 3, 1, tp=2)])
    assert (found.predicted, found.actual) == (3, 0.5)


def test_parts_of_runs_saturated_points_and_trust_c_are_left_out(compared):
    for fields in ({"stage": "0"}, {"saturated": "True"}, {"trust": "C"}):
        assert not changes([compared("a", 1, 1, tp=1, **fields), compared("b", 1, 1, tp=2, **fields)])


def test_a_direction_counts_beyond_noise(compared):
    pairs = [(1.0, 1.02), (0.9, 0.5), (1.1, 0.5)]  # in the noise, right, wrong
    points = [
        compared(f"{i}{tp}", value, measured, tp=tp, workload=f"w{i}")
        for i, (predicted, actual) in enumerate(pairs)
        for tp, value, measured in ((1, 1.0, 1.0), (2, predicted, actual))
    ]
    error = ratio_errors(changes(points))["tensor_parallel"]["tpot_mean"]
    assert (error.n, error.num_directed, error.right_direction) == (3, 2, 0.5)
    assert error.median_ape_pct == pytest.approx(80)
