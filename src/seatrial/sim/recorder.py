"""What a run leaves behind: ended sequences as rows, steps as totals, handed on in columns."""

from array import array
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from seatrial.core.batch import RequestOverhead
from seatrial.core.record import EngineTotals, GapRuns, ReplicaFacts, RequestRecords, Status
from seatrial.sim.audit import Audit
from seatrial.sim.caching import CachingReplica
from seatrial.sim.replica import Replica
from seatrial.sim.sequence import Sequence

ENTRIES_AT_ONCE = 4096


class Recorder:
    """Alive: takes what a replica has written down and passes it on in chunks, so that memory does not grow with the run.

    `totals` of runs before on the same replica grow on. It passes on what there is when it is `at_once` entries.
    """

    def __init__(
        self,
        on_records: Callable[[RequestRecords], None],
        on_gaps: Callable[[GapRuns], None],
        audit: Audit | None = None,
        totals: EngineTotals | None = None,
        *,
        pool: str = "main",
        replica: int = 0,
        at_once: int = ENTRIES_AT_ONCE,
    ) -> None:
        self.on_records = on_records
        self.on_gaps = on_gaps
        self.audit = audit
        self.totals = EngineTotals() if totals is None else totals
        self.pool = pool
        self.replica = replica
        self.at_once = at_once
        self.num_arrived = 0
        self.num_ended = 0
        self.num_completed = 0
        self.num_output_tokens = 0  # of the completed

    def flush(self, replica: Replica) -> None:
        """Pass on what there is, if it is much."""
        if len(replica.ended) >= self.at_once:
            self.pass_records(replica)
        if len(replica.log) >= self.at_once:
            self.pass_steps(replica)
        if self.audit is not None:
            self.audit.check(replica)

    def close(self, replica: Replica) -> None:
        """Pass on the rest."""
        self.pass_records(replica)
        self.pass_steps(replica)
        self.totals.steps_by_tokens = replica.log.steps_by_tokens()
        if self.audit is not None:
            self.audit.close(replica, self.totals, self.num_arrived)

    def facts(self) -> ReplicaFacts:
        return ReplicaFacts(self.replica, self.num_ended, self.num_completed, self.num_output_tokens, self.totals)

    def pass_records(self, replica: Replica) -> None:
        has_cache = isinstance(replica, CachingReplica)
        records = records_of(replica.ended, replica.cost.request_overhead, self.pool, self.replica, has_cache=has_cache)
        completed = records.status == Status.COMPLETED
        self.num_ended += len(records)
        self.num_completed += int(completed.sum())
        self.num_output_tokens += int(records.num_output_tokens[completed].sum())
        replica.ended.clear()
        self.on_records(records)
        if self.audit is not None:
            self.audit.add(records)

    def pass_steps(self, replica: Replica) -> None:
        gaps = replica.log.drain(self.totals)
        self.totals.num_preemptions = replica.num_preemptions
        self.totals.peak_blocks = replica.peak_blocks
        self.on_gaps(gaps)
        if self.audit is not None:
            self.audit.add_gaps(gaps)


def records_of(sequences: list[Sequence], overhead: RequestOverhead, pool: str, replica: int, *, has_cache: bool = False) -> RequestRecords:
    """Rows in the order they ended. A client sees a token `overhead.after` seconds after the step that made it."""
    arrival_time = _floats([seq.arrival_time for seq in sequences])
    return RequestRecords(
        row=_integers([seq.row for seq in sequences]),
        arrival_time=arrival_time,
        num_prompt_tokens=_integers([seq.num_prompt_tokens for seq in sequences]),
        num_output_tokens=_integers([seq.num_output_tokens for seq in sequences]),
        num_cached_tokens=_integers([seq.holding.num_cached_tokens if has_cache else 0 for seq in sequences]),
        queue_time=_floats([seq.start_time for seq in sequences]) - (arrival_time + overhead.before),
        first_token_time=_floats([seq.first_token_time for seq in sequences]) + overhead.after,
        finish_time=_floats([seq.finish_time for seq in sequences]) + overhead.after,
        num_preemptions=_integers([seq.num_preemptions for seq in sequences]),
        status=_integers([seq.status for seq in sequences]).astype(np.int8),
        pool=pool,
        replica=replica,
    )


def _floats(values: list[float]) -> NDArray[np.float64]:
    return np.frombuffer(array("d", values), np.float64)


def _integers(values: list[int]) -> NDArray[np.int64]:
    return np.frombuffer(array("q", values), np.int64)
