"""What we predict for measured points. A fit calls this in a loop: replicas and requests are made once, only the cost changes."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from math import isfinite
from typing import NamedTuple

from seatrial.core.errors import SeatrialError
from seatrial.core.record import EngineTotals
from seatrial.trial.setup import ReplicaCost, ReplicaSetup, resolve_pool
from seatrial.validate.experiment import Experiment
from seatrial.validate.observe import Reading, observe
from seatrial.validate.requests import Phase, phases_of
from seatrial.validate.system import System
from seatrial.validate.traffic import Traffic

CostOf = Callable[[ReplicaSetup, System], ReplicaCost]


class Prediction(NamedTuple):
    """Of one point: its figures in seconds and per second, or why there are none."""

    point_id: str
    figures: dict[str, float]
    num_completed: int = 0
    reason: str = ""
    provenance: str = ""


def predict(experiments: Iterable[Experiment], cost: CostOf | None = None) -> dict[str, Prediction]:
    """The prediction of every point of these experiments, in this process.

    `cost` makes the cost of a replica; None for the replica's own.
    """
    return {prediction.point_id: prediction for experiment in experiments for prediction in predict_one(experiment, cost)}


def predict_one(experiment: Experiment, cost: CostOf | None = None) -> list[Prediction]:
    """All points that one run answers."""
    try:
        setup, phases = setup_of(experiment.system), requests_of(experiment.traffic, experiment.seed)
        used = setup.cost if cost is None else cost(setup, experiment.system)
        seen = observe(setup, phases, used, experiment.client_timeout)
    except SeatrialError as reason:
        return [Prediction(point_id, {}, reason=str(reason)) for point_id, _ in experiment.windows]
    predictions, known = [], provenance(used, seen.totals)
    for point_id, window in experiment.windows:
        try:
            reading = Reading(seen, window)
        except SeatrialError as reason:
            predictions.append(Prediction(point_id, {}, reason=str(reason)))
            continue
        figures = {name: value for name, value in reading.items() if isfinite(value)}
        predictions.append(Prediction(point_id, figures, reading.num_completed, provenance=known))
    return predictions


def provenance(cost: ReplicaCost, totals: EngineTotals) -> str:
    """What the times of a run's steps rest on: a class of docs/cost.md, or `affine` where they are prices per token."""
    known = cost.run_provenance(totals)
    return known.provenance if known else "affine"


@lru_cache(maxsize=512)
def setup_of(system: System) -> ReplicaSetup:
    return resolve_pool(system.model, system.pool)


@lru_cache(maxsize=128)
def requests_of(traffic: Traffic, seed: int) -> list[Phase]:
    return phases_of(traffic, seed)
