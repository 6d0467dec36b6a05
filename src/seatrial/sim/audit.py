"""The laws that every run obeys, checked while it goes: the engine's sums against its sequences, its records against its sums."""

from math import isclose
from typing import TYPE_CHECKING

import numpy as np

from seatrial.core.record import EngineTotals, GapRuns, RequestRecords, Status

if TYPE_CHECKING:
    from seatrial.sim.replica import Replica


class AuditError(AssertionError):
    """A law is broken: a bug of ours, never of the input."""


class Audit:
    """Alive: adds up what passes by, and raises `AuditError` at the first law that does not hold.

    - The sums over the decodes are those of their sequences; blocks are never below zero nor above the capacity.
    - The clock never runs back, and no request has its token before it starts or starts before it arrives.
    - Requests are conserved: arrived = ended + waiting + running. So are tokens: each completed request put out what it should.
    - Little's law: sequences past their first token, integrated over time (the sum of all gaps between tokens), are the
      times from first token to finish in the records.
    - Busy time plus idle time is the time that passed.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.num_ended = 0
        self.num_output_tokens = 0
        self.num_prompt_tokens = 0
        self.residence = 0.0
        self.num_gaps = 0
        self.gap_time = 0.0

    def check(self, replica: "Replica") -> None:
        """The state as it stands."""
        _law(replica.now >= self.now, f"the clock ran back from {self.now} to {replica.now}")
        self.now = replica.now
        used = replica.blocks_after(0)
        _law(0 <= used <= replica.num_blocks, f"{used} of {replica.num_blocks} KV blocks are held")
        _law(replica.peak_blocks <= replica.num_blocks, f"{replica.peak_blocks} of {replica.num_blocks} KV blocks were held")
        decodes = replica.decodes
        members = [seq for seq in replica.members.values() if seq.finish_step >= 0 and seq.home is decodes]
        computed = [seq.offset + decodes.step for seq in members]
        _equal(decodes.count, len(members), "decodes")
        _equal(decodes.context, sum(computed) + len(computed), "context of the decodes")
        if not replica.reserves:
            _equal(decodes.blocks_after(0), sum(-(-count // replica.block_size) for count in computed), "blocks of the decodes")
        if decodes.window is not None:
            _equal(decodes.window_context, sum(min(count + 1, decodes.window) for count in computed), "context in the window")

    def add(self, records: RequestRecords) -> None:
        done = records.status == Status.COMPLETED
        queued, first, finish = records.queue_time[done], records.first_token_time[done], records.finish_time[done]
        _law(bool(np.all(queued >= 0)), "a request started before it arrived")
        _law(bool(np.all(first >= records.arrival_time[done] + queued)), "a request had its first token before it started")
        _law(bool(np.all(finish >= first)), "a request finished before its first token")
        self.num_ended += len(records)
        self.num_prompt_tokens += int(records.num_prompt_tokens[done].sum())
        self.num_output_tokens += int(records.num_output_tokens[done].sum()) - int(done.sum())
        self.residence += float((finish - first).sum())

    def add_gaps(self, gaps: GapRuns) -> None:
        steps = gaps.num_steps
        self.num_gaps += int((steps * gaps.num_gaps).sum())
        self.gap_time += float((gaps.num_gaps * (steps * gaps.first + gaps.increment * (0.5 * steps * (steps - 1)))).sum())

    def close(self, replica: "Replica", totals: EngineTotals, num_arrived: int) -> None:
        """The sums of the whole run."""
        self.check(replica)
        _equal(self.num_ended + len(replica.members) + len(replica.waiting), num_arrived, "requests")
        if replica.members or replica.waiting:
            return
        _equal(replica.blocks_after(0), 0, "KV blocks held at the end")
        _equal(self.num_gaps, self.num_output_tokens, "output tokens after the first")
        _law(isclose(self.gap_time, self.residence, rel_tol=1e-9, abs_tol=1e-6), f"Little's law: {self.gap_time} against {self.residence}")
        recomputed = totals.num_prompt_tokens - self.num_prompt_tokens
        _law(recomputed >= 0 and (recomputed == 0 or totals.num_preemptions > 0), f"{recomputed} prompt tokens too many")
        passed = totals.busy_time + replica.idle_time
        _law(isclose(passed, replica.now, rel_tol=1e-9, abs_tol=1e-6), f"busy and idle are {passed} of {replica.now} seconds")


def _law(holds: bool, complaint: str) -> None:
    if not holds:
        raise AuditError(complaint)


def _equal(counted: int, true: int, what: str) -> None:
    _law(counted == true, f"{what}: {counted} counted, {true} true")
