"""How the authors of expert tables route tokens, so that the work behind a time is known."""

from functools import cache
from random import Random

import numpy as np

from seatrial.cost.kernels import FloatArray


def routed(
    tokens: FloatArray, chosen: FloatArray, num_experts: FloatArray, ranks: FloatArray, alpha: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Experts reached and rows computed on the fullest of `ranks`; `alpha` 0 means evenly dealt."""
    columns = np.stack([tokens, chosen, num_experts, ranks, alpha], axis=1)
    found = np.array([_routed(int(m), int(k), int(e), int(r), float(a)) for m, k, e, r, a in columns.tolist()]).reshape(-1, 2)
    return found[:, 0], found[:, 1]


@cache
def _routed(tokens: int, chosen: int, num_experts: int, ranks: int, alpha: float) -> tuple[float, float]:
    rows = tokens * chosen
    if not alpha:
        return min(num_experts / ranks, max(rows / ranks, 1.0)), max(rows / ranks, 1.0)
    loads = _power_law(num_experts, tokens, alpha)
    loads *= rows / loads.sum()
    loads = np.minimum(loads, tokens)
    order = list(range(num_experts))
    Random(f"{num_experts}/{ranks}/experts").shuffle(order)
    dealt = loads[order].reshape(ranks, -1)
    fullest = dealt[np.argmax(dealt.sum(axis=1))]
    return max(float((1 - np.exp(-fullest)).sum()), 1.0), max(float(fullest.sum()), 1.0)


def _power_law(num_experts: int, tokens: int, alpha: float) -> FloatArray:
    """Quantiles of a density that goes like x^-alpha between 1 and 0.8 times the tokens: how aiconfigurator draws its loads."""
    most = max(0.8 * tokens, 1.01)
    alpha += 1e-6 * (alpha == 1)  # where the formula has a hole, its neighbour will do
    places = (np.arange(num_experts) + 0.5) / num_experts
    return np.asarray(((most ** (1 - alpha) - 1) * places + 1) ** (1 / (1 - alpha)))
