"""The run of a scenario, from its first arrival to its run directory."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import perf_counter

from seatrial.core.curves import Confidence
from seatrial.core.errors import WorkloadError
from seatrial.core.record import PoolFacts, RequestRecords
from seatrial.cost import confidence
from seatrial.metrics import Summary, Tally, summarise
from seatrial.metrics.records import RecordWriter
from seatrial.sim.fleet import Fleet
from seatrial.sim.sail import sail
from seatrial.trial.muster import facts_of, muster
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
    scenario = trial.scenario
    tally = Tally(trial.slo, scenario.warmup, scenario.cooldown)
    with ExitStack() as stack:
        folder = stack.enter_context(run_directory(out)) if out is not None else None
        takers = [tally.add, watch] if watch else [tally.add]
        by_pool = {pool.name: Tally(part_of=tally) for pool in trial.pools} if len(trial.pools) > 1 else None
        if by_pool is not None:
            takers.append(partial(add_to_pool, by_pool))
        if folder is not None:
            takers.append(stack.enter_context(RecordWriter(folder / "requests.parquet")).write)
        fleet = muster(trial, partial(hand_to_all, takers), tally.add_gaps, audit=audit)
        start = perf_counter()
        sail(trial.workload, fleet, partial(tell_progress, fleet, progress))
        wall_time = perf_counter() - start
        if not tally.num_seen:
            raise WorkloadError("the workload ends before its first request; give it a longer duration or a higher rate")
        pools = facts_of(trial, fleet)
        summary = summarise(
            tally,
            pools,
            by_pool=by_pool,
            wall_time=wall_time,
            confidence=confidence_of(trial, pools),
            has_prefix_cache=any(pool.setup.engine.enable_prefix_caching for pool in trial.pools),
        )
        if folder is not None:
            (folder / "scenario.yaml").write_text(scenario_yaml(scenario), encoding="utf-8")
            found = json.dumps(outcome(trial, summary), indent=2, allow_nan=False)
            (folder / "summary.json").write_text(found + "\n", encoding="utf-8")
    return summary


def confidence_of(trial: Trial, pools: Sequence[PoolFacts]) -> Confidence | None:
    """How well all steps' times are known; None where the costs know none."""
    parts = [part for pool, did in zip(trial.pools, pools) for part in pool.setup.cost.run_parts(did.totals)]
    return confidence(parts) if parts else None


def hand_to_all(takers: Sequence[Callable[[RequestRecords], None]], records: RequestRecords) -> None:
    for take in takers:
        take(records)


def add_to_pool(tallies: Mapping[str, Tally], records: RequestRecords) -> None:
    tallies[records.pool].add(records)


def tell_progress(fleet: Fleet, tell: Callable[[int], None] | None) -> None:
    """How many requests have ended, to whoever wants to know."""
    if tell is not None:
        tell(sum(endpoint.recorder.num_ended + len(endpoint.replica.ended) for endpoint in fleet.endpoints))
