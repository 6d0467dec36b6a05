"""The run of a scenario, from its first arrival to its run directory."""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import perf_counter

from seatrial.core.errors import WorkloadError
from seatrial.core.record import GapRuns, RequestRecords
from seatrial.metrics import Summary, Tally, summarise
from seatrial.metrics.records import RecordWriter
from seatrial.sim.audit import Audit
from seatrial.sim.recorder import Recorder
from seatrial.sim.replica import Replica
from seatrial.sim.simulate import simulate
from seatrial.trial.outcome import outcome
from seatrial.trial.prepare import Trial, resolve
from seatrial.trial.run_directory import run_directory
from seatrial.trial.scenario import scenario_yaml

__all__ = ["Trial", "resolve", "run_trial"]


def run_trial(
    trial: Trial,
    *,
    out: Path | None = None,
    audit: bool = False,
    progress: Callable[[int], None] | None = None,
    watch: Callable[[RequestRecords], None] | None = None,
) -> Summary:
    """Simulate it, in memory that does not grow with the number of requests.

    `out` gets the run directory, whole or not at all. `progress` hears now and then how many requests have ended, `watch` gets the
    records of each when they end. With `audit` the run checks itself against the laws.
    """
    setup, scenario = trial.setup, trial.scenario
    tally, replica = Tally(trial.slo, scenario.warmup, scenario.cooldown), setup.make()
    with ExitStack() as stack:
        folder = stack.enter_context(run_directory(out)) if out is not None else None
        takers = [tally.add, watch] if watch else [tally.add]
        if folder is not None:
            takers.append(stack.enter_context(RecordWriter(folder / "requests.parquet")).write)
        recorder = WatchedRecorder(partial(hand_to_all, takers), tally.add_gaps, Audit() if audit else None, progress)
        start = perf_counter()
        simulate(trial.workload, replica, recorder, timeout=scenario.workload.timeout)
        wall_time = perf_counter() - start
        if not tally.num_seen:
            raise WorkloadError("the workload ends before its first request; give it a longer duration or a higher rate")
        summary = summarise(
            tally,
            recorder.totals,
            capacity_blocks=setup.capacity.num_blocks,
            block_size=setup.capacity.block_size,
            wall_time=wall_time,
            work=setup.cost.work(recorder.totals),
            confidence=setup.cost.run_provenance(recorder.totals),
            has_prefix_cache=setup.engine.enable_prefix_caching,
        )
        if folder is not None:
            (folder / "scenario.yaml").write_text(scenario_yaml(scenario), encoding="utf-8")
            found = json.dumps(outcome(trial, summary), indent=2, allow_nan=False)
            (folder / "summary.json").write_text(found + "\n", encoding="utf-8")
    return summary


def hand_to_all(takers: Sequence[Callable[[RequestRecords], None]], records: RequestRecords) -> None:
    for take in takers:
        take(records)


class WatchedRecorder(Recorder):
    """Tells now and then how many requests have ended."""

    def __init__(
        self,
        on_records: Callable[[RequestRecords], None],
        on_gaps: Callable[[GapRuns], None],
        audit: Audit | None,
        progress: Callable[[int], None] | None,
    ) -> None:
        super().__init__(on_records, on_gaps, audit)
        self.progress = progress

    def flush(self, replica: Replica) -> None:
        super().flush(replica)
        if self.progress is not None:
            self.progress(self.num_ended + len(replica.ended))
