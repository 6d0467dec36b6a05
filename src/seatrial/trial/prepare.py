"""A scenario made ready to run: everything that it names is looked up and checked."""

from dataclasses import dataclass

from seatrial.core.errors import ScenarioError
from seatrial.core.request import Workload
from seatrial.core.slo import SLO
from seatrial.policy.named import router_named
from seatrial.policy.router import Router
from seatrial.trial.scenario import PoolSpec, Scenario, Targets, TraceSpec
from seatrial.trial.setup import ReplicaSetup, knows_timeouts, resolve_pool, resolved_pool, with_prefix_caching
from seatrial.workload import Trace, at_rate, open_trace, repeated, speedup
from seatrial.workload.closed_loop import closed_loop
from seatrial.workload.generate import generate


@dataclass(frozen=True, slots=True)
class Pool:
    """Replicas of one kind."""

    name: str
    num_replicas: int
    setup: ReplicaSetup

    @property
    def num_accelerators(self) -> int:
        return self.num_replicas * self.setup.parallelism.num_accelerators

    @property
    def price_per_hour(self) -> float:
        """Dollars, of all its accelerators together."""
        return self.num_replicas * self.setup.price_per_hour


@dataclass(frozen=True, slots=True)
class Trial:
    """`scenario` says all that was resolved. `trace` is what the workload is made of, if it is one; `names_prefixes` whether it has ids."""

    scenario: Scenario
    pools: tuple[Pool, ...]
    router: Router
    workload: Workload
    slo: SLO | None
    trace: Trace | None = None
    names_prefixes: bool = False

    @property
    def setup(self) -> ReplicaSetup:
        """Of the first pool."""
        return self.pools[0].setup

    @property
    def num_replicas(self) -> int:
        return sum(pool.num_replicas for pool in self.pools)

    @property
    def price_per_hour(self) -> float:
        """Dollars, of the whole fleet."""
        return sum(pool.price_per_hour for pool in self.pools)


def resolve(scenario: Scenario) -> Trial:
    """The trial that the scenario describes. Nothing has run and nothing is written afterwards."""
    knows = isinstance(scenario.workload, TraceSpec) and names_prefixes(scenario.workload)
    pools = tuple(resolved(scenario, spec, knows_prefixes=knows) for spec in scenario.pools)
    router = router_named(scenario.router)
    slo = read_slo(scenario.slo)
    specs = [resolved_pool(pool.setup, spec) for pool, spec in zip(pools, scenario.pools)]
    told = scenario.model_copy(update={"pools": specs})
    if not isinstance(scenario.workload, TraceSpec):
        return Trial(told, pools, router, generate(scenario.workload, scenario.seed), slo)
    trace = opened(scenario.workload, scenario.workload.limit)
    return Trial(told, pools, router, from_trace(trace, scenario.workload), slo, trace, knows)


def resolved(scenario: Scenario, spec: PoolSpec, *, knows_prefixes: bool) -> Pool:
    setup = resolve_pool(scenario.model, spec, scenario.cost)
    if scenario.workload.timeout is not None and not knows_timeouts(setup):
        raise ScenarioError(
            f"clients that give up are for one pipeline stage and every scheduler but static, and here are {setup.scheduler} and"
            f" {setup.parallelism.pipeline_parallel}; leave out the workload's timeout (--request-timeout)"
        )
    if knows_prefixes and spec.enable_prefix_caching is None:
        setup = with_prefix_caching(setup)  # as vLLM does
    return Pool(spec.name, spec.replicas, setup)


def read_slo(slo: str | Targets | None) -> SLO | None:
    """From the flag's text or a scenario's mapping."""
    if isinstance(slo, dict):
        if not (slo and all(slo.values())):
            raise ScenarioError(
                "the scenario's slo has a metric without a target, or none at all; write `ttft: {p90: 0.5}`, or leave slo out"
            )
        slo = ",".join(f"{metric}:{quantile}={limit!r}" for metric, targets in slo.items() for quantile, limit in targets.items())
    return SLO.parse(slo) if slo is not None else None


def opened(spec: TraceSpec, limit: int | None) -> Trace:
    return open_trace(spec.trace, format=spec.format, columns=spec.columns, limit=limit)


def from_trace(trace: Trace, spec: TraceSpec) -> Workload:
    workload: Workload = trace
    if spec.speedup is not None:
        workload = speedup(workload, spec.speedup)
    if spec.rate is not None:
        workload = at_rate(workload, spec.rate)
    if spec.num_requests is not None:
        workload = repeated(workload, spec.num_requests)
    if spec.closed_loop is not None:
        workload = closed_loop(workload, spec.closed_loop.concurrency, spec.closed_loop.think_time)
    return workload


def names_prefixes(spec: TraceSpec) -> bool:
    """Whether the first requests of the trace say which prompts begin alike; many files have the column and nothing in it."""
    start = opened(spec, limit=min(spec.limit or FEW, FEW))
    if "prefix_hash_ids" not in start.columns:
        return False
    return any(table["prefix_hash_ids"].null_count < len(table) for table in start.tables())


FEW = 64
