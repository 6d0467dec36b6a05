"""An engine profile from whole runs: the numbers for which simulated runs come out as measured ones did."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import exp, log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seatrial.catalog import load_engine
from seatrial.core.engine_profile import EngineProfile
from seatrial.core.errors import FitError, SeatrialError
from seatrial.cost.run import typical_steps
from seatrial.fit.knobs import Knob, Values, turned
from seatrial.fit.rows import OFFLINE, ONLINE, SPREADS, Of, Row, weights
from seatrial.fit.slopes import NUDGE, Pace, Standing, cost_of, pace, slopes, standing
from seatrial.fit.step_rows import step_rows
from seatrial.trial.setup import ReplicaSetup
from seatrial.validate.experiment import Experiment
from seatrial.validate.observe import Reading, observe
from seatrial.validate.point import Point
from seatrial.validate.predict import requests_of, setup_of
from seatrial.validate.steps import MeasuredStep, system_text
from seatrial.validate.traffic import Burst, Recorded, Stages
from seatrial.validate.workers import Workers, workers

Matrix = NDArray[np.float64]

ODD = 2.5  # spreads: what is further off counts less and less
LONGEST_STEP = 1.5  # of a knob's logarithm, in one round
UNTOLD = 0.9  # of what is believed anyway: a standard error above this share of it, and the runs have told nothing
MOSTLY_BELIEVED = 0.5**0.5  # where as much comes from the runs as from what is believed


class Round(NamedTuple):
    """What a profile with these values predicts."""

    values: dict[Knob, float]
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class EngineFit:
    """The last round is the fit. `spreads` are standard errors of the logarithms, `failed` the points that could not be run, and why.

    `untold` are the knobs that the runs do not tell, which are as in the base.
    """

    knobs: tuple[Knob, ...]
    rounds: list[Round]
    spreads: dict[Knob, float]
    failed: dict[str, str]
    untold: tuple[Knob, ...] = ()

    def believed(self, share: float) -> list[Knob]:
        """The knobs whose standard error is above this share of what was believed of them before."""
        return [knob for knob in self.knobs if self.spreads[knob] > share * knob.spread]

    @property
    def values(self) -> dict[Knob, float]:
        return self.rounds[-1].values

    @property
    def rows(self) -> list[Row]:
        return self.rounds[-1].rows


Progress = Callable[[float], None]


class Runs:
    """Measured runs that a fit simulates again and again, under `base` with its knobs turned. `failed` fills with what cannot be run."""

    def __init__(
        self,
        experiments: Sequence[Experiment],
        points: Sequence[Point],
        steps: Sequence[MeasuredStep],
        knobs: tuple[Knob, ...],
        base: str,
        pool: Workers | None = None,
    ) -> None:
        self.base = base
        self.experiments = sorted(experiments, key=lambda each: each.effort, reverse=True)
        self.points = {point.point_id: point for point in points}
        self.knobs = knobs
        self.pool = pool
        self.steps = tuple(steps)
        self.engines = frozenset(each.system.engine for each in experiments)
        self.failed: dict[str, str] = {}

    def rows(self, values: Values, progress: Progress, only: Callable[[Experiment], bool] = lambda _: True) -> list[Row]:
        """Every fitted figure of the runs under these values."""
        chosen = [each for each in self.experiments if only(each)]
        measured = {name: point.measured for name, point in self.points.items()}
        work = partial(rows_of, measured=measured, knobs=self.knobs, base=self.base, values=dict(values))
        found: list[Row] = []
        outcomes: dict[int, list[Row] | str] = {}
        for place, outcome in self.pool.run(work, chosen) if self.pool else enumerate(map(work, chosen)):
            progress(chosen[place].effort)
            outcomes[place] = outcome
        for place, experiment in enumerate(chosen):  # in their order, so that sums come out the same whoever was first
            outcome = outcomes[place]
            if isinstance(outcome, str):
                self.failed.update((point_id, outcome) for point_id, _ in experiment.windows)
            else:
                found += outcome
        if not found:
            raise FitError("none of these points has a figure to fit; give points with ttft_mean_ms or tpot_mean_ms that can be simulated")
        return found + self.step_rows(values)

    def step_rows(self, values: Values) -> list[Row]:
        return step_rows(self.steps, self.engines, self.knobs, self.base, values) if self.steps else []


@contextmanager
def runs(
    experiments: Sequence[Experiment],
    points: Sequence[Point],
    knobs: tuple[Knob, ...],
    base: str,
    *,
    steps: Sequence[MeasuredStep] = (),
    jobs: int = 1,
) -> Iterator[Runs]:
    """Measured runs and single steps, simulated by so many processes."""
    if jobs == 1:
        yield Runs(experiments, points, steps, knobs, base)
        return
    with workers(min(jobs, len(experiments))) as pool:
        yield Runs(experiments, points, steps, knobs, base, pool)


def rows_of(
    experiment: Experiment, measured: Mapping[str, Mapping[str, float]], knobs: tuple[Knob, ...], base: str, values: Values
) -> list[Row] | str:
    """The rows of one run, or why there are none."""
    try:
        setup = setup_of(experiment.system)
        if setup.profile is None:
            return "its cost has no engine profile"
        architecture = setup.accelerator.architecture
        profile = turned(load_engine(base, architecture), architecture, values)
        cost = cost_of(setup, profile)
        seen = observe(setup, requests_of(experiment.traffic, experiment.seed), cost, experiment.client_timeout)
        readings = [(point_id, Reading(seen, window)) for point_id, window in experiment.windows]
    except SeatrialError as reason:
        return str(reason)
    run = standing(cost, typical_steps(seen.totals), is_open=isinstance(experiment.traffic, Stages | Recorded))
    paces = [nudged_pace(setup, profile, knob, values, run) for knob in knobs]
    rows, system = [], experiment.system
    of = Of(system_text(system), system.model, system.pool.accelerator)
    for point_id, reading in readings:
        figures = OFFLINE if isinstance(experiment.traffic, Burst) else ONLINE
        known = [metric for metric in figures if measured[point_id].get(metric, 0) > 0 and reading[metric] > 0]  # 0 has no logarithm
        follow = [slopes(run, then, reading["ttft_mean"]) for then in paces]
        for metric in known:
            of_metric = tuple(each.of(metric) for each in follow)
            rows.append(Row(point_id, of, metric, log(reading[metric] / measured[point_id][metric]), of_metric))
    return rows


def nudged_pace(setup: ReplicaSetup, profile: EngineProfile, knob: Knob, values: Values, run: Standing) -> Pace:
    """The run's pace where the knob is turned a little; as it is, where the knob is another architecture's."""
    architecture = setup.accelerator.architecture
    if knob.architecture not in ("", architecture):
        return run.now
    nudged = turned(profile, architecture, {**values, knob: values[knob] * (1 + NUDGE)})
    return pace(cost_of(setup, nudged), run.steps)


def fit_engine(measured: Runs, start: Values, num_rounds: int, progress: Progress, *, all_knobs: bool = False) -> EngineFit:
    """Gauss and Newton's way, with the priors as further rows: simulate, follow the slopes, and halve a step that made it worse.

    Knobs that turn out to be untold are turned back to what the base says, unless `all_knobs` are asked for.
    """
    values, found = dict(start), []
    best: Round | None = None
    for _ in range(num_rounds):
        tried = Round(values, measured.rows(values, progress))
        if best is None or badness(tried) <= badness(best):
            best = tried
            values = moved(best, step_from(best))
        else:
            values = {knob: (best.values[knob] * tried.values[knob]) ** 0.5 for knob in best.values}
        found.append(tried)
    assert best is not None
    untold = () if all_knobs else untold_knobs(best)
    if untold:
        kept = {knob: value for knob, value in best.values.items() if knob not in untold}
        if not kept:
            raise FitError("these runs tell no number of a profile; give more of them, which differ in load and in model")
        measured.knobs = tuple(kept)
        best = Round(kept, measured.rows(kept, progress))  # the priors have moved the others, if little
    found.append(best)
    return EngineFit(measured.knobs, found, standard_errors(best), measured.failed, untold)


def untold_knobs(tried: Round) -> tuple[Knob, ...]:
    """Those of which the runs would tell nothing even if all others were known.

    Others cannot be told apart: what each of them is believed to be decides how they share what the runs tell of them together.
    """
    rows, _ = equations(tried)
    alone = 1 / np.sqrt((rows**2).sum(axis=0))
    return tuple(knob for knob, error in zip(tried.values, alone.tolist()) if error > UNTOLD * knob.spread)


def badness(tried: Round) -> float:
    """Of errors and of distance from the priors; an odd row counts like its logarithm."""
    errors = np.array([row.error / SPREADS[row.metric] for row in tried.rows])
    shares = np.array(weights(tried.rows)) ** 2
    beliefs = np.array([log(value / knob.prior) / knob.spread for knob, value in tried.values.items()])
    return float((shares * ODD**2 * np.log1p((errors / ODD) ** 2)).sum() + (beliefs**2).sum())


def step_from(tried: Round) -> Matrix:
    """The change of the knobs' logarithms that the slopes promise the least badness for."""
    rows, errors = equations(tried)
    step = np.linalg.lstsq(rows, errors, rcond=None)[0]
    # shortened as a whole: numbers that stand in for another only do so together
    return np.asarray(step) * min(1.0, LONGEST_STEP / max(float(np.abs(step).max()), 1e-12))


def moved(tried: Round, step: Matrix) -> dict[Knob, float]:
    return {knob: min(value * exp(change), knob.most) for (knob, value), change in zip(tried.values.items(), step.tolist())}


def equations(tried: Round) -> tuple[Matrix, Matrix]:
    """Those of a round, which are linear, each in units of its spread: figures first, beliefs last."""
    spreads: Matrix = np.array([SPREADS[row.metric] for row in tried.rows])
    errors = np.array([row.error for row in tried.rows]) / spreads
    trust: Matrix = np.array(weights(tried.rows)) / np.sqrt(1 + (errors / ODD) ** 2)
    figures = np.array([row.slopes for row in tried.rows]) / spreads[:, None]
    beliefs = np.diag([1 / knob.spread for knob in tried.values])
    wanted = np.array([log(knob.prior / value) / knob.spread for knob, value in tried.values.items()])
    return np.vstack([figures * trust[:, None], beliefs]), np.concatenate([-errors * trust, wanted])


def standard_errors(tried: Round) -> dict[Knob, float]:
    rows, _ = equations(tried)
    covariance = np.linalg.inv(rows.T @ rows)
    return dict(zip(tried.values, np.sqrt(np.diag(covariance)).tolist()))


def without(tried: Round, left_out: set[str]) -> dict[Knob, float]:
    """The values that the other points would have given: one step from here, on their rows alone."""
    kept = Round(tried.values, [row for row in tried.rows if row.point_id not in left_out])
    return moved(kept, step_from(kept))
