"""Fitting a profile to runs: what runs were made with is found again, and left-out runs are predicted from the others."""

import tomllib
from dataclasses import replace
from math import exp, expm1, log

import pytest

from seatrial.catalog import load_engine, read_engine
from seatrial.core.errors import FitError
from seatrial.fit.cross_validation import cross_validate, left_out_rows
from seatrial.fit.engine import EngineFit, Round, Runs, badness, fit_engine, runs, without
from seatrial.fit.engine_file import give_or_take, write_engine
from seatrial.fit.knobs import KNOBS, knobs_for, start_values, turned
from seatrial.fit.rows import KIN, SPREADS, STEP, Of, Row, weights
from seatrial.fit.slopes import cost_of
from seatrial.fit.toml import quoted
from seatrial.validate.experiment import prepare
from seatrial.validate.point import Point
from seatrial.validate.predict import predict
from seatrial.validate.sweep import Journal, read_lines

TRUTH = {"gemm_scale": 1.15, "per_step": 1e-3, "before_request": 12e-3}


def quietly(effort):
    pass


def measured_points():
    """Points as runs under the hidden truth would have been measured: two models on two accelerators, two loads."""
    base = {"stage_durations_s": "[30]", "input_mean": 200.0, "output_mean": 100.0, "engine": "vLLM", "engine_version": "0.15", "tp": 1.0}
    points = [
        Point(f"{model}/{gpu}/{rate}", model, gpu, {"ttft_mean": 1.0, "tpot_mean": 1.0}, stage_rates_rps=f"[{rate}]", **base)
        for model in ("llama-3.1-8b", "qwen2.5-14b")
        for gpu in ("h100_sxm", "a100_sxm")
        for rate in (1, 6)
    ]
    experiments = prepare(points).experiments
    hidden = {knob: TRUTH[knob.name] for knob in KNOBS if knob.name in TRUTH}

    def cost(setup, system):
        return cost_of(setup, turned(setup.profile, setup.accelerator.architecture, hidden))

    seen = predict(experiments, cost)
    return [
        replace(point, measured={name: seen[point.point_id].figures[name] for name in ("ttft_mean", "ttft_p90", "tpot_mean")})
        for point in points
    ]


@pytest.fixture(scope="module")
def fitted():
    points = measured_points()
    prepared = prepare(points)
    knobs = tuple(knob._replace(spread=10.0) for knob in knobs_for([], list(TRUTH)))
    with runs(prepared.experiments, points, knobs, "vllm-0.15") as measured:
        start = start_values(knobs, {"": load_engine("vllm-0.15")})
        found = fit_engine(measured, start, 5, quietly)
        yield found, cross_validate(found, measured, quietly)


def test_the_numbers_that_runs_were_made_with_are_found_again(fitted):
    found, _ = fitted
    assert {knob.name: value for knob, value in found.values.items()} == pytest.approx(TRUTH, rel=0.05)
    assert max(abs(row.error) for row in found.rows if row.metric == "tpot_mean") < 0.01


def test_a_step_that_made_it_worse_is_halved():
    """A figure that follows its knob three times as much as its slope says: the whole step goes too far."""
    (knob,) = (each._replace(spread=100.0) for each in knobs_for([], ["gemm_scale"]))

    class Steep:
        knobs, failed = (knob,), {}

        def rows(self, values, progress):
            return [Row("p", Of("m on 1 x g", "m", "g"), "tpot_mean", 3 * log(values[knob]) - 0.03, (1.0,))]

    first, second, third, best = fit_engine(Steep(), {knob: 1.0}, 3, quietly).rounds
    assert badness(second) > badness(first) > badness(third)
    assert third.values[knob] == pytest.approx((first.values[knob] * second.values[knob]) ** 0.5)
    assert best == third


@pytest.mark.parametrize(
    ("name", "metric"),
    [("gemm_scale", "tpot_mean"), ("per_step", "tpot_mean"), ("gemm_scale", "ttft_mean"), ("before_request", "ttft_mean")],
)
def test_slopes_say_what_a_second_simulation_has(name, metric):
    points = [point for point in measured_points() if point.point_id.endswith("llama-3.1-8b/h100_sxm/6")]
    (knob,) = knobs_for([], [name])
    now = TRUTH[name]
    with runs(prepare(points).experiments, points, (knob,), "vllm-0.15") as measured:
        before, after = ({row.metric: row for row in measured.rows({knob: value}, quietly)} for value in (now, 1.05 * now))
    assert before[metric].slopes[0] > 0.05
    assert after[metric].error - before[metric].error == pytest.approx(before[metric].slopes[0] * log(1.05), rel=0.3)


def test_two_steps_along_the_slopes_are_most_of_the_way(fitted):
    found, _ = fitted
    first, third = found.rounds[0], found.rounds[2]
    assert badness(third) < badness(first) / 20


def test_what_runs_do_not_tell_stays_the_bases():
    point = next(point for point in measured_points() if point.point_id.endswith("llama-3.1-8b/h100_sxm/6"))
    prepared, knobs = prepare([point]), knobs_for(["Hopper"])
    start = start_values(knobs, {architecture: load_engine("vllm-0.15", architecture) for architecture in ("", "Hopper")})
    with runs(prepared.experiments, [point], knobs, "vllm-0.15") as measured:
        found = fit_engine(measured, start, 4, quietly)
    untold = {knob.name for knob in found.untold}
    assert {"experts_scale", "expert_skew", "all_reduce_fixed"} <= untold
    assert not untold & {"gemm_scale", "per_step", "before_request"}
    assert found.values.keys() == found.spreads.keys() == set(knobs) - set(found.untold)
    assert max(abs(row.error) for row in found.rows if row.metric == "tpot_mean") < 0.03


def test_two_that_cannot_be_told_apart_are_both_turned_and_both_marked():
    first, second = (each._replace(prior=1.0, spread=0.1) for each in knobs_for([], ["gemm_scale", "experts_scale"]))
    third = knobs_for([], ["expert_skew"])[0]

    class Alike:
        knobs, failed = (first, second, third), {}

        def rows(self, values, progress):
            error = log(values[first] * values[second]) - 0.1
            return [Row("p", Of("m on 1 x g", "m", "g"), "tpot_mean", error, (1.0, 1.0, 0.001)[: len(values)])]

    found = fit_engine(Alike(), {first: 1.0, second: 1.0, third: 0.4}, 4, quietly)
    assert found.untold == (third,)
    assert found.values[first] == pytest.approx(found.values[second])
    assert found.values[first] > 1.03
    assert found.believed(0.5**0.5) == [first, second]


def test_all_knobs_are_turned_where_they_are_asked_for(tmp_path):
    point = next(point for point in measured_points() if point.point_id.endswith("llama-3.1-8b/h100_sxm/1"))
    knobs = knobs_for([], ["experts_scale", "per_step"])
    start = start_values(knobs, {"": load_engine("vllm-0.15")})
    with runs(prepare([point]).experiments, [point], knobs, "vllm-0.15") as measured:
        found = fit_engine(measured, start, 2, quietly, all_knobs=True)
        with pytest.raises(FitError, match="these runs tell no number of a profile"):
            fit_engine(Runs(measured.experiments, [point], (), knobs[:1], "vllm-0.15"), {knobs[0]: 1.0}, 2, quietly)
    assert [knob.name for knob in found.believed(0.9)] == ["experts_scale"]
    write_engine(found, load_engine("vllm-0.15"), tmp_path / "mine.toml", "my own runs", "2026-11")
    assert read_engine(tmp_path / "mine.toml").experts_scale == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize(("error", "text"), [(0.034, "+- 3 %"), (0.2, "+- 20 %"), (0.6, "×/÷ 1.8")])
def test_what_is_known_badly_is_known_to_a_factor(error, text):
    assert give_or_take(error) == text


def test_what_lies_before_the_engine_slows_no_token(fitted):
    found, _ = fitted
    place = [knob.name for knob in found.knobs].index("before_request")
    assert {row.slopes[place] for row in found.rows if row.metric == "tpot_mean"} == {0}


def test_left_out_runs_are_predicted_from_the_others(fitted):
    found, validation = fitted
    assert set(validation.rows["model"]) == {"llama-3.1-8b", "qwen2.5-14b"}
    assert {row.point_id for row in validation.rows["gpu"]["a100_sxm"]} == {row.point_id for row in found.rows if "a100" in row.point_id}
    assert max(abs(expm1(row.error)) for row in validation.of("model")) < 0.05


def test_what_is_left_out_has_no_say(fitted):
    found, _ = fitted
    last = found.rounds[-1]
    spoiled = [row._replace(error=1.0) if "a100" in row.point_id else row for row in last.rows]
    bad = {row.point_id for row in spoiled if "a100" in row.point_id}
    assert without(Round(last.values, spoiled), bad) == without(last, bad)


def test_a_written_profile_reads_back_with_its_sources(fitted, tmp_path):
    found, _ = fitted
    write_engine(found, load_engine("vllm-0.15"), tmp_path / "mine.toml", "my own runs", "2026-11")
    mine = read_engine(tmp_path / "mine.toml", "Hopper")
    assert mine.per_step == pytest.approx(TRUTH["per_step"], rel=0.05)
    assert mine.sources["per_step"].source.startswith("my own runs; ×/÷ 1.")
    assert (mine.scheduler, mine.attention_fixed) == ("vllm-v1", load_engine("vllm-0.15").attention_fixed)


def test_a_number_that_no_run_can_tell_is_refused():
    with pytest.raises(FitError, match=r"no number of a profile is called 'gem_scale'.*did you mean gemm_scale"):
        knobs_for(["Hopper"], ["gem_scale"])


def test_a_number_of_one_architecture_takes_the_place_of_the_plain_one():
    plain, own = knobs_for(["Hopper"], ["gemm_scale", "on.Hopper.gemm_scale"])
    profile = load_engine("vllm-0.15")
    assert turned(profile, "Hopper", {own: 0.7, plain: 0.9}).gemm_scale == 0.7
    assert turned(profile, "Ampere", {own: 0.7, plain: 0.9}).gemm_scale == 0.9
    with pytest.raises(FitError, match=r"on\.Blackwell\.gemm_scale"):
        knobs_for(["Hopper"], ["on.Blackwell.gemm_scale"])


def test_many_runs_of_one_model_on_one_machine_say_little_more_than_a_few():
    def worth(number):
        return sum(weight**2 for weight in weights([Row("", Of("a model on 1 x gpu", "a model", "gpu"), "tpot_mean", 0.0, ())] * number))

    assert worth(1) == pytest.approx(0.8)  # errors of 3 % of its own and 1.5 % in common
    assert worth(1) < worth(4) < worth(1000) < (SPREADS["tpot_mean"] / KIN) ** 2
    one_each = [Row("", Of(f"model {number} on 1 x gpu", f"model {number}", "gpu"), "tpot_mean", 0.0, ()) for number in range(4)]
    assert sum(weight**2 for weight in weights(one_each)) == pytest.approx(4 * worth(1))


def test_an_offline_batch_tells_by_its_throughput():
    """Slower steps, fewer tokens: the slope has the other sign than that of TPOT."""
    how = {
        "engine": "vLLM",
        "engine_version": "0.15",
        "kind": "offline_throughput",
        "num_requests": 40,
        "input_mean": 200,
        "output_mean": 50,
    }
    point = Point("b", "llama-3.1-8b", "h100_sxm", {"output_tokens_per_s": 1.0}, **how)
    prepared = prepare([point])
    was = predict(prepared.experiments)["b"].figures["output_tokens_per_s"]
    (knob,) = knobs_for([], ["gemm_scale"])
    now = load_engine("vllm-0.15", "Hopper").gemm_scale
    with runs(prepared.experiments, [replace(point, measured={"output_tokens_per_s": was / 1.1})], (knob,), "vllm-0.15") as measured:
        (row,), (slower,) = (measured.rows({knob: value}, quietly) for value in (now, 1.02 * now))
    assert (row.metric, expm1(row.error)) == ("output_tokens_per_s", pytest.approx(0.1))
    assert row.slopes[0] < 0
    assert slower.error - row.error == pytest.approx(row.slopes[0] * log(1.02), rel=0.3)


def test_a_figure_that_was_measured_as_0_is_no_row_of_a_fit():
    point = measured_points()[0]
    (knob,) = knobs_for([], ["gemm_scale"])
    spoiled = replace(point, measured={**point.measured, "ttft_mean": 0.0})
    with runs(prepare([spoiled]).experiments, [spoiled], (knob,), "vllm-0.15") as measured:
        assert {row.metric for row in measured.rows({knob: 1.0}, quietly)} == {"tpot_mean", "ttft_p90"}


def test_a_number_that_is_named_twice_is_fitted_once():
    assert knobs_for(["Hopper"], ["gemm_scale", "per_step", "gemm_scale"]) == knobs_for(["Hopper"], ["gemm_scale", "per_step"])
    assert len(knobs_for(["Hopper"], ["attention_memory", "on.Hopper.attention_memory"])) == 1


def test_a_number_that_is_like_none_is_told_all_that_there_are():
    with pytest.raises(FitError, match=r"'zzz'.*known are all_reduce_fixed, attention_fixed, .*, unpacking_scale$"):
        knobs_for(["Hopper"], ["zzz"])


@pytest.mark.parametrize("text", ["two\nlines, a\ttab", 'a "quote" and a \\', "a bell \a and a DEL \x7f", "Grüße, 東京"])
def test_any_text_is_read_back_as_it_was_written(text):
    assert tomllib.loads(f"text = {quoted(text)}") == {"text": text}


def test_steps_are_left_out_with_their_own_accelerator_and_no_other():
    """`l4` is in `l40s`, and a model's name in that of a larger one."""
    on = {"l4": Of("decode steps of m on 1 x l4", "m", "l4"), "l40s": Of("decode steps of m on 1 x l40s", "m", "l40s")}
    (knob,) = knobs_for([], ["gemm_scale"])
    rows = [Row(gpu, of._replace(kind=gpu), "tpot_mean", 0.0, (1.0,)) for gpu, of in on.items()]
    steps = [Row(of.kind, of, STEP, 0.1 if gpu == "l40s" else -0.1, (1.0,)) for gpu, of in on.items()]

    asked = []

    class Measured:
        def rows(self, values, progress, only):
            asked.append(values[knob])
            return rows + steps

    fit = EngineFit((knob,), [Round({knob: 1.0}, rows + steps)], {knob: 0.1}, {})
    left_out_rows(fit, Measured(), "gpu", "l4", quietly)
    assert asked[0] == without(Round({knob: 1.0}, [rows[1], steps[1]]), set())[knob] < 1


def test_clients_give_up_in_a_fit_when_they_do_in_a_validation():
    how = {"stage_durations_s": "[20]", "input_mean": 2000.0, "output_mean": 100.0, "engine": "vLLM", "engine_version": "0.15", "tp": 1.0}
    point = Point("p", "llama-3.1-8b", "h100_sxm", {"ttft_mean": 1.0}, stage_rates_rps="[30]", client_timeout_s=12.0, **how)
    prepared = prepare([point])
    (knob,) = knobs_for([], ["gemm_scale"])
    now = load_engine("vllm-0.15", "Hopper").gemm_scale
    with runs(prepared.experiments, [point], (knob,), "vllm-0.15") as measured:
        (row,) = measured.rows({knob: now}, quietly)
    assert exp(row.error) == pytest.approx(predict(prepared.experiments)["p"].figures["ttft_mean"])


def test_a_journal_that_is_no_text_is_started_afresh(tmp_path):
    file = tmp_path / "finished.jsonl"
    file.write_bytes(b"\xff\xfe not ours\n")
    journal = Journal(file)
    journal.close()
    assert journal.predictions == {}
    assert len(read_lines(file)) == 1
