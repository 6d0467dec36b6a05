"""What predictions have reached, they keep: errors on measured points stay within tests/data/accuracy_limits.yaml.

A dozen points are always at hand. The whole truth lies outside this repository, at ../shared/data/truth or where SEATRIAL_TRUTH says;
without it those tests are skipped. `python -m pytest tests/validate/test_reached_accuracy.py -s` prints what is reached now.
"""

from math import expm1
from pathlib import Path

import pytest
import yaml

from seatrial.catalog import load_engine
from seatrial.fit.cross_validation import cross_validate
from seatrial.fit.engine import fit_engine, runs
from seatrial.fit.knobs import knobs_for, start_values
from seatrial.report.accuracy_goals import answered
from seatrial.validate import predict, prepare, read_points
from seatrial.validate.accuracy import error_of
from seatrial.validate.peers import Peers
from seatrial.validate.predict import setup_of
from seatrial.validate.ratios import ratio_errors
from seatrial.validate.sections import by_section, section_of
from seatrial.validate.steps import read_steps, validate_steps
from seatrial.validate.validation import chosen, compare
from truth import TRUTH, needs_truth

DATA = Path(__file__).parents[1] / "data"
LIMITS = yaml.safe_load((DATA / "accuracy_limits.yaml").read_text(encoding="utf-8"))
NO_PEERS: Peers = {}


def validated(points, *folders):
    prepared = prepare(points, requests=folders)
    return compare(points, prepared, predict(prepared.experiments), NO_PEERS)


def check(what, found, limits):
    """Every limit has a figure, and none is passed."""
    for metric, error in found.items():
        print(f"{what}, {metric}: {error.median_ape_pct:.1f} / {error.p90_ape_pct:.1f}, of {error.n}")
    passed = [
        f"{what}, {metric}: {found[metric].median_ape_pct:.1f} / {found[metric].p90_ape_pct:.1f} and not {median} / {p90}"
        for metric, (median, p90) in limits.items()
        if found[metric].median_ape_pct > median or found[metric].p90_ape_pct > p90
    ]
    assert not passed, "; ".join(passed)


def test_a_dozen_points_are_as_near_as_they_were():
    validation = validated(read_points(DATA / "measured_points.csv"))
    assert not validation.skipped
    check("a dozen points", validation.errors, LIMITS["embedded"])


@pytest.fixture(scope="module")
def validation():
    """Of large sections every so many-th point, as the limits say: a minute is enough for a test."""
    points = read_points(TRUTH / "engine_points.csv")
    asked = []
    for name, limits in LIMITS["sections"].items():
        asked += [point for point in points if section_of(point).name == name][:: limits.get("every", 1)]
    return validated(asked, TRUTH, TRUTH / "requests")


@needs_truth
@pytest.mark.truth
@pytest.mark.parametrize("name", LIMITS["sections"])
def test_a_section_is_as_near_as_it_was(name, validation):
    found = {one.section.name: one.errors for one in by_section(validation.points)}
    check(name, found[name], {metric: limits for metric, limits in LIMITS["sections"][name].items() if metric != "every"})


@needs_truth
@pytest.mark.truth
def test_ratios_are_as_near_as_they_were(validation):
    found = ratio_errors(validation.changes())
    for kind, limits in LIMITS["ratios"].items():
        check(kind, found[kind], {metric: (median, p90) for metric, (median, p90, _) in limits.items()})
        for metric, (_, _, right) in limits.items():
            share = found[kind][metric].right_direction
            print(f"{kind}, {metric}: {share} of {found[kind][metric].num_directed} in the right direction")
            assert right is None or share >= right


@needs_truth
@pytest.mark.truth
def test_overloaded_runs_are_answered_as_they_were(validation):
    found = {compared.point.point_id: answered(compared) for compared in validation.overloaded()}
    for point_id, most in LIMITS["overloaded"].items():
        print(f"{point_id}: {found[point_id].predicted} answers in time, measured {found[point_id].actual}")
        assert found[point_id].ape_pct <= most


@needs_truth
@pytest.mark.truth
def test_step_times_are_as_near_as_they_were():
    found = validate_steps(read_steps(TRUTH / "iteration_points.csv"))
    check("step times", found.groups()["engine"], LIMITS["step_times"])


@needs_truth
@pytest.mark.slow
def test_models_and_accelerators_left_out_are_as_near_as_they_were():
    """The fit of vllm-0.15 from where it stands, and what it says of each model and accelerator without their runs."""
    asked = chosen(read_points(TRUTH / "engine_points.csv"), ["source=inference-sim*", "stage=summary", "saturated=False"], None)
    prepared = prepare(asked, requests=[TRUTH, TRUTH / "requests"])
    architectures = sorted({setup_of(experiment.system).accelerator.architecture for experiment in prepared.experiments})
    knobs = knobs_for(architectures)
    start = start_values(knobs, {name: load_engine("vllm-0.15", name) for name in architectures})
    steps = read_steps(TRUTH / "iteration_points.csv")
    with runs(prepared.experiments, asked, knobs, "vllm-0.15", steps=steps, jobs=2) as measured:
        fit = fit_engine(measured, start, 1, lambda effort: None)
        left_out = cross_validate(fit, measured, lambda effort: None)
    for what, limits in LIMITS["left_out"].items():
        rows = left_out.of(what)
        found = {m: error_of(100 * expm1(row.error) for row in rows if row.metric == m) for m in limits}
        check(f"leaving one {what} out", found, limits)
