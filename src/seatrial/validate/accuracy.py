"""How far predictions are from what was measured."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import nan
from typing import NamedTuple

import numpy as np

from seatrial.validate.point import METRICS


class Pair(NamedTuple):
    """One figure of one point, in seconds or per second."""

    predicted: float
    actual: float

    @property
    def signed_pct(self) -> float:
        """Above zero where too much is predicted; not a number where nothing was measured."""
        return 100 * (self.predicted - self.actual) / self.actual if self.actual else nan

    @property
    def ape_pct(self) -> float:
        return abs(self.signed_pct)


class Error(NamedTuple):
    """Of a metric over some points. Names are the keys of `--json`."""

    median_ape_pct: float
    p90_ape_pct: float
    median_signed_pct: float
    n: int


Pairs = Mapping[str, Pair]
"""A point's figures by metric."""


def errors(points: Iterable[Pairs]) -> dict[str, Error]:
    """By metric, in the order of `METRICS`. A figure that was measured as 0 has no percentage and is left out."""
    signed: dict[str, list[float]] = defaultdict(list)
    for pairs in points:
        for metric, pair in pairs.items():
            if pair.actual > 0:
                signed[metric].append(pair.signed_pct)
    return {metric: error_of(signed[metric]) for metric in METRICS if metric in signed}


def error_of(signed_pct: Iterable[float]) -> Error:
    values = np.array(list(signed_pct))
    sizes = np.abs(values)
    return Error(float(np.median(sizes)), float(np.quantile(sizes, 0.9)), float(np.median(values)), len(values))
