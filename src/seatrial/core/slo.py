"""A service-level objective: what each request is promised, and at which quantile it must hold."""

from dataclasses import dataclass

from seatrial.core.errors import ScenarioError, nearest

METRICS = ("ttft", "tpot", "itl", "e2e", "queue")


@dataclass(frozen=True, slots=True)
class Target:
    """`metric` at `quantile` (0.9 for p90; None for the mean) is at most `seconds`."""

    metric: str
    quantile: float | None
    seconds: float

    @property
    def name(self) -> str:
        return f"{self.metric}:{'mean' if self.quantile is None else f'p{100 * self.quantile:g}'}"


@dataclass(frozen=True, slots=True)
class SLO:
    """A few targets that hold together."""

    targets: tuple[Target, ...]

    @classmethod
    def parse(cls, text: str) -> "SLO":
        """Read `ttft:p90=0.5,itl:p99=0.1` (seconds; `:mean` for the mean; p90 where no quantile is given)."""
        targets = tuple(_target(part.strip(), text) for part in text.split(","))
        seen: set[tuple[str, float | None]] = set()
        for target in targets:
            if (target.metric, target.quantile) in seen:
                raise ScenarioError(f"SLO {text!r}: {target.name} has two limits; leave one")
            seen.add((target.metric, target.quantile))
        return cls(targets)

    def __str__(self) -> str:
        return ",".join(f"{t.name}={t.seconds:g}" for t in self.targets)


def _target(part: str, text: str) -> Target:
    name, equals, limit = part.partition("=")
    metric, _, quantile = name.partition(":")
    if not equals:
        raise ScenarioError(f"SLO {text!r}: {part!r} has no limit; write METRIC:QUANTILE=SECONDS, like ttft:p90=0.5")
    if metric not in METRICS:
        raise ScenarioError(f"SLO {text!r}: no metric {metric!r}; {nearest(metric, METRICS)}")
    return Target(metric, _quantile(quantile or "p90", text), _seconds(limit, text))


def _quantile(word: str, text: str) -> float | None:
    if word == "mean":
        return None
    try:
        value = float(word.removeprefix("p"))
    except ValueError:
        value = -1.0
    if not (word.startswith("p") and 0 < value <= 100):
        raise ScenarioError(f"SLO {text!r}: {word!r} is not a quantile; write p50, p90, p99.9 or mean")
    return value / 100


def _seconds(word: str, text: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise ScenarioError(f"SLO {text!r}: {word!r} is not a number of seconds above zero, like 0.5")
    return value
