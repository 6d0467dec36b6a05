"""The measured times of one operator on one accelerator in one number format, ready to be fitted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seatrial.core.accelerator import Accelerator
from seatrial.core.curves import Curve
from seatrial.cost.kernels import FloatArray

Law = Callable[[Curve, NDArray[np.bool_] | None], FloatArray]


@dataclass(frozen=True)
class Cell:
    """`law` gives the seconds of the chosen points (None: of all) under a curve. Points of one `shape` are left out together.

    A curve is fitted to the `typical` points, and judged on all. `dims` are the dimensions of a model's shape, `load` those of a step's
    load, by which a time tells whether its like was measured. `backends` made the times. `siblings` are
    accelerators of which some of them are a copy: their curves say nothing of how well a relative's curve does here.
    """

    operator: str
    accelerator: Accelerator
    number_format: str
    multiplied: str
    law: Law
    seconds: FloatArray
    typical: NDArray[np.bool_]
    shape: NDArray[np.int64]
    dims: Mapping[str, FloatArray]
    load: Mapping[str, FloatArray]
    backends: tuple[str, ...]
    siblings: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return f"{self.operator}.{self.number_format}"

    @property
    def num_shapes(self) -> int:
        return len(np.unique(self.shape))

    @cached_property
    def sizes(self) -> dict[str, tuple[float, ...]]:
        """What was measured of each dimension of a shape."""
        return {name: tuple(np.unique(column).tolist()) for name, column in self.dims.items()}

    @cached_property
    def shapes(self) -> frozenset[tuple[float, ...]]:
        """Which of them together."""
        return frozenset(zip(*(column.tolist() for column in self.dims.values())))

    @property
    def reach(self) -> dict[str, tuple[float, float]]:
        return {name: (float(column.min()), float(column.max())) for name, column in self.load.items()}

    def errors(self, curve: Curve, chosen: NDArray[np.bool_] | None = None) -> FloatArray:
        """Absolute relative error of each chosen point."""
        measured = self.seconds if chosen is None else self.seconds[chosen]
        return np.abs(self.law(curve, chosen) / measured - 1)


def shapes(*columns: FloatArray) -> NDArray[np.int64]:
    """A number for each distinct combination."""
    _, numbers = np.unique(np.stack(columns), axis=1, return_inverse=True)
    return numbers.reshape(-1).astype(np.int64)
