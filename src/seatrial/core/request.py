"""What clients ask, and when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Request(NamedTuple):
    """What a client asked. `arrival_time` is in seconds on the trace's clock; `row` is its place in the workload."""

    row: int
    arrival_time: float
    num_prompt_tokens: int
    session_id: str | None = None


class Arrival(NamedTuple):
    """A request and its true output length, which only the simulator may read."""

    request: Request
    num_output_tokens: int


@dataclass(frozen=True, slots=True)
class Arrivals:
    """A stretch of a workload, one array per field, in order of arrival (equal times keep row order)."""

    row: NDArray[np.int64]
    arrival_time: NDArray[np.float64]
    num_prompt_tokens: NDArray[np.int64]
    num_output_tokens: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def of(cls, arrivals: Sequence[Arrival]) -> "Arrivals":
        return cls(
            np.array([a.request.row for a in arrivals], np.int64),
            np.array([a.request.arrival_time for a in arrivals], np.float64),
            np.array([a.request.num_prompt_tokens for a in arrivals], np.int64),
            np.array([a.num_output_tokens for a in arrivals], np.int64),
        )


class Workload(Protocol):
    """Requests over time.

    `chunks` streams the arrivals whose times are known from the start, sorted, and can be called again for a fresh start.
    `follow_ups` gives what a finished (or rejected) request causes: the next request of a closed loop, the next turn
    of a session. A workload without any has `has_follow_ups` False and is never asked.
    """

    @property
    def has_follow_ups(self) -> bool: ...

    @property
    def num_requests(self) -> int | None:
        """How many requests come in all, where that is known: for progress."""

    def chunks(self) -> Iterator[Arrivals]: ...

    def follow_ups(self, row: int, finish_time: float) -> Sequence[Arrival]: ...
