"""Conversations of several turns: the next question comes when the answer has been read."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seatrial.core.request import Arrival, Arrivals, Request
from seatrial.workload.arrivals import arrival_times
from seatrial.workload.lengths import LengthPairs, Tokens, mean_tokens, token_law, value_law
from seatrial.workload.spec import ArrivalProcess, Sessions, WorkloadSpec
from seatrial.workload.streams import Floats, uniforms


class SessionWorkload:
    """Sessions that arrive by themselves; their later turns are follow-ups.

    The rows of a session are contiguous: sessions in order of arrival, turns in their order. So row and seed alone decide a turn, and
    nothing is kept of a session between its turns: what looks like state here is a cache. A turn that was rejected still belongs to the
    conversation, and the next one comes all the same. The last session is cut short where `num_requests` ends.
    """

    has_follow_ups = True

    def __init__(self, spec: WorkloadSpec, seed: int, block: int) -> None:
        assert spec.sessions is not None
        assert spec.arrivals is not None
        self._arrivals: ArrivalProcess = spec.arrivals
        self._sessions: Sessions = spec.sessions
        self._until = spec.duration
        self._seed = seed
        self.num_requests = spec.num_requests
        self._lengths = LengthPairs(spec.input, spec.output, spec.correlation, seed)
        self._turns, self._think_time = token_law(spec.sessions.turns), value_law(spec.sessions.think_time)
        # sessions per block, for about `block` rows in each
        self._size = max(1, min(int(block / mean_tokens(spec.sessions.turns)), spec.num_requests or block))
        self._first_rows = [0]  # of each block; the last entry is where the next block will begin
        self._block = lru_cache(maxsize=32)(self._draw)

    def chunks(self) -> Iterator[Arrivals]:
        """The first turn of each session."""
        for index, times in enumerate(arrival_times(self._arrivals, self._seed, self._size, self._until)):
            block = self._block(index)
            first = block.starts[: len(times)]
            if self.num_requests is not None:
                first = first[block.first_row + first < self.num_requests]
            if len(first):
                rows = block.first_row + first
                sessions = np.array([session_name(row) for row in rows.tolist()], np.object_)
                yield Arrivals(rows, times[: len(first)], block.prompts[first], block.outputs[first], session_ids=sessions)
            if len(first) < self._size:
                return

    def follow_ups(self, row: int, finish_time: float) -> Sequence[Arrival]:
        row += 1
        if self.num_requests is not None and row >= self.num_requests:
            return ()
        while self._first_rows[-1] <= row:
            self._block(len(self._first_rows) - 1)
        block = self._block(bisect_right(self._first_rows, row) - 1)
        turn = row - block.first_row
        if block.opens[turn]:
            return ()
        time = finish_time + float(block.think_times[turn])
        opened = int(block.starts[np.searchsorted(block.starts, turn, "right") - 1])
        session = session_name(block.first_row + opened)
        return (Arrival(Request(row, time, int(block.prompts[turn]), session), int(block.outputs[turn])),)

    def _draw(self, index: int) -> "_Block":
        """Block `index` of the sessions, whose predecessors have been drawn before."""
        turns = self._turns(uniforms(self._seed, "turns", index * self._size, self._size))
        first_row, num_rows = self._first_rows[index], int(turns.sum())
        if index + 1 == len(self._first_rows):
            self._first_rows.append(first_row + num_rows)
        starts = np.cumsum(turns) - turns
        prompts, outputs = self._lengths.at(first_row, num_rows)
        if self._sessions.carry_context:
            prompts = _with_context(prompts, outputs, starts, turns)
        opens = np.zeros(num_rows, np.bool_)
        opens[starts] = True
        think_times = self._think_time(uniforms(self._seed, "think time", first_row, num_rows))
        return _Block(first_row, starts, opens, prompts, outputs, think_times)


def session_name(first_row: int) -> str:
    """Of the session that this row opens."""
    return f"session {first_row}"


class _Block(NamedTuple):
    """Some sessions in full. `starts` is where each begins among the block's rows, `opens` marks the same rows; the rest is per row."""

    first_row: int
    starts: Tokens
    opens: NDArray[np.bool_]
    prompts: Tokens
    outputs: Tokens
    think_times: Floats


def _with_context(prompts: Tokens, outputs: Tokens, starts: Tokens, turns: Tokens) -> Tokens:
    """Each prompt after all prompts and answers of its session so far."""
    said = np.cumsum(prompts + outputs) - prompts - outputs  # by everyone before
    return prompts + said - np.repeat(said[starts], turns)
