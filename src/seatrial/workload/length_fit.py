"""Which length distribution fits what was seen: the criterion, and parameters that keep the mean and the CV."""

from dataclasses import dataclass
from math import log1p, sqrt

import numpy as np
from scipy.special import gammainc, ndtr

from seatrial.workload.lengths import mean_tokens
from seatrial.workload.spec import Distribution, Empirical, Fixed, GammaLength, Lognormal, six_digits
from seatrial.workload.streams import Floats
from seatrial.workload.tally import LengthTally


@dataclass(frozen=True, slots=True)
class LengthFit:
    """The length distribution that fits best, why, and for each law its AIC and its Kolmogorov-Smirnov distance."""

    best: Distribution
    criterion: str
    aic: dict[str, float]
    distance: dict[str, float]


def fit_length(lengths: LengthTally) -> LengthFit:
    """Lognormal or gamma, by AIC, if its distance is at most 5 % and clipping leaves its mean; else what was seen."""
    if len(lengths.values) == 1:
        return LengthFit(Fixed(distribution="fixed", value=float(lengths.values[0])), "there is but one length", {}, {})
    mean, cv = lengths.mean, lengths.cv
    # a length of n stands for all from n - 1/2 to n + 1/2, and 1 for all below as well
    upper_edges = np.maximum(lengths.values, 1) + 0.5
    lower_edges = np.where(lengths.values <= 1, 0.0, lengths.values - 0.5)
    seen = np.cumsum(lengths.counts) / lengths.num
    aic, distance = {}, {}
    for name, law in (("lognormal", _lognormal), ("gamma", _gamma)):
        upper, lower = law(upper_edges, mean, cv), law(lower_edges, mean, cv)
        aic[name] = 4 - 2 * float(lengths.counts @ np.log(np.maximum(upper - lower, 1e-300)))
        distance[name] = float(np.maximum(np.abs(seen - upper), np.abs(seen - lengths.counts / lengths.num - lower)).max())
    name = min(aic, key=lambda name: aic[name])
    best = _bounded(name, lengths)
    if distance[name] <= 0.05 and abs(mean_tokens(best) / mean - 1) < 0.02:
        return LengthFit(best, f"{name} has the least AIC, and a distance of {distance[name]:.3f}", aic, distance)
    why = f"{name} has the least AIC, but a distance of {distance[name]:.3f} (above 0.05) or another mean once clipped: kept as seen"
    return LengthFit(_seen(lengths), why, aic, distance)


def _lognormal(x: Floats, mean: float, cv: float) -> Floats:
    sigma = sqrt(log1p(cv * cv))
    below: Floats = ndtr((np.log(np.maximum(x, 1e-9) / mean) + sigma * sigma / 2) / sigma)
    return below


def _gamma(x: Floats, mean: float, cv: float) -> Floats:
    below: Floats = gammainc(cv**-2, x / (mean * cv * cv))
    return below


def _bounded(name: str, lengths: LengthTally) -> Distribution:
    mean, cv = six_digits(lengths.mean), six_digits(min(100.0, lengths.cv))
    low, high = max(1.0, float(lengths.values[0])), max(1.0, float(lengths.values[-1]))
    if name == "lognormal":
        return Lognormal(distribution="lognormal", mean=mean, cv=cv, min=low, max=high)
    return GammaLength(distribution="gamma", mean=mean, cv=cv, min=low, max=high)


def _seen(lengths: LengthTally) -> Empirical:
    """Every length where they are few; else the means of hundredths, and of thousandths in the last, which keep mean and tail."""
    if len(lengths.values) <= 128:
        return Empirical(distribution="empirical", values=[float(v) for v in lengths.values], weights=[float(c) for c in lengths.counts])
    shares = np.concatenate([np.arange(99) / 100, np.arange(990, 1001) / 1000])
    ranks = shares * lengths.num
    upto = np.concatenate([[0], np.cumsum(lengths.counts)])
    sums = np.interp(ranks, upto, np.concatenate([[0], np.cumsum(lengths.counts * lengths.values)]))
    means = np.diff(sums) / np.diff(ranks)
    return Empirical(distribution="empirical", values=np.round(means, 1).tolist(), weights=[10.0] * 99 + [1.0] * 10)
