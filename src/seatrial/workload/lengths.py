"""How long prompts and answers are: each distribution as a function of uniform numbers, and two that go together."""

from collections.abc import Callable
from math import log, log1p, pi, sin, sqrt

import numpy as np
from numpy.typing import NDArray

from seatrial.workload.spec import Bounded, Distribution, Empirical, Fixed, GammaLength, Lognormal, Uniform
from seatrial.workload.streams import Floats, normal_scores, uniforms

Law = Callable[[Floats], Floats]  # the value at each probability
Tokens = NDArray[np.int64]


def value_law(distribution: Distribution) -> Law:
    """The quantile function; of seconds, say."""
    law = _unbounded(distribution)
    if isinstance(distribution, Bounded) and not isinstance(distribution, Uniform):
        low, high = distribution.min, distribution.max
        return lambda u: np.clip(law(u), low, high)
    return law


def token_law(distribution: Distribution) -> Callable[[Floats], Tokens]:
    """The same in whole tokens, at least one: rounded, or each whole number alike where the distribution is uniform."""
    if isinstance(distribution, Uniform):
        low, high = max(1, round(distribution.min)), max(1, round(distribution.max))
        return lambda u: (low + np.floor(u * (high - low + 1))).astype(np.int64)
    law = value_law(distribution)
    # 2^53 is where a float stops to count; no length of this world comes near
    return lambda u: np.clip(np.rint(law(u)), 1, 2.0**53).astype(np.int64)


def _unbounded(distribution: Distribution) -> Law:
    match distribution:
        case Fixed(value=value):
            return lambda u: np.full(len(u), value)
        case Uniform(min=low, max=high):
            return lambda u: low + u * ((low if high is None else high) - low)
        case Lognormal(mean=mean, cv=cv):
            sigma = sqrt(log1p(cv * cv))
            mu = log(mean) - sigma * sigma / 2
            return lambda u: np.exp(mu + sigma * normal_scores(u))
        case GammaLength(mean=mean, cv=cv):
            unit = unit_gamma_law(cv)
            return lambda u: mean * unit(u)
        case Empirical():
            return _empirical_law(distribution)


def _empirical_law(distribution: Empirical) -> Law:
    if distribution.quantiles is not None:
        quantiles = np.array(distribution.quantiles)
        steps = np.linspace(0, 1, len(quantiles))
        return lambda u: np.interp(u, steps, quantiles)
    values = np.array(distribution.values)
    weights = np.ones(len(values)) if distribution.weights is None else np.array(distribution.weights)
    shares = np.cumsum(weights[weights > 0])
    edges = shares[:-1] / shares[-1]
    kept = values[weights > 0]
    return lambda u: kept[np.searchsorted(edges, u, side="right")]


def unit_gamma_law(cv: float) -> Law:
    """Quantiles of the gamma distribution with mean 1.

    Read from a table of logarithms over normal scores, where they are nearly straight: many times as fast, and within 1e-5 of the exact
    value up to a CV of 2 (0.4 % up to 100, in the far low tail).
    """
    scores = np.linspace(-8.4, 8.4, 4097)  # beyond what a uniform number of 53 bits can reach
    table = np.log(np.maximum(_unit_gamma_at(cv, scores), 1e-300))
    return lambda u: np.exp(np.interp(normal_scores(u), scores, table))


def unit_gamma_quantiles(cv: float, u: Floats) -> Floats:
    """The same without a table, for a few."""
    return _unit_gamma_at(cv, normal_scores(u))


def _unit_gamma_at(cv: float, scores: Floats) -> Floats:
    """At normal scores; the far tail from its own side, so that it does not lose its digits."""
    from scipy.special import gammainccinv, gammaincinv, ndtr  # here, as its import takes longer than most runs without a gamma law

    shape, far = cv**-2, scores > 3
    at = np.empty_like(scores)
    at[~far] = gammaincinv(shape, ndtr(scores[~far]))
    at[far] = gammainccinv(shape, ndtr(-scores[far]))  # ten times as slow
    return at / shape


class LengthPairs:
    """Prompt and answer lengths of requests `start` up to `start + count`, as often and in such pieces as one likes."""

    def __init__(self, input: Distribution, output: Distribution, correlation: float, seed: int):
        self._input, self._output = token_law(input), token_law(output)
        self._correlation = correlation
        self._seed = seed

    def at(self, start: int, count: int) -> tuple[Tokens, Tokens]:
        first = uniforms(self._seed, "input", start, count)
        second = uniforms(self._seed, "output", start, count)
        if self._correlation:
            second = correlated(first, second, self._correlation)
        return self._input(first), self._output(second)


def correlated(first: Floats, second: Floats, rank_correlation: float) -> Floats:
    """`second` made to go with `first` by a Gaussian copula; it stays uniform, and `first` is left alone.

    Spearman's rho of two normals is `6 / pi * asin(r / 2)`.
    """
    from scipy.special import ndtr  # here, as its import takes longer than most uncorrelated runs

    r = 2 * sin(pi / 6 * rank_correlation)
    mixed = r * normal_scores(first) + sqrt(max(0.0, 1 - r * r)) * normal_scores(second)
    uniform: Floats = ndtr(mixed)
    return np.clip(uniform, 2.0**-54, 1 - 2.0**-53)


def mean_tokens(distribution: Distribution) -> float:
    """The mean after clipping and rounding, to about one part in a thousand."""
    return float(token_law(distribution)((np.arange(16384) + 0.5) / 16384).mean())
