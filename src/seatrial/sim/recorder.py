"""What a run leaves behind: ended sequences as rows, steps as totals, handed on in columns."""

from collections.abc import Callable

import numpy as np

from seatrial.core.batch import RequestOverhead
from seatrial.core.record import EngineTotals, GapRuns, RequestRecords
from seatrial.sim.replica import Replica
from seatrial.sim.sequence import Sequence

ENTRIES_AT_ONCE = 16_384


class Recorder:
    """Alive: takes what a replica has written down and passes it on in chunks, so that memory does not grow with the run."""

    def __init__(self, on_records: Callable[[RequestRecords], None], on_gaps: Callable[[GapRuns], None]) -> None:
        self.on_records = on_records
        self.on_gaps = on_gaps
        self.totals = EngineTotals()
        self.num_ended = 0

    def flush(self, replica: Replica, *, final: bool = False) -> None:
        """Pass on what there is, if it is much or `final`."""
        if len(replica.ended) >= ENTRIES_AT_ONCE or final:
            self.on_records(records_of(replica.ended, replica.cost.request_overhead))
            self.num_ended += len(replica.ended)
            replica.ended.clear()
        if len(replica.log) >= ENTRIES_AT_ONCE or final:
            self.on_gaps(replica.log.drain(self.totals, replica.block_size, replica.reserves))
            self.totals.num_preemptions = replica.num_preemptions
            self.totals.peak_blocks = replica.peak_blocks


def records_of(sequences: list[Sequence], overhead: RequestOverhead) -> RequestRecords:
    """Rows in the order they ended. A client sees a token `overhead.after` seconds after the step that made it."""
    ready = np.array([seq.ready_time for seq in sequences], np.float64)
    return RequestRecords(
        row=np.array([seq.row for seq in sequences], np.int64),
        arrival_time=np.array([seq.arrival_time for seq in sequences], np.float64),
        num_prompt_tokens=np.array([seq.num_prompt_tokens for seq in sequences], np.int64),
        num_output_tokens=np.array([seq.num_output_tokens for seq in sequences], np.int64),
        num_cached_tokens=np.zeros(len(sequences), np.int64),
        queue_time=np.array([seq.start_time for seq in sequences], np.float64) - ready,
        first_token_time=np.array([seq.first_token_time for seq in sequences], np.float64) + overhead.after,
        finish_time=np.array([seq.finish_time for seq in sequences], np.float64) + overhead.after,
        num_preemptions=np.array([seq.num_preemptions for seq in sequences], np.int64),
        status=np.array([seq.status for seq in sequences], np.int8),
    )
