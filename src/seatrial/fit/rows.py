"""What a fit of an engine profile looks at: figures with their errors, and how each follows the knobs."""

from collections import Counter
from collections.abc import Sequence
from math import inf, sqrt
from typing import NamedTuple

STEP = "step_time"

SPREADS = {"tpot_mean": 0.03, "ttft_mean": 0.05, "ttft_p90": 0.08, "output_tokens_per_s": 0.05, STEP: 0.02, "e2e_mean": inf}
"""The figures that are fitted, and how far off (as a share) a good profile may be in them. E2E follows from the others."""

ONLINE = ("tpot_mean", "ttft_mean", "ttft_p90", "e2e_mean")
OFFLINE = ("output_tokens_per_s",)
"""What tells an engine's pace: where requests come by themselves or are waited for, and where all come at once."""

KIN = 0.015
"""How far off a good profile may be in all runs of one model on the same accelerators alike: more such runs say little more."""


class Of(NamedTuple):
    """What a row is about. Rows of one `kind` are of the same model on the same accelerators (and, if they are steps, the same phase).

    `model` is without the format of its weights: who leaves a model out has seen it in no format.
    """

    kind: str
    model: str
    gpu: str


class Row(NamedTuple):
    """A figure of a point, or of a kind of step: the logarithm of predicted over measured, and how that follows each knob."""

    point_id: str
    of: Of
    metric: str
    error: float
    slopes: tuple[float, ...]


def weights(rows: Sequence[Row]) -> list[float]:
    """Of each row: `n` of a kind, with errors of their own (`SPREADS`) and one in common, are worth `n / (1 + n KIN^2 / SPREAD^2)`."""
    counts = Counter((row.of, row.metric) for row in rows)
    return [1 / sqrt(1 + counts[row.of, row.metric] * (KIN / SPREADS[row.metric]) ** 2) for row in rows]
