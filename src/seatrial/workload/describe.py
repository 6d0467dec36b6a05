"""What a trace is like: its rate and bursts, lengths, sessions, shared prefixes, and which generator resembles it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import ceil
from typing import Protocol

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from seatrial.core.errors import WorkloadError
from seatrial.workload.arrival_fit import FIT_WINDOW, ArrivalFit, fit_arrivals, is_coarse
from seatrial.workload.length_fit import LengthFit, fit_length
from seatrial.workload.streams import Floats
from seatrial.workload.tally import GapTally, LengthTally, PairSample, PrefixTally, SessionTally, WindowGaps, WindowTally

LONGEST_GAP = 1e12  # seconds; in microseconds it still is an int64
WINDOWS = (1.0, 10.0, 60.0, 600.0, 3600.0, 86400.0)


class Tables(Protocol):
    """A trace: its rows in order of arrival, as tables in our schema, and what reading them left out."""

    def tables(self) -> Iterator[pa.Table]: ...
    def notes(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class WindowBurstiness:
    """Counts in windows of `window` seconds. `dispersion` is their variance over their mean: 1 for Poisson, above for bursts."""

    window: float
    num_windows: int
    dispersion: float
    peak_over_mean: float


@dataclass(frozen=True, slots=True)
class LengthSummary:
    mean: float
    cv: float
    p50: int
    p90: int
    p99: int
    max: int


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """Of the rows that name a session. `multi_turn_share` is of sessions."""

    num_sessions: int
    turns_mean: float
    turns_max: int
    multi_turn_share: float


@dataclass(frozen=True, slots=True)
class PrefixSharing:
    """What an endless prefix cache would have spared: the share of blocks (of `num_blocks` ids) and of prompt tokens."""

    num_requests: int
    num_blocks: int
    block_hit_share: float
    token_hit_share: float


@dataclass(frozen=True, slots=True)
class Description:
    """Times in seconds, lengths in tokens. `rate` is gaps over span; `time_step` the clock's step where it is coarser than 1 us, else 0.

    `interarrival_cv` is of the gaps as the file has them: where `notes` call the clock coarse, it is the clock's and not the clients'.
    """

    num_requests: int
    span: float
    rate: float | None
    interarrival_cv: float | None
    time_step: float
    windows: tuple[WindowBurstiness, ...]
    input: LengthSummary
    output: LengthSummary
    rank_correlation: float | None
    sessions: SessionSummary | None
    prefixes: PrefixSharing | None
    arrival_fit: ArrivalFit | None
    input_fit: LengthFit
    output_fit: LengthFit
    notes: tuple[str, ...]

    def figures(self) -> dict[str, object]:
        """The same as plain dicts, lists, texts and numbers, for JSON."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def describe(trace: Tables) -> Description:
    """Read a trace once. Memory grows with distinct lengths, sessions and prefix blocks, not with rows."""
    reading = _Reading()
    for table in trace.tables():
        if len(table):
            reading.add(table)
    if reading.gaps is None:
        raise WorkloadError("the trace has no request with output tokens, so there is nothing to describe")
    return reading.description(trace.notes())


class _Reading:
    """A description in the making."""

    def __init__(self) -> None:
        self.gaps: GapTally | None = None
        self._windows: list[WindowTally] = []
        self._input, self._output, self._pairs = LengthTally(), LengthTally(), PairSample()
        self._sessions, self._prefixes = SessionTally(), PrefixTally()

    def add(self, table: pa.Table) -> None:
        times = table["arrival_s"].to_numpy()
        if self.gaps is None:
            self._begin(times)
        self._add_times(times)
        prompts, outputs = (table[name].to_numpy().astype(np.int64) for name in ("input_tokens", "output_tokens"))
        self._input.add(prompts)
        self._output.add(outputs)
        self._pairs.add(prompts, outputs)
        if "session_id" in table.schema.names:
            self._sessions.add(table["session_id"])
        if "prefix_hash_ids" in table.schema.names:
            self._prefixes.add(table["prefix_hash_ids"], table["prefix_block_tokens"], prompts)

    def _begin(self, times: Floats) -> None:
        """The first table tells the clock's step; windows are whole steps, and begin half a step early so that no tick falls on an edge."""
        self.gaps = GapTally()
        self._first = self._last = float(times[0])
        self.time_step = clock_step(np.diff(times))
        origin = self._first - self.time_step / 2
        sizes = dict.fromkeys(ceil(w / self.time_step - 1e-9) * self.time_step if self.time_step else w for w in WINDOWS)
        self._windows = [WindowTally(size, origin) for size in sizes]
        base = max(FIT_WINDOW, 10 * self.time_step)
        self._window_gaps = WindowGaps(ceil(base / self.time_step - 1e-9) * self.time_step if self.time_step else base, origin)
        self._pending = np.zeros(0)

    def _add_times(self, times: Floats) -> None:
        assert self.gaps is not None
        joined = np.concatenate([self._pending, times])
        gaps = np.diff(joined)
        if gaps.min(initial=0.0) < 0:
            place = joined[int(gaps.argmin()) + 1]
            raise WorkloadError(f"the trace goes back in time, to {place:g} s; sort it by arrival first")
        self.gaps.add(gaps)
        self._window_gaps.add(joined[:-1], gaps)
        for window in self._windows:
            window.add(times)
        self._pending, self._last = joined[-1:], float(joined[-1])

    def description(self, notes: list[str]) -> Description:
        assert self.gaps is not None
        arrival_fit = fit_arrivals(self.gaps, self._window_gaps, self.time_step)
        return Description(
            num_requests=self._input.num,
            span=self._last - self._first,
            rate=self.gaps.rate,
            interarrival_cv=self.gaps.cv,
            time_step=self.time_step,
            windows=tuple(
                WindowBurstiness(w.window, w.num_windows, w.dispersion, w.peak_over_mean) for w in self._windows if w.num_windows >= 5
            ),
            input=_length_summary(self._input),
            output=_length_summary(self._output),
            rank_correlation=self._pairs.rank_correlation(),
            sessions=_session_summary(self._sessions),
            prefixes=_prefix_sharing(self._prefixes),
            arrival_fit=arrival_fit,
            input_fit=fit_length(self._input),
            output_fit=fit_length(self._output),
            notes=(*notes, *self._remarks()),
        )

    def _remarks(self) -> Iterator[str]:
        """What a reader of the figures must know."""
        assert self.gaps is not None
        rate, cv = self.gaps.rate, self.gaps.cv
        if rate is None or cv is None:
            yield "all requests arrive at once: there is no rate, and no arrival process to fit"
        elif cv < 0.01 and self.gaps.num > 1:
            yield f"all gaps are {1 / rate:g} s long: these may be places in a list and no times"
        elif is_coarse(self.time_step, rate):
            ties = self.gaps.num_zero / self.gaps.num
            yield (
                f"times move in steps of {self.time_step:g} s and {ties:.0%} of the gaps are 0: the interarrival CV, and bursts shorter"
                " than some steps, are made by the clock"
            )


def clock_step(gaps: Floats) -> float:
    """The step in which times move, 0 where it is below a microsecond or there is none.

    The longest of a few likely ones of which 95 % of the gaps are whole multiples, within half a per cent of a step (real clocks
    tick at 2.999 or 3.003 s).
    """
    positive = gaps[gaps > 5e-7]
    if len(positive) < 2:
        return 0.0
    micros = np.rint(np.minimum(positive, LONGEST_GAP) * 1e6).astype(np.int64)
    likely = (np.quantile(positive, 0.5), np.quantile(positive, 0.05), positive.min(), np.gcd.reduce(micros) / 1e6)
    for step in sorted((float(f"{s:.3g}") for s in likely), reverse=True):
        steps = positive / step
        if step > 1e-6 and np.mean(np.abs(steps - np.rint(steps)) < 0.005) >= 0.95 and np.mean(steps > 0.9) >= 0.95:
            return step
    return 0.0


def _length_summary(lengths: LengthTally) -> LengthSummary:
    p50, p90, p99 = (lengths.quantile(share) for share in (0.5, 0.9, 0.99))
    return LengthSummary(lengths.mean, lengths.cv, p50, p90, p99, int(lengths.values[-1]))


def _session_summary(sessions: SessionTally) -> SessionSummary | None:
    if not sessions.turns:
        return None
    turns = np.array(list(sessions.turns.values()))
    return SessionSummary(len(turns), float(turns.mean()), int(turns.max()), float((turns > 1).mean()))


def _prefix_sharing(prefixes: PrefixTally) -> PrefixSharing | None:
    if not prefixes.num_blocks:
        return None
    blocks, tokens = prefixes.shared
    return PrefixSharing(prefixes.num_requests, prefixes.num_blocks, blocks / prefixes.num_blocks, tokens / max(1, prefixes.num_tokens))


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_none=True)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
