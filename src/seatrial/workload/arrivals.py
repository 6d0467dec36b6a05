"""When requests come: each arrival process as an endless stream of moments.

All of them count in whole nanoseconds from 0, and gaps are rounded before they are added: so the moments are the same however the
stream is cut into blocks, and the last bit of a machine's logarithm does not show.
"""

from collections.abc import Callable, Iterator
from functools import partial
from math import exp, lgamma, log1p, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seatrial.core.errors import WorkloadError
from seatrial.workload.lengths import unit_gamma_law, unit_gamma_quantiles
from seatrial.workload.spec import ArrivalProcess, Constant, Diurnal, Gamma, OnOff, Poisson, Weibull, WindowedGamma
from seatrial.workload.streams import Floats, normal_scores, uniforms

Moments = NDArray[np.int64]  # nanoseconds
SECOND = 1_000_000_000


def arrival_times(process: ArrivalProcess, seed: int, block: int, until: float | None = None) -> Iterator[Floats]:
    """Seconds, sorted, in blocks of `block`; endless, or up to and including `until`."""
    for moments in _moments(process, seed, block):
        times = moments / SECOND
        if until is not None and times[-1] > until:
            yield times[: np.searchsorted(times, until, side="right")]
            return
        yield times


def _moments(process: ArrivalProcess, seed: int, block: int) -> Iterator[Moments]:
    match process:
        case Constant(rate=rate):
            return _constant(rate, block)
        case Poisson(rate=rate):
            return _renewal(lambda u: -np.log1p(-u) / rate, seed, block)
        case Gamma(rate=rate, cv=cv):
            unit_gamma = unit_gamma_law(cv)
            return _renewal(lambda u: unit_gamma(u) / rate, seed, block)
        case Weibull(rate=rate, cv=cv):
            power = 1 / weibull_shape(cv)
            scale = exp(-lgamma(1 + power)) / rate
            return _renewal(lambda u: scale * (-np.log1p(-u)) ** power, seed, block)
        case Diurnal():
            return _diurnal(process, seed, block)
        case OnOff():
            return _on_off(process, seed, block)
        case WindowedGamma():
            return _windowed_gamma(process, seed, block)


def weibull_shape(cv: float) -> float:
    """The shape whose coefficient of variation is `cv`: `cv^2 + 1 = Gamma(1 + 2/k) / Gamma(1 + 1/k)^2`, by bisection."""
    wanted = log1p(cv * cv)
    low, high = 0.05, 2 + 2 / cv
    for _ in range(80):
        shape = (low + high) / 2
        too_bursty = lgamma(1 + 2 / shape) - 2 * lgamma(1 + 1 / shape) > wanted
        low, high = (shape, high) if too_bursty else (low, shape)
    return low


def _constant(rate: float, block: int) -> Iterator[Moments]:
    start = 1
    while True:
        yield _whole(np.arange(start, start + block) / rate)
        start += block


def _renewal(gap: Callable[[Floats], Floats], seed: int, block: int) -> Iterator[Moments]:
    """Independent gaps: each a function of its own number of the stream."""
    start, now = 0, 0
    while True:
        gaps = gap(uniforms(seed, "arrivals", start, block))
        _check_clock(now / SECOND + float(gaps.sum()))
        moments = now + np.cumsum(np.rint(gaps * SECOND).astype(np.int64))
        yield moments
        start, now = start + block, int(moments[-1])


def _unit_poisson(seed: int, block: int) -> Iterator[Floats]:
    """A Poisson process of rate 1. With time run at the speed of a rate that varies, it is a Poisson process of that rate, exactly."""
    return (moments / SECOND for moments in _renewal(lambda u: -np.log1p(-u), seed, block))


# A rate that follows the sun


def _diurnal(law: Diurnal, seed: int, block: int) -> Iterator[Moments]:
    now = 0
    offset = law.phase / law.period
    for mass in _unit_poisson(seed, block):
        periods, part = np.divmod(mass / (law.rate * law.period), 1.0)
        moments = _whole((periods + _time_of_day(part, law.amplitude, offset)) * law.period)
        moments = np.maximum.accumulate(np.maximum(moments, now))  # a rounding in the trough must not turn time back
        yield moments
        now = int(moments[-1])


def _time_of_day(part: Floats, amplitude: float, offset: float) -> Floats:
    """The share x of a period by which `part` of a period's arrivals have come: the root of
    `x + amplitude / (2 pi) * (cos(2 pi offset) - cos(2 pi (x - offset))) = part`, by Newton's steps inside a closing bracket."""
    turn = 2 * np.pi
    low, high, x = np.zeros_like(part), np.ones_like(part), part
    settled = np.zeros(len(part), np.bool_)  # each by itself, so that an answer does not depend on its neighbours
    for _ in range(60):
        angle = turn * (x - offset)
        excess = x + amplitude / turn * (np.cos(turn * offset) - np.cos(angle)) - part
        low, high = np.where(excess < 0, x, low), np.where(excess < 0, high, x)
        step = x - excess / np.maximum(1 + amplitude * np.sin(angle), 1e-12)
        better = np.where((low <= step) & (step <= high), step, (low + high) / 2)
        x, settled = np.where(settled, x, better), settled | (np.abs(better - x) < 1e-13)
        if settled.all():
            break
    return x


# A rate that jumps


class _Stretch(NamedTuple):
    """Some segments of constant rate in a row: where each begins in time and in mass (expected arrivals), and its rate."""

    time: Floats
    mass: Floats
    rate: Floats


def _on_off(law: OnOff, seed: int, block: int) -> Iterator[Moments]:
    segments = _on_off_segments(law, seed)
    stretch = next(segments)
    for mass in _unit_poisson(seed, block):
        while stretch.mass[-1] <= mass[-1]:
            stretch = _joined(stretch, next(segments), mass[0])
        at = np.searchsorted(stretch.mass, mass, side="right") - 1
        yield _whole(stretch.time[at] + (mass - stretch.mass[at]) / stretch.rate[at])


def _on_off_segments(law: OnOff, seed: int) -> Iterator[_Stretch]:
    """Stretches of 1,024 segments; the last of each ends it and begins the next. The start is on with its share of the time."""
    starts_on = uniforms(seed, "on-off start", 0, 1)[0] < law.mean_on / (law.mean_on + law.mean_off)
    on = (np.arange(1025) % 2 == 0) == starts_on
    rate = np.where(on, law.rate_on, law.rate_off)
    start, time, mass = 0, 0.0, 0.0
    while True:
        lasting = -np.log1p(-uniforms(seed, "on-off", start, 1024)) * np.where(on, law.mean_on, law.mean_off)[:-1]
        times = np.cumsum(np.concatenate([[time], lasting]))
        masses = np.cumsum(np.concatenate([[mass], lasting * rate[:-1]]))
        yield _Stretch(times, masses, rate)
        start, time, mass = start + 1024, float(times[-1]), float(masses[-1])


def _joined(before: _Stretch, after: _Stretch, needed: float) -> _Stretch:
    """One stretch, without the segments that end below the mass that is needed."""
    keep = max(0, int(np.searchsorted(before.mass, needed, side="right")) - 1)
    return _Stretch(*(np.concatenate([old[keep:-1], new]) for old, new in zip(before, after)))


# A rate and a burstiness that are drawn for each window


def _windowed_gamma(law: WindowedGamma, seed: int, block: int) -> Iterator[Moments]:
    return _regrouped(_by_window(law, seed), block)


def _by_window(law: WindowedGamma, seed: int) -> Iterator[Moments]:
    """The arrivals of each window in turn.

    Gaps are gamma with mean 1 in units of expected arrivals, with the CV of the window that they begin in; one that crosses into the
    next window goes on at the next window's rate. So a window boundary brings no arrival of its own.
    """
    # numbers of the stream used so far, and how far into the window the next arrival lies
    used, reach = 1, float(unit_gamma_quantiles(law.cv, uniforms(seed, "arrivals", 0, 1))[0])
    for index, (rate, cv) in enumerate(_window_draws(law, seed)):
        size = rate * law.window  # expected arrivals
        # the table pays from some thousand gaps on
        unit_gaps = unit_gamma_law(cv) if size > 4096 else partial(unit_gamma_quantiles, cv)
        _check_clock((index + 1) * law.window)
        reached: list[Floats] = []
        while reach < size:
            gaps = unit_gaps(uniforms(seed, "arrivals", used, int(1.05 * (size - reach)) + 64))
            points = np.cumsum(np.concatenate([[reach], gaps]))
            inside = int(np.searchsorted(points, size))
            taken = min(inside, len(gaps))
            reached.append(points[:taken])
            used, reach = used + taken, float(points[taken])
        if reached:
            yield _whole(index * law.window + np.concatenate(reached) / rate)
        reach -= size


def _window_draws(law: WindowedGamma, seed: int) -> Iterator[tuple[float, float]]:
    """Rate and CV of each window.

    Rates are drawn in rounds of 16: one from each sixteenth of their law, in shuffled order. So a run of few windows has nearly
    the mean rate that was asked for.
    """
    start = 0
    while True:
        order = np.argsort(uniforms(seed, "window order", start, 16))
        rates = _lognormal(law.rate, law.rate_cv, (order + uniforms(seed, "window rate", start, 16)) / 16)
        cvs = np.clip(_lognormal(law.cv, law.cv_spread, uniforms(seed, "window cv", start, 16)), 0.01, 100.0)
        yield from zip(rates.tolist(), cvs.tolist())
        start += 16


def _lognormal(mean: float, cv: float, u: Floats) -> Floats:
    sigma = sqrt(log1p(cv * cv))
    return mean * np.exp(sigma * normal_scores(u) - sigma * sigma / 2)


def _regrouped(pieces: Iterator[Moments], block: int) -> Iterator[Moments]:
    """The same moments in blocks of one size."""
    held: list[Moments] = []
    num_held = 0
    for piece in pieces:
        held.append(piece)
        num_held += len(piece)
        if num_held >= block:
            joined = np.concatenate(held)
            for start in range(0, num_held - block + 1, block):
                yield joined[start : start + block]
            held = [joined[num_held - num_held % block :]]
            num_held %= block


def _whole(seconds: Floats) -> Moments:
    _check_clock(float(seconds[-1]))
    return np.rint(seconds * SECOND).astype(np.int64)


def _check_clock(seconds: float) -> None:
    if seconds > 9e9:
        raise WorkloadError(
            f"the workload would last {seconds:.3g} s, and the clock ends at 9e9 s (285 years); ask for a higher rate or fewer requests"
        )
