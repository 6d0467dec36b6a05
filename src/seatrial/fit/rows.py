"""What a fit of an engine profile looks at: figures with their errors, and how each follows the knobs."""

from math import inf
from typing import NamedTuple

STEP = "step_time"

SPREADS = {"tpot_mean": 0.03, "ttft_mean": 0.05, "ttft_p90": 0.08, STEP: 0.02, "e2e_mean": inf}
"""The figures that are fitted, and how far off (as a share) a good profile may be in them. E2E follows from the others."""


class Row(NamedTuple):
    """A figure of a point, or of a kind of step: the logarithm of predicted over measured, and how that follows each knob."""

    point_id: str
    metric: str
    error: float
    slopes: tuple[float, ...]
