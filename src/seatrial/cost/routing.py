"""Which experts tokens are routed to: how many are reached, and how much the fullest rank has to do."""

import numpy as np
from numpy.typing import NDArray

from seatrial.core.model import Moe

FloatArray = NDArray[np.float64]


def coverage(moe: Moe, tokens: FloatArray, skew: float = 0.0) -> FloatArray:
    """Experts that at least one of `tokens` is routed to; the popularity of the i-th most popular one goes like `i^-skew`.

    With uniform routing `E (1 - (1 - k/E)^tokens)`, an upper bound, since real routing is skewed.
    """
    if not skew:
        return moe.num_experts * (1 - (1 - moe.num_experts_per_tok / moe.num_experts) ** tokens)
    popularity = np.arange(1, moe.num_experts + 1) ** -skew
    chances = np.minimum(moe.num_experts_per_tok * popularity / popularity.sum(), 1.0)
    reached = np.zeros_like(tokens)
    for chance in chances.tolist():
        reached += 1 - (1 - chance) ** tokens
    return reached
