"""Which arrival process fits what was seen: the criterion, and parameters that keep the mean rate and the CV of the gaps."""

from dataclasses import dataclass
from math import exp, lgamma, sqrt

import numpy as np
from scipy.special import chdtri, gammainc

from seatrial.workload.arrivals import weibull_shape
from seatrial.workload.spec import ArrivalProcess, Constant, Gamma, OnOff, Poisson, Weibull, WindowedGamma, six_digits
from seatrial.workload.streams import Floats
from seatrial.workload.tally import GAP_EDGES, GapTally, WindowGaps

FIT_WINDOW = 30.0  # seconds; windows of the fit are multiples of it
SURE = 0.001  # the chance at which we call a difference real


@dataclass(frozen=True, slots=True)
class ArrivalFit:
    """The arrival process that fits best, why, and the AIC of those that were compared (less is better)."""

    best: ArrivalProcess
    criterion: str
    aic: dict[str, float]


def fit_arrivals(gaps: GapTally, windows: WindowGaps, resolution: float) -> ArrivalFit | None:
    """None where all requests come at once. `resolution` is the step of the clock in seconds, 0 if it is fine."""
    rate, cv = gaps.rate, gaps.cv
    if rate is None or cv is None:
        return None
    rate = six_digits(min(max(rate, 1e-6), 1e6))
    if cv < 0.01:
        return ArrivalFit(Constant(process="constant", rate=rate), "all gaps are equal, within 1 %", {})
    if gaps.num < 20:
        return ArrivalFit(Poisson(process="poisson", rate=rate), f"{gaps.num} gaps are too few to tell a law by; Poisson is assumed", {})
    if is_coarse(resolution, rate):
        return _fit_counts(rate, windows, resolution)
    return _fit_gaps(gaps, rate, min(cv, 100.0), windows, resolution)


def is_coarse(resolution: float, rate: float) -> bool:
    """Whether the clock's step is so long, against the mean gap, that gaps say more about the clock than about the clients."""
    return resolution * rate > 0.1


def _fit_gaps(gaps: GapTally, rate: float, cv: float, windows: WindowGaps, resolution: float) -> ArrivalFit:
    """Gaps counted in bins, so that ties and a clock's resolution, which break densities, do no harm."""
    first = int(np.searchsorted(GAP_EDGES, 5 * resolution))
    edges = GAP_EDGES[first:]
    counts = np.concatenate([[gaps.histogram[: first + 1].sum()], gaps.histogram[first + 1 :]])
    shape = weibull_shape(cv)
    scale = exp(-lgamma(1 + 1 / shape)) / rate
    laws: dict[str, tuple[ArrivalProcess, Floats, int]] = {
        "poisson": (Poisson(process="poisson", rate=rate), -np.expm1(-rate * edges), 1),
        "gamma": (Gamma(process="gamma", rate=rate, cv=six_digits(cv)), gammainc(cv**-2, rate * edges / cv**2), 2),
        "weibull": (Weibull(process="weibull", rate=rate, cv=six_digits(cv)), -np.expm1(-((edges / scale) ** shape)), 2),
    }
    if (bursts := _fit_on_off(rate, cv, edges, counts)) is not None:
        laws["on-off"] = (*bursts, 3)
    aic = {name: 2 * k - 2 * _log_likelihood(counts, cdf) for name, (_, cdf, k) in laws.items()}
    best = min(aic, key=lambda name: aic[name])
    reason = "least AIC of the gaps, counted in 8 bins per decade"
    if (found := _fit_windows(rate, cv, 1.0 if best == "poisson" else cv**2, windows)) is not None:
        return ArrivalFit(
            found, f"counts per {found.window:g} s vary more than {best} gaps explain ({reason}; chi-square, {SURE:.1%})", aic
        )
    return ArrivalFit(laws[best][0], reason, aic)


def _log_likelihood(counts: Floats, cdf: Floats) -> float:
    shares = np.diff(np.concatenate([[0.0], cdf, [1.0]]))
    return float(counts @ np.log(np.maximum(shares, 1e-300)))


def _fit_on_off(rate: float, cv: float, edges: Floats, counts: Floats) -> tuple[ArrivalProcess, Floats] | None:
    """Poisson bursts with silence between: gaps are then a mixture of two exponentials, a short one (in a burst) and a long one.

    Mean and CV leave one parameter free, the share of long gaps, which is chosen by likelihood. A burst process from the mixture:
    Kuczura, The Interrupted Poisson Process as an Overflow Process, 1973.
    """
    half_square = (cv * cv + 1) / 2  # of gaps in units of their mean, E[gap^2] / 2
    if half_square <= 1.01:
        return None
    best: tuple[float, ArrivalProcess, Floats] | None = None
    for long_share in np.geomspace(1e-4, 0.99, 80) / half_square:
        spread = sqrt((half_square - 1) / (1 - long_share) / long_share)
        short, long = 1 - long_share * spread, 1 + (1 - long_share) * spread
        if short <= 0:
            continue
        fast, slow = rate / short, rate / long
        cdf = -(1 - long_share) * np.expm1(-fast * edges) - long_share * np.expm1(-slow * edges)
        likelihood = _log_likelihood(counts, cdf)
        if best is None or likelihood > best[0]:
            rate_on = (1 - long_share) * fast + long_share * slow
            mean_on = rate_on / (long_share * (1 - long_share) * (fast - slow) ** 2)
            mean_off = rate_on / (fast * slow)
            if rate_on <= 1e6:
                law = OnOff(process="on-off", rate_on=six_digits(rate_on), mean_on=six_digits(mean_on), mean_off=six_digits(mean_off))
                best = (likelihood, law, cdf)
    return best and best[1:]


def _fit_windows(rate: float, cv: float, expected_dispersion: float, windows: WindowGaps) -> WindowedGamma | None:
    """Windowed gamma, if the counts per window are more dispersed than gaps of one law would make them (in the limit, by CV squared).

    Let C be the mean squared CV of the gaps inside windows, R the squared CV of the windows' rates, drawn independently. Then over all gaps
    `1 + CV^2 = (1 + C) (1 + R)`, and the counts' dispersion is `C + mean count * R`: solved for C and R.
    """
    if (factor := _factor(windows)) is None:
        return None
    numbers, sums, squares = windows.by(factor)
    if not _more_dispersed(numbers, expected_dispersion):
        return None
    inside = cv * cv
    for _ in range(50):
        rate_variance = max(0.0, (_dispersion(numbers) - inside) / float(numbers.mean()))
        inside = max(0.01, (1 + cv * cv) / (1 + rate_variance) - 1)
    return _windowed(rate, inside, rate_variance, _cv_spread(numbers, sums, squares), factor * windows.window)


def _cv_spread(numbers: Floats, sums: Floats, squares: Floats) -> float:
    """How the CV differs from window to window, less what chance alone would show (relative variance (1 + CV^2) / 2n for gamma gaps)."""
    full = (numbers >= 30) & (sums > 0)
    if full.sum() < 8:
        return 0.0
    n, mean = numbers[full], sums[full] / numbers[full]
    cvs = np.sqrt(np.maximum(squares[full] / n - mean * mean, 0)) / mean
    middle = float(cvs.mean())
    chance = float(((1 + cvs * cvs) / (2 * n)).mean())
    return min(3.0, sqrt(max(0.0, float(cvs.var(ddof=1)) / middle**2 - chance))) if middle > 0 else 0.0


def _windowed(rate: float, inside: float, rate_variance: float, spread: float, window: float) -> WindowedGamma:
    return WindowedGamma(
        process="windowed-gamma",
        rate=rate,
        cv=six_digits(min(100.0, sqrt(inside / (1 + spread**2)))),
        window=window,
        rate_cv=six_digits(min(10.0, sqrt(rate_variance))),
        cv_spread=six_digits(spread),
    )


def _factor(windows: WindowGaps) -> int | None:
    """The longest window, up to 1200 s, that leaves at least 16 of them with 30 requests on average."""
    for factor in (40, 20, 10, 4, 2, 1):
        numbers, _, _ = windows.by(factor)
        if len(numbers) >= 16 and numbers.mean() >= 30:
            return factor
    return None


def _fit_counts(rate: float, windows: WindowGaps, resolution: float) -> ArrivalFit:
    """By counts in windows of at least ten steps of the clock, since gaps below its step are made by the clock."""
    why = f"times move in steps of {resolution:g} s, so counts per window decide, not gaps"
    poisson = Poisson(process="poisson", rate=rate)
    numbers, _, _ = windows.by(1)
    if len(numbers) < 16:
        return ArrivalFit(poisson, f"{why}; {len(numbers)} windows of {windows.window:g} s are too few, so Poisson is assumed", {})
    near = _dispersion(numbers)
    if (factor := _factor(windows)) is not None and factor > 1:
        far_numbers, _, _ = windows.by(factor)
        far = _dispersion(far_numbers)
        inside = min(100.0**2, max(0.01, (near * factor - far) / (factor - 1)))  # dispersion grows with the window by the rates' part
        if _more_dispersed(far_numbers, max(near, 1.0)):
            law = _windowed(rate, inside, (far - inside) / float(far_numbers.mean()), 0.0, factor * windows.window)
            return ArrivalFit(
                law, f"{why}; they vary more from {law.window:g} s to {law.window:g} s than inside (chi-square, {SURE:.1%})", {}
            )
    if not _more_dispersed(numbers, 1.0) and not _less_dispersed(numbers, 1.0):
        return ArrivalFit(
            poisson, f"{why}; their dispersion of {near:.2f} per {windows.window:g} s is Poisson's (chi-square, {SURE:.1%})", {}
        )
    cv = six_digits(min(100.0, max(0.01, sqrt(near))))
    return ArrivalFit(Gamma(process="gamma", rate=rate, cv=cv), f"{why}; CV squared is their dispersion per {windows.window:g} s", {})


def _dispersion(numbers: Floats) -> float:
    return float(numbers.var(ddof=1) / numbers.mean())


def _more_dispersed(numbers: Floats, expected: float) -> bool:
    freedom = len(numbers) - 1
    return bool(freedom * _dispersion(numbers) / expected > chdtri(freedom, SURE))


def _less_dispersed(numbers: Floats, expected: float) -> bool:
    freedom = len(numbers) - 1
    return bool(freedom * _dispersion(numbers) / expected < chdtri(freedom, 1 - SURE))
