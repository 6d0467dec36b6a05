"""Single measured steps as rows of a fit: each kind of step is one, so that thousands of one run do not drown whole runs."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from math import log
from statistics import median

from seatrial.catalog import load_engine
from seatrial.core.engine_profile import EngineProfile
from seatrial.fit.knobs import Knob, Values, turned
from seatrial.fit.rows import STEP, Of, Row
from seatrial.fit.slopes import NUDGE, cost_of
from seatrial.trial.setup import ReplicaCost, ReplicaSetup
from seatrial.validate.steps import MeasuredStep, system_text, validate_steps
from seatrial.validate.system import System

Turned = Callable[[str], EngineProfile]  # the profile on an architecture


def step_rows(steps: Sequence[MeasuredStep], engines: frozenset[str], knobs: Sequence[Knob], base: str, values: Values) -> list[Row]:
    """A row for each system and phase: the median of the errors of its steps. `engines` are the engines and versions that count."""

    def under(chosen: Values) -> Turned:
        return lambda architecture: turned(load_engine(base, architecture), architecture, chosen)

    now = times(steps, under(values))
    follow = [times(steps, under({**values, knob: values[knob] * (1 + NUDGE)})) for knob in knobs]
    rows = []
    for kind, pairs in now.items():
        engine, of = kind
        if engine not in engines:
            continue
        predicted = [pair[0] for pair in pairs]
        slopes = [median(log(then / before) for (then, _), before in zip(nudged[kind], predicted)) / log(1 + NUDGE) for nudged in follow]
        rows.append(Row(of.kind, of, STEP, median(log(ours / theirs) for ours, theirs in pairs), tuple(slopes)))
    return rows


def times(steps: Sequence[MeasuredStep], profile: Turned) -> dict[tuple[str, Of], list[tuple[float, float]]]:
    """Predicted and measured seconds, by engine and kind of step."""

    def cost(setup: ReplicaSetup, system: System) -> ReplicaCost:
        return setup.cost if setup.profile is None else cost_of(setup, profile(setup.accelerator.architecture))

    found = defaultdict(list)
    for compared in validate_steps(steps, cost=cost).steps:
        if compared.step_time.actual > 0:
            system = compared.system
            of = Of(f"{compared.step.phase} steps of {system_text(system)}", system.model, system.pool.accelerator)
            found[system.engine, of].append((compared.step_time.predicted, compared.step_time.actual))
    return dict(found)
