"""The laws that every run obeys, checked while it goes: the engine's sums against its sequences, its records against its sums."""

from collections import Counter
from math import isclose

import numpy as np

from seatrial.core.record import EngineTotals, GapRuns, RequestRecords, Status
from seatrial.policy.blocks import blocks_for
from seatrial.sim.caching import CachingReplica
from seatrial.sim.replica import Replica


class AuditError(AssertionError):
    """A law is broken: a bug of ours, never of the input."""


class Audit:
    """Alive: adds up what passes by, and raises `AuditError` at the first law that does not hold.

    - The sums over the decodes are those of their sequences; blocks are never below zero nor above the capacity.
    - What is held of a prefix cache is what its sequences hold, each block counted once; all else that is cached is idle.
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
        self.num_cached_tokens = 0
        self.residence = 0.0
        self.num_gaps = 0
        self.gap_time = 0.0

    def check(self, replica: Replica) -> None:
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
        if isinstance(replica, CachingReplica):
            _check_cache(replica)

    def add(self, records: RequestRecords) -> None:
        done = records.status == Status.COMPLETED
        queued, first, finish = records.queue_time[done], records.first_token_time[done], records.finish_time[done]
        _law(bool(np.all(queued >= 0)), "a request started before it arrived")
        _law(bool(np.all(first >= records.arrival_time[done] + queued)), "a request had its first token before it started")
        _law(bool(np.all(finish >= first)), "a request finished before its first token")
        self.num_ended += len(records)
        self.num_prompt_tokens += int(records.num_prompt_tokens[done].sum())
        self.num_cached_tokens += int(records.num_cached_tokens[done].sum())
        self.num_output_tokens += int(records.num_output_tokens[done].sum()) - int(done.sum())
        self.residence += float((finish - first).sum())

    def add_gaps(self, gaps: GapRuns) -> None:
        steps = gaps.num_steps
        self.num_gaps += int((steps * gaps.num_gaps).sum())
        self.gap_time += float((gaps.num_gaps * (steps * gaps.first + gaps.increment * (0.5 * steps * (steps - 1)))).sum())

    def close(self, replica: Replica, totals: EngineTotals, num_arrived: int) -> None:
        """The sums of the whole run."""
        self.check(replica)
        _equal(self.num_ended + len(replica.members) + len(replica.waiting), num_arrived, "requests")
        if replica.members or replica.waiting:
            return
        _equal(replica.blocks_after(0), 0, "KV blocks held at the end")
        _equal(self.num_gaps, self.num_output_tokens + replica.lost.num_gaps, "output tokens after the first")
        residence = self.residence + replica.lost.gap_time
        _law(isclose(self.gap_time, residence, rel_tol=1e-9, abs_tol=1e-6), f"Little's law: {self.gap_time} against {residence}")
        recomputed = totals.num_prompt_tokens + self.num_cached_tokens - self.num_prompt_tokens - replica.lost.num_prompt_tokens
        # who comes back may find what another has computed in the meantime
        _law(recomputed == 0 or totals.num_preemptions > 0, f"{recomputed} prompt tokens too many")
        _law(recomputed >= 0 or isinstance(replica, CachingReplica), f"{-recomputed} prompt tokens too few")
        passed = totals.busy_time + replica.idle_time
        _law(isclose(passed, replica.now, rel_tol=1e-9, abs_tol=1e-6), f"busy and idle are {passed} of {replica.now} seconds")


def _check_cache(replica: CachingReplica) -> None:
    cache, members = replica.cache, replica.members.values()
    holders = Counter(copy for seq in members for copy in cache.copies_of(seq.holding))
    shared = {copy: (num - 1) * (copy.span.end - copy.span.start) for copy, num in holders.items()}
    _equal(cache.num_shared, sum(shared.values()), "blocks held more than once")
    held = sum(blocks_for(replica.num_computed_tokens(seq), replica.block_size) for seq in members)
    _equal(replica.blocks_after(0), held - cache.num_shared, "KV blocks held")
    num_idle, copy = 0, cache.ring.newer
    while copy is not None and copy is not cache.ring:
        _law(copy.num_holders == 0 and copy not in holders, "a block is idle and held")
        num_idle, copy = num_idle + copy.span.end - copy.span.start, copy.newer
    _equal(cache.num_idle, num_idle, "idle blocks")
    spans = list(cache.roots.values())
    for span in spans:
        spans += span.children.values()
        for child in span.children.values():
            _law(bool(child.copies) and child.start == span.end and child.end > child.start, "a cached block has none before it")
            _law(all(copy.num_holders == holders[copy] for copy in child.copies), "a block has other holders than those that hold it")


def _law(holds: bool, complaint: str) -> None:
    if not holds:
        raise AuditError(complaint)


def _equal(counted: int, true: int, what: str) -> None:
    _law(counted == true, f"{what}: {counted} counted, {true} true")
