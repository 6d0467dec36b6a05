"""A scenario made ready to run: everything that it names is looked up and checked."""

from dataclasses import dataclass

from seatrial.core.errors import ScenarioError
from seatrial.core.request import Workload
from seatrial.core.slo import SLO
from seatrial.trial.scenario import Scenario, Targets, TraceSpec
from seatrial.trial.setup import ReplicaSetup, knows_timeouts, resolve_replica, resolved_pool, with_prefix_caching
from seatrial.workload import Trace, at_rate, open_trace, repeated, speedup
from seatrial.workload.closed_loop import closed_loop
from seatrial.workload.generate import generate


@dataclass(frozen=True, slots=True)
class Trial:
    """`scenario` says all that was resolved. `trace` is what the workload is made of, if it is one; `names_prefixes` whether it has ids."""

    scenario: Scenario
    setup: ReplicaSetup
    workload: Workload
    slo: SLO | None
    trace: Trace | None = None
    names_prefixes: bool = False


def resolve(scenario: Scenario) -> Trial:
    """The trial that the scenario describes. Nothing has run and nothing is written afterwards."""
    setup = resolve_replica(scenario)
    if scenario.workload.timeout is not None and not knows_timeouts(setup):
        raise ScenarioError(
            f"clients that give up are for one pipeline stage and every scheduler but static, and here are {setup.scheduler} and"
            f" {setup.parallelism.pipeline_parallel}; leave out the workload's timeout (--request-timeout)"
        )
    slo = read_slo(scenario.slo)
    knows = isinstance(scenario.workload, TraceSpec) and names_prefixes(scenario.workload)
    if knows and scenario.pool.enable_prefix_caching is None:
        setup = with_prefix_caching(setup)  # as vLLM does
    resolved = scenario.model_copy(update={"pools": [resolved_pool(setup, scenario.pool)]})
    if not isinstance(scenario.workload, TraceSpec):
        return Trial(resolved, setup, generate(scenario.workload, scenario.seed), slo)
    trace = opened(scenario.workload, scenario.workload.limit)
    return Trial(resolved, setup, from_trace(trace, scenario.workload), slo, trace, knows)


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
