"""The replicas of a trial behind their router, ready to sail."""

from collections.abc import Callable
from random import Random

from seatrial.core.batch import DecodeLaw
from seatrial.core.record import EngineTotals, GapRuns, PoolFacts, RequestRecords
from seatrial.sim.audit import Audit
from seatrial.sim.endpoint import Clock, Endpoint
from seatrial.sim.fleet import Fleet
from seatrial.sim.recorder import ENTRIES_AT_ONCE, Recorder
from seatrial.trial.prepare import Trial

MOST_ENTRIES = 16 * ENTRIES_AT_ONCE  # that wait to be passed on, of all replicas together
FEWEST_AT_ONCE = 256


def muster(trial: Trial, on_records: Callable[[RequestRecords], None], on_gaps: Callable[[GapRuns], None], *, audit: bool) -> Fleet:
    """A fresh fleet at time zero."""
    scenario, clock = trial.scenario, Clock()
    at_once = max(FEWEST_AT_ONCE, min(ENTRIES_AT_ONCE, MOST_ENTRIES // trial.num_replicas))
    endpoints: list[Endpoint] = []
    for pool in trial.pools:
        laws: dict[int, DecodeLaw] = {}  # what one replica learns of its steps holds for all of its kind
        for index in range(pool.num_replicas):
            replica = pool.setup.make()
            replica.laws = laws
            recorder = Recorder(on_records, on_gaps, Audit() if audit else None, pool=pool.name, replica=index, at_once=at_once)
            endpoints.append(
                Endpoint(
                    len(endpoints),
                    pool.name,
                    replica,
                    recorder,
                    max_num_seqs=pool.setup.scheduler_engine.max_num_seqs,
                    clock=clock,
                    timeout=scenario.workload.timeout,
                    view_delay=scenario.view_delay,
                )
            )
    return Fleet(endpoints, clock, trial.router, Random(f"{scenario.seed}/router"))


def facts_of(trial: Trial, fleet: Fleet) -> list[PoolFacts]:
    """What each pool did, when all is over."""
    found = []
    for pool in trial.pools:
        setup = pool.setup
        replicas = tuple(endpoint.recorder.facts() for endpoint in fleet.endpoints if endpoint.pool == pool.name)
        totals = EngineTotals.of_all(replica.totals for replica in replicas)
        found.append(PoolFacts(pool.name, replicas, setup.capacity.num_blocks, setup.capacity.block_size, totals, setup.cost.work(totals)))
    return found
