"""Seconds by a whole number (tokens, sampled sequences): worked out in stretches by numpy, read from a plain list."""

from collections.abc import Callable, Sequence

import numpy as np

from seatrial.core.deployment import CUDAGRAPH_MODES, EngineConfig
from seatrial.cost.kernels import FloatArray
from seatrial.cost.operators import Load, Operator

MAX_LENGTH = 1 << 20  # a longer table would cost more memory than the few steps of that size are worth
_FIRST_LENGTH = 1024


class StepTable:
    """`seconds[n]` for every `n` so far; `grow` doubles it. The list stays the same object, so it may be held on to."""

    __slots__ = ("_load", "_operators", "seconds")

    def __init__(self, operators: Sequence[Operator], load: Callable[[FloatArray], Load]) -> None:
        self._operators = operators
        self._load = load
        self.seconds: list[float] = []
        self.grow(_FIRST_LENGTH - 1)

    def grow(self, index: int) -> None:
        """Make `seconds[index]` there."""
        length = max(len(self.seconds), _FIRST_LENGTH)
        while length <= index:
            length *= 2
        numbers = np.arange(len(self.seconds), length, dtype=np.float64)
        self.seconds += total_seconds(self._operators, self._load(numbers)).tolist()


def total_seconds(operators: Sequence[Operator], load: Load) -> FloatArray:
    seconds = np.zeros_like(load.rows)
    for operator in operators:
        seconds += operator.count * operator.demand(load).seconds
    return seconds


class GraphSizes:
    """Batches up to a size run as captured CUDA graphs, padded to the next captured size; larger ones run as they are.

    `prompts` and `decodes` are the most tokens of a captured step of that kind.
    """

    __slots__ = ("decodes", "prompts", "sizes")

    def __init__(self, engine: EngineConfig) -> None:
        captured = CUDAGRAPH_MODES[engine.cudagraph_mode]
        largest = engine.max_cudagraph_capture_size or min(512, 2 * engine.max_num_seqs)  # vLLM's default
        self.prompts, self.decodes = (largest if kind else 0 for kind in captured)
        sizes = (0, 1, 2, 4, *range(8, 256, 8), *range(256, largest + 1, 16))
        self.sizes = np.array([size for size in sizes if size <= self.decodes], np.float64)

    def pad(self, rows: FloatArray) -> FloatArray:
        place = np.minimum(np.searchsorted(self.sizes, rows), len(self.sizes) - 1)
        return np.where(rows <= self.sizes[-1], self.sizes[place], rows)
