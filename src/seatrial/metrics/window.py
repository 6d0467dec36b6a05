"""The part of a run that counts when its warm-up and cool-down are trimmed, and what must wait until that is known."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from seatrial.core.errors import ScenarioError
from seatrial.core.record import GapRuns, RequestRecords

Rows = TypeVar("Rows", RequestRecords, GapRuns)

_SIFT_AT = 16_384


class Window:
    """From `warmup` seconds after the first arrival to `cooldown` seconds before the last, both included; without an end that is zero.

    Grows as arrivals are seen, in any order, and never shrinks: what it holds once, it holds for good.
    """

    def __init__(self, warmup: float = 0.0, cooldown: float = 0.0) -> None:
        for name, value in (("warm-up", warmup), ("cool-down", cooldown)):
            if not 0 <= value < np.inf:
                raise ScenarioError(f"{name} {value!r}: must be a number of seconds, 0 or more; 0 trims nothing")
        self.warmup = warmup
        self.cooldown = cooldown
        self.first_arrival = np.inf
        self.last_arrival = -np.inf

    @property
    def trims(self) -> bool:
        return self.warmup > 0 or self.cooldown > 0

    @property
    def start(self) -> float:
        return self.first_arrival + self.warmup if self.warmup else -np.inf

    @property
    def end(self) -> float:
        return self.last_arrival - self.cooldown if self.cooldown else np.inf

    def see(self, arrival_times: NDArray[np.float64]) -> None:
        self.first_arrival = min(self.first_arrival, float(arrival_times.min()))
        self.last_arrival = max(self.last_arrival, float(arrival_times.max()))

    def holds(self, times: NDArray[np.float64]) -> NDArray[np.bool_]:
        return (times >= self.start) & (times <= self.end)


class Waiting(Generic[Rows]):
    """Rows that are not in the window so far. Changes as rows are sifted.

    Holds what falls in the warm-up and the cool-down, up to as much again, and some thousand rows; not the whole run.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._held: list[Rows] = []
        self._num_held = 0
        self._sift_at = _SIFT_AT

    def sift(self, rows: Rows) -> Iterator[Rows]:
        """What is now known to count: of these rows, and now and then of earlier ones."""
        yield from self._sift(rows)
        if self._num_held >= self._sift_at:
            yield from self.settle()
            self._sift_at = _SIFT_AT + 2 * self._num_held  # so that a row is looked at a few times only

    def settle(self) -> Iterator[Rows]:
        """What counts of all that was held back, as the window is now."""
        held, self._held, self._num_held = self._held, [], 0
        for rows in held:
            yield from self._sift(rows)

    def _sift(self, rows: Rows) -> Iterator[Rows]:
        inside = self._window.holds(_times(rows))
        if inside.all():
            yield rows
            return
        outside = where(rows, ~inside)
        self._held.append(outside)
        self._num_held += len(_times(outside))
        if inside.any():
            yield where(rows, inside)


def _times(rows: RequestRecords | GapRuns) -> NDArray[np.float64]:
    """What decides: a request's arrival, a run's start."""
    return rows.arrival_time if isinstance(rows, RequestRecords) else rows.time


def where(rows: Rows, keep: NDArray[np.bool_]) -> Rows:
    """The rows that `keep` says."""
    columns: dict[str, Any] = {  # Any: an array of whatever the field holds
        field.name: column[keep] for field in fields(rows) if isinstance(column := getattr(rows, field.name), np.ndarray)
    }
    return replace(rows, **columns)
