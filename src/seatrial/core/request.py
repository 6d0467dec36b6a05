"""What clients ask, and when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Prefix(NamedTuple):
    """How a prompt begins. Id `k` stands for its tokens from `k * block_tokens` on; equal leading ids mean equal tokens.

    The last id may stand for fewer than `block_tokens`; the prompt's tokens beyond its ids are like no other's.
    """

    block_tokens: int
    hash_ids: tuple[int, ...]


class Request(NamedTuple):
    """What a client asked. `arrival_time` is in seconds on the trace's clock; `row` is its place in the workload."""

    row: int
    arrival_time: float
    num_prompt_tokens: int
    session_id: str | None = None
    prefix: Prefix | None = None


class Arrival(NamedTuple):
    """A request and its true output length, which only the simulator may read."""

    request: Request
    num_output_tokens: int


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The prefixes of some requests: request `i` has the ids from `starts[i]` up to `starts[i + 1]`, none if these are equal."""

    block_tokens: NDArray[np.int64]
    starts: NDArray[np.int64]
    hash_ids: NDArray[np.int64]

    def part(self, some: slice) -> "Prefixes":
        first, last, _ = some.indices(len(self.block_tokens))
        return Prefixes(self.block_tokens[first:last], self.starts[first : last + 1], self.hash_ids)

    def one_by_one(self) -> Iterator[Prefix | None]:
        starts = self.starts.tolist()
        for size, start, end in zip(self.block_tokens.tolist(), starts, starts[1:]):
            yield Prefix(size, tuple(self.hash_ids[start:end].tolist())) if end > start else None

    @classmethod
    def of(cls, prefixes: Sequence[Prefix | None]) -> "Prefixes | None":
        """None where nobody has any."""
        if not any(prefixes):
            return None
        ids = [prefix.hash_ids if prefix else () for prefix in prefixes]
        return cls(
            np.array([prefix.block_tokens if prefix else 1 for prefix in prefixes], np.int64),
            np.cumsum([0, *map(len, ids)]),
            np.array([value for some in ids for value in some], np.int64),
        )


@dataclass(frozen=True, slots=True)
class Arrivals:
    """A stretch of a workload, one array per field, in order of arrival (equal times keep row order).

    `prefixes` is None where nobody is known to begin like anybody else, and `session_ids` where nobody is known to belong together.
    """

    row: NDArray[np.int64]
    arrival_time: NDArray[np.float64]
    num_prompt_tokens: NDArray[np.int64]
    num_output_tokens: NDArray[np.int64]
    prefixes: Prefixes | None = None
    session_ids: NDArray[np.object_] | None = None  # a text or None

    def __len__(self) -> int:
        return len(self.row)

    def part(self, some: slice) -> "Arrivals":
        columns = (self.row[some], self.arrival_time[some], self.num_prompt_tokens[some], self.num_output_tokens[some])
        sessions = None if self.session_ids is None else self.session_ids[some]
        return Arrivals(*columns, self.prefixes and self.prefixes.part(some), sessions)

    def each_prefix(self) -> Iterator[Prefix | None]:
        return self.prefixes.one_by_one() if self.prefixes else repeat(None, len(self))

    def each_session(self) -> Iterator[str | None]:
        return repeat(None, len(self)) if self.session_ids is None else iter(self.session_ids.tolist())

    @classmethod
    def of(cls, arrivals: Sequence[Arrival]) -> "Arrivals":
        sessions = [a.request.session_id for a in arrivals]
        return cls(
            np.array([a.request.row for a in arrivals], np.int64),
            np.array([a.request.arrival_time for a in arrivals], np.float64),
            np.array([a.request.num_prompt_tokens for a in arrivals], np.int64),
            np.array([a.num_output_tokens for a in arrivals], np.int64),
            Prefixes.of([a.request.prefix for a in arrivals]),
            np.array(sessions, np.object_) if any(session is not None for session in sessions) else None,
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
