"""What a replica did, written down as it goes and summed up later, many entries at a time."""

from struct import Struct

import numpy as np
from numpy.typing import NDArray

from seatrial.core.record import EngineTotals, GapRuns

Columns = NDArray[np.float64]


_RUN, _STEP, _LATE = Struct("9d"), Struct("14d"), Struct("3d")
pack_run, pack_step, pack_late = _RUN.pack, _STEP.pack, _LATE.pack


class StepLog:
    """Alive: runs of decode-only steps, steps that the scheduler planned, and gaps that are longer than the step that ended them.

    The entries of each kind lie packed end to end, as NumPy will read them:

    - `runs`: start, first, increment, number of steps, gaps per step, rows, context, blocks held in the first and in the last step
    - `steps`: start, duration, gaps, blocks held, then the step's `Batch`, field by field
    - `late`: start of the step that ended the gap, the gap, how many such gaps
    - `window_contexts`: the sum over a run of the window decode context, of models that have a window
    """

    __slots__ = ("late", "num_steps", "runs", "steps", "window_contexts")

    def __init__(self) -> None:
        self.clear()
        self.num_steps: Columns = np.zeros(0)  # by the number of tokens in the forward pass, of all that was ever drained

    def __len__(self) -> int:
        return len(self.runs) // _RUN.size + len(self.steps) // _STEP.size + len(self.late) // _LATE.size

    def clear(self) -> None:
        self.runs = bytearray()
        self.steps = bytearray()
        self.late = bytearray()
        self.window_contexts: list[float] = []

    def window_run(self, steps: int, context: int, growth: int) -> None:
        self.window_contexts.append(steps * context + growth * (0.5 * steps * (steps - 1)))

    def drain(self, totals: EngineTotals) -> GapRuns:
        """Add everything to `totals`, give back the gaps between tokens, and start afresh."""
        runs, late, planned = _columns(self.runs, _RUN), _columns(self.late, _LATE), _columns(self.steps, _STEP)
        steps, batches = planned[:4], planned[4:]
        totals.window_pairs += float(batches[7].sum())
        totals.window_prompt_context += int(batches[8].sum())
        totals.window_decode_context += int(batches[9].sum() + sum(self.window_contexts))
        self.clear()
        _add_runs(totals, runs)
        _add_steps(totals, steps, batches)
        tokens = np.concatenate([runs[5], batches[1] + batches[4]])
        self.count_steps(tokens.astype(np.int64), np.concatenate([runs[3], np.ones(len(steps[0]))]))
        return _gap_runs(runs, steps, late)

    def count_steps(self, tokens: NDArray[np.int64], num_steps: Columns) -> None:
        counts = np.bincount(tokens, num_steps, len(self.num_steps)).astype(np.float64, copy=False)
        counts[: len(self.num_steps)] += self.num_steps
        self.num_steps = counts

    def steps_by_tokens(self) -> dict[int, int]:
        """How many steps, of all that were drained, had so many tokens."""
        return {tokens: round(self.num_steps[tokens]) for tokens in np.flatnonzero(self.num_steps).tolist()}


def _columns(entries: bytearray, entry: Struct) -> Columns:
    """One row of the result per field."""
    return np.frombuffer(entries, np.float64).reshape(-1, entry.size // 8).T


def _add_runs(totals: EngineTotals, runs: Columns) -> None:
    _, first, increment, steps, gaps, rows, context, held_first, held_last = runs
    pairs = 0.5 * steps * (steps - 1)
    durations = steps * first + increment * pairs
    totals.num_steps += int(steps.sum())
    totals.busy_time += float(durations.sum())
    totals.num_decodes += int((steps * rows).sum())
    totals.num_sampled += int((steps * rows).sum())
    totals.decode_context += int((steps * context + gaps * pairs).sum())
    totals.kv_block_seconds += float((durations * 0.5 * (held_first + held_last)).sum())


def _add_steps(totals: EngineTotals, steps: Columns, batches: Columns) -> None:
    _, duration, _, held = steps
    chunks, tokens, pairs, prompt_context, rows, context, sampled, *_ = batches
    totals.num_steps += len(duration)
    totals.num_prompt_steps += int(np.count_nonzero(chunks))
    totals.num_prompt_chunks += int(chunks.sum())
    totals.busy_time += float(duration.sum())
    totals.num_prompt_tokens += int(tokens.sum())
    totals.prompt_pairs += float(pairs.sum())
    totals.prompt_context += int(prompt_context.sum())
    totals.num_decodes += int(rows.sum())
    totals.decode_context += int(context.sum())
    totals.num_sampled += int(sampled.sum())
    totals.kv_block_seconds += float((duration * held).sum())


def _gap_runs(runs: Columns, steps: Columns, late: Columns) -> GapRuns:
    num_single = len(steps[0]) + len(late[0])
    gaps = GapRuns(
        np.concatenate([runs[0], steps[0], late[0]]),
        np.concatenate([runs[1], steps[1], late[1]]),
        np.concatenate([runs[2], np.zeros(num_single)]),
        np.concatenate([runs[3], np.ones(num_single)]).astype(np.int64),
        np.concatenate([runs[4], steps[2], late[2]]).astype(np.int64),
    )
    real = gaps.num_gaps > 0
    return GapRuns(gaps.time[real], gaps.first[real], gaps.increment[real], gaps.num_steps[real], gaps.num_gaps[real])
