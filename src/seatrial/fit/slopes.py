"""How a run's figures follow a profile's numbers, from its typical steps: what no second simulation is needed for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seatrial.core.engine_profile import EngineProfile
from seatrial.cost import RooflineCost
from seatrial.cost.run import TypicalStep
from seatrial.trial.setup import ReplicaSetup

NUDGE = 1e-3
CROWDING = 0.05  # share of more decodes, to see how a step follows their number
MOST_FEEDBACK = 4.0


class Slopes(NamedTuple):
    """The relative change of TPOT and of TTFT by a small relative change of a number."""

    tpot: float
    ttft: float

    def of(self, metric: str) -> float:
        """The throughput of an offline batch falls as its steps get longer."""
        return self.tpot if metric.startswith("tpot") else -self.tpot if metric == "output_tokens_per_s" else self.ttft


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of a run's mean step, of its mean step with prompt work, and outside the engine."""

    step: float
    prompt_step: float
    outside: float


def pace(cost: RooflineCost, steps: Sequence[TypicalStep]) -> Pace:
    times = [cost.step_time(step.batch) for step in steps]
    count = sum(step.num_steps for step in steps)
    return Pace(sum(time * step.num_steps for time, step in zip(times, steps)) / count, times[-1], sum(cost.request_overhead))


class Standing(NamedTuple):
    """Where a run stands under a profile: its typical steps, their pace, and how much more than a step itself TPOT follows it.

    Where requests come by themselves, slower steps leave more of them running, which makes steps slower again:
    `1 / (1 - elasticity of a step in its decodes)` times the effect.
    """

    steps: Sequence[TypicalStep]
    now: Pace
    feedback: float


def standing(cost: RooflineCost, steps: Sequence[TypicalStep], *, is_open: bool) -> Standing:
    now = pace(cost, steps)
    return Standing(steps, now, 1 / max(1 - elasticity(cost, steps, now), 1 / MOST_FEEDBACK) if is_open else 1.0)


def slopes(run: Standing, then: Pace, ttft: float) -> Slopes:
    """By the number that is `NUDGE` larger where the run has the pace `then`; `ttft` is its mean.

    TPOT goes with the mean step. Of TTFT what lies outside the engine goes with that, the rest with the step that computes a prompt.
    """
    now, feedback = run.now, run.feedback
    inside = max(ttft - now.outside, 0.0)
    prompt = (then.prompt_step / now.prompt_step - 1) / NUDGE * feedback
    return Slopes((then.step / now.step - 1) / NUDGE * feedback, (inside * prompt + (then.outside - now.outside) / NUDGE) / ttft)


def elasticity(cost: RooflineCost, steps: Sequence[TypicalStep], now: Pace) -> float:
    """The relative change of the mean step by a relative change of its decodes."""
    num_decodes = steps[0].batch.num_decodes
    if not num_decodes:
        return 0.0
    more = max(1, round(CROWDING * num_decodes))
    return (pace(cost, [crowded(step, more) for step in steps]).step / now.step - 1) / (more / num_decodes)


def crowded(step: TypicalStep, more: int) -> TypicalStep:
    """With so many more decodes that are like the others."""
    batch = step.batch
    growth = 1 + more / batch.num_decodes
    return step._replace(
        batch=batch._replace(
            num_decodes=batch.num_decodes + more,
            num_sampled=batch.num_sampled + more,
            decode_context=round(batch.decode_context * growth),
            window_decode_context=round(batch.window_decode_context * growth),
        )
    )


def cost_of(setup: ReplicaSetup, profile: EngineProfile) -> RooflineCost:
    """The setup's cost under another profile."""
    cost = setup.cost
    assert isinstance(cost, RooflineCost), "an affine cost has no profile"
    return cost.under(profile)
