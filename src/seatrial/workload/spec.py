"""The `workload:` part of a scenario that is generated from parameters: what may be said, checked at the door."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from seatrial.core.door import sentence
from seatrial.core.errors import ScenarioError


class Spec(BaseModel):
    """Unknown keys, NaN, infinities and texts in place of numbers are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-3 (no dot) as a text; people mean the number."""
    if isinstance(value, str) and "e" in value.lower():
        try:
            return float(value)
        except ValueError:
            return value
    return value


Number = Annotated[float, BeforeValidator(_number)]
Positive = Annotated[Number, Field(gt=0)]
NonNegative = Annotated[Number, Field(ge=0)]
Rate = Annotated[Number, Field(ge=1e-6, le=1e6)]  # requests per second
Variation = Annotated[Number, Field(gt=0, le=100)]  # a coefficient of variation, standard deviation / mean


# Arrivals


class Poisson(Spec):
    process: Literal["poisson"]
    rate: Rate


class Gamma(Spec):
    """Independent gamma gaps; `cv` is theirs: 1 is Poisson, above is burstier."""

    process: Literal["gamma"]
    rate: Rate
    cv: Variation


class Weibull(Spec):
    process: Literal["weibull"]
    rate: Rate
    cv: Variation


class Constant(Spec):
    process: Literal["constant"]
    rate: Rate


class OnOff(Spec):
    """Poisson at `rate_on` and `rate_off` in turn, for exponential times of mean `mean_on` and `mean_off` seconds."""

    process: Literal["on-off"]
    rate_on: Rate
    rate_off: NonNegative = 0.0
    mean_on: Positive
    mean_off: Positive

    @model_validator(mode="after")
    def _on_is_above_off(self) -> Self:
        if self.rate_off >= self.rate_on:
            raise ValueError(f"rate_off must be below rate_on, not {self.rate_off:g} against {self.rate_on:g}")
        return self


class Diurnal(Spec):
    """Poisson at `rate * (1 + amplitude * sin(2 pi (t - phase) / period))`; `phase` in seconds is where it rises through the mean."""

    process: Literal["diurnal"]
    rate: Rate
    amplitude: Annotated[Number, Field(ge=0, le=1)]
    period: Positive = 86400.0
    phase: Number = 0.0


class WindowedGamma(Spec):
    """Gamma gaps whose rate and CV are drawn anew for each window, BurstGPT's way (arXiv 2401.17644).

    Rates are lognormal with mean `rate` and CV `rate_cv`, the CVs of the gaps lognormal with mean `cv` and CV `cv_spread`.
    """

    process: Literal["windowed-gamma"]
    rate: Rate
    cv: Variation
    window: Annotated[Number, Field(ge=1e-3)] = 1200.0
    rate_cv: Annotated[Number, Field(ge=0, le=10)]
    cv_spread: Annotated[Number, Field(ge=0, le=10)] = 0.0


ArrivalProcess = Annotated[Poisson | Gamma | Weibull | Constant | OnOff | Diurnal | WindowedGamma, Field(discriminator="process")]


# Lengths (tokens) and times (seconds)


class Fixed(Spec):
    distribution: Literal["fixed"]
    value: NonNegative


class Bounded(Spec):
    """What is drawn below `min` or above `max` becomes `min` or `max`."""

    min: NonNegative = 0.0
    max: NonNegative | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"max must be at least min, not {self.max:g} against {self.min:g}")
        return self


class Uniform(Bounded):
    """From `min` to `max`, both included; whole numbers where tokens are meant."""

    distribution: Literal["uniform"]
    min: NonNegative
    max: NonNegative


class Lognormal(Bounded):
    """By mean and CV before clipping."""

    distribution: Literal["lognormal"]
    mean: Positive
    cv: Variation


class GammaLength(Bounded):
    """By mean and CV before clipping."""

    distribution: Literal["gamma"]
    mean: Positive
    cv: Variation


class Empirical(Spec):
    """Either `values`, drawn with `weights` (equal if absent), or `quantiles` at equal steps from 0 to 1, straight in between."""

    distribution: Literal["empirical"]
    values: Annotated[list[NonNegative], Field(min_length=1)] | None = None
    weights: Annotated[list[NonNegative], Field(min_length=1)] | None = None
    quantiles: Annotated[list[NonNegative], Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.values is None) == (self.quantiles is None):
            raise ValueError("an empirical distribution needs either 'values' (with 'weights' or without) or 'quantiles'")
        if self.weights is not None and (self.values is None or len(self.weights) != len(self.values)):
            raise ValueError(f"{len(self.weights)} weights for {len(self.values or ())} values; give one for each")
        if self.weights is not None and sum(self.weights) <= 0:
            raise ValueError("the weights add up to 0; at least one must be above")
        if self.quantiles is not None and sorted(self.quantiles) != self.quantiles:
            raise ValueError("the quantiles must not fall: from the least length to the greatest")
        return self


Distribution = Annotated[Fixed | Uniform | Lognormal | GammaLength | Empirical, Field(discriminator="distribution")]


# The whole


class Sessions(Spec):
    """Arrivals start sessions; each further turn comes `think_time` seconds after the answer to the one before.

    With `carry_context` a turn's prompt is the conversation so far (all prompts and answers) and the new input.
    """

    turns: Distribution
    think_time: Distribution
    carry_context: bool = True


class ClosedLoopSpec(Spec):
    """As many users as `concurrency`; each asks again `think_time` seconds after the answer."""

    concurrency: Annotated[int, Field(ge=1, le=1_000_000)]
    think_time: Annotated[Number, Field(ge=0, le=1e8)] = 0.0


class WorkloadSpec(Spec):
    """Exactly one of `num_requests` and `duration` (seconds), and exactly one of `arrivals` and `closed_loop`.

    `timeout` is how many seconds a client waits for the whole answer.
    `correlation` is the rank correlation of input and output (of what is drawn: without carried context).
    """

    num_requests: Annotated[int, Field(ge=1, le=10**12)] | None = None
    duration: Positive | None = None
    arrivals: ArrivalProcess | None = None
    closed_loop: ClosedLoopSpec | None = None
    input: Distribution
    output: Distribution
    correlation: Annotated[Number, Field(ge=-1, le=1)] = 0.0
    sessions: Sessions | None = None
    timeout: Positive | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.num_requests is None) == (self.duration is None):
            raise ValueError("give exactly one of 'num_requests' and 'duration'")
        if (self.arrivals is None) == (self.closed_loop is None):
            raise ValueError("give exactly one of 'arrivals' and 'closed_loop'")
        if self.sessions is not None and self.closed_loop is not None:
            raise ValueError("'sessions' need 'arrivals' that start them; a 'closed_loop' has none")
        return self


class WorkloadFragment(Spec):
    """A file that holds a workload and nothing else, as `describe --fit` writes it."""

    workload: WorkloadSpec


def read_spec(workload: object, where: str) -> WorkloadSpec:
    """Check what stands under `workload:` in the file that `where` names; a ScenarioError says what is wrong."""
    try:
        return WorkloadFragment.model_validate({"workload": workload}).workload
    except ValidationError as error:
        raise ScenarioError(sentence(error, where, WorkloadFragment)) from None


def six_digits(value: float) -> float:
    """A number as a fitted spec holds it: more digits than any trace tells help nobody."""
    return float(f"{value:.6g}")
