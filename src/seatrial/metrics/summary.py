"""What a run amounts to, as people and programs read it. docs/metrics.md defines every figure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from seatrial.core.curves import Confidence
from seatrial.core.record import EngineTotals, PoolFacts, Status
from seatrial.core.slo import Target
from seatrial.metrics.sketch import QuantileSketch
from seatrial.metrics.tally import Tally
from seatrial.version import __version__


@dataclass(frozen=True, slots=True)
class Distribution:
    """Seconds; None where there was nothing to measure."""

    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    max: float | None

    @classmethod
    def of(cls, sketch: QuantileSketch) -> "Distribution":
        if not sketch.count:
            return cls(None, None, None, None, None, None)
        p50, p90, p95, p99 = sketch.quantiles((0.5, 0.9, 0.95, 0.99))
        return cls(sketch.mean, p50, p90, p95, p99, sketch.max)


@dataclass(frozen=True, slots=True)
class TargetResult:
    """One promise and what became of it. `quantile` is None for a target on the mean."""

    metric: str
    quantile: float | None
    limit_s: float
    actual_s: float | None
    held: bool


@dataclass(frozen=True, slots=True)
class SloResult:
    """`attainment` is a share of all requests; `held` says whether every target holds at its own quantile."""

    attainment: float | None
    goodput_requests_per_s: float | None
    targets: tuple[TargetResult, ...]
    held: bool


@dataclass(frozen=True, slots=True)
class KvCache:
    """Of all replicas together. Usage is a share of the capacity; its peak is that of the fullest replica."""

    capacity_tokens: int
    peak_usage: float | None
    mean_usage: float | None


@dataclass(frozen=True, slots=True)
class PrefixCache:
    """Prompt tokens of completed requests, and those of them that were found in the cache when the request was first admitted."""

    queries_tokens: int
    hit_tokens: int
    hit_rate: float | None


@dataclass(frozen=True, slots=True)
class BatchSizes:
    """Tokens, decoding sequences per step, and requests that run at a time."""

    mean_tokens: float | None
    p50_tokens: float | None
    max_tokens: int | None
    mean_decodes: float | None
    mean_running: float | None


@dataclass(frozen=True, slots=True)
class Utilization:
    """`busy` is a share of the run, the mean over replicas.

    `mfu` and `mbu` are shares of the peak while busy, None where the cost does not know its work.
    """

    busy: float | None
    mfu: float | None
    mbu: float | None


@dataclass(frozen=True, slots=True)
class TimeError:
    """Of step times: half are nearer to the truth than the one, nine in ten nearer than the other."""

    median_pct: float
    p90_pct: float


@dataclass(frozen=True, slots=True)
class RunEstimate:
    """How well the step times are known that all latencies rest on. `classes` are shares of the time."""

    provenance: str
    error: TimeError
    curves: tuple[str, ...]
    sources: tuple[str, ...]
    classes: dict[str, float]


@dataclass(frozen=True, slots=True)
class ReplicaSummary:
    """One replica of a pool, over the whole run. `busy` is a share of the run."""

    replica: int
    num_requests: int
    num_completed: int
    num_output_tokens: int
    num_preemptions: int
    busy: float | None
    kv_peak_usage: float | None


@dataclass(frozen=True, slots=True)
class PoolSummary:
    """What those saw whom the pool served, and its replicas."""

    name: str
    num_replicas: int
    num_requests: int
    num_completed: int
    output_tokens_per_s: float | None
    ttft_s: Distribution
    tpot_s: Distribution
    e2e_s: Distribution
    replicas: tuple[ReplicaSummary, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """One run. Field names are the keys of `summary.json` and of `--json`."""

    num_requests: int
    num_completed: int
    num_rejected: int
    num_shed: int
    num_failed: int
    num_unfinished: int
    duration_s: float
    requests_per_s: float | None
    input_tokens_per_s: float | None
    output_tokens_per_s: float | None
    ttft_s: Distribution
    tpot_s: Distribution
    itl_s: Distribution
    e2e_s: Distribution
    queue_s: Distribution
    normalized_latency_s: Distribution
    slo: SloResult | None
    kv_cache: KvCache
    prefix_cache: PrefixCache | None
    num_preemptions: int
    num_steps: int
    batch: BatchSizes
    utilization: Utilization
    estimate: RunEstimate | None
    pools: tuple[PoolSummary, ...]
    wall_s: float
    simulated_requests_per_wall_s: float | None
    seatrial_version: str

    def as_dict(self) -> dict[str, Any]:  # Any: as nested as JSON is
        """Ready for `json.dumps(..., allow_nan=False)`: a figure that is not a finite number is None."""
        found = _finite(asdict(self))
        assert isinstance(found, dict)
        return found


def summarise(
    tally: Tally,
    pools: Sequence[PoolFacts],
    *,
    by_pool: Mapping[str, Tally] | None = None,
    wall_time: float,
    confidence: Confidence | None = None,
    has_prefix_cache: bool = False,
    version: str = __version__,
) -> Summary:
    """Close the tally and read it. `wall_time` is the seconds that the simulation itself took.

    `by_pool` has those of the pools, each a part of the tally; without it there is one pool.

    What the pools' facts tell (steps, preemptions, KV cache, utilisation) is of the whole run, trimmed or not.
    """
    tally.close()
    num_by_status = {status: int(tally.num_by_status[status]) for status in Status}
    duration = tally.duration
    totals = EngineTotals.of_all(pool.totals for pool in pools)
    return Summary(
        num_requests=tally.num_requests,
        num_completed=num_by_status[Status.COMPLETED],
        num_rejected=num_by_status[Status.REJECTED],
        num_shed=num_by_status[Status.SHED],
        num_failed=num_by_status[Status.FAILED],
        num_unfinished=num_by_status[Status.UNFINISHED],
        duration_s=duration,
        requests_per_s=_ratio(num_by_status[Status.COMPLETED], duration),
        input_tokens_per_s=_ratio(tally.num_prompt_tokens, duration),
        output_tokens_per_s=_ratio(tally.num_output_tokens, duration),
        ttft_s=Distribution.of(tally.sketches["ttft"]),
        tpot_s=Distribution.of(tally.sketches["tpot"]),
        itl_s=Distribution.of(tally.sketches["itl"]),
        e2e_s=Distribution.of(tally.sketches["e2e"]),
        queue_s=Distribution.of(tally.sketches["queue"]),
        normalized_latency_s=Distribution.of(tally.sketches["normalized"]),
        slo=_slo(tally),
        kv_cache=_kv_cache(pools, tally.span),
        prefix_cache=_prefix_cache(tally) if has_prefix_cache else None,
        num_preemptions=totals.num_preemptions,
        num_steps=totals.num_steps,
        batch=_batch(tally, totals),
        utilization=_utilization(pools, tally.span),
        estimate=_estimate(confidence) if confidence else None,
        pools=tuple(_pool(pool, by_pool[pool.name] if by_pool else tally, tally) for pool in pools),
        wall_s=wall_time,
        simulated_requests_per_wall_s=_ratio(tally.num_seen, wall_time),
        seatrial_version=version,
    )


def _kv_cache(pools: Sequence[PoolFacts], span: float) -> KvCache:
    facts = [(pool, replica.totals) for pool in pools for replica in pool.replicas]
    capacity_tokens = sum(pool.capacity_blocks * pool.block_size for pool, _ in facts)
    token_seconds = sum(totals.kv_block_seconds * pool.block_size for pool, totals in facts)
    peaks = [totals.peak_blocks / pool.capacity_blocks for pool, totals in facts if pool.capacity_blocks]
    return KvCache(capacity_tokens, max(peaks, default=None), _ratio(token_seconds, capacity_tokens * span))


def _pool(pool: PoolFacts, own: Tally, whole: Tally) -> PoolSummary:
    own.close()
    replicas = tuple(
        ReplicaSummary(
            replica=each.replica,
            num_requests=each.num_requests,
            num_completed=each.num_completed,
            num_output_tokens=each.num_output_tokens,
            num_preemptions=each.totals.num_preemptions,
            busy=_ratio(each.totals.busy_time, whole.span),
            kv_peak_usage=_ratio(each.totals.peak_blocks, pool.capacity_blocks),
        )
        for each in pool.replicas
    )
    return PoolSummary(
        name=pool.name,
        num_replicas=len(replicas),
        num_requests=own.num_requests,
        num_completed=int(own.num_by_status[Status.COMPLETED]),
        output_tokens_per_s=_ratio(own.num_output_tokens, whole.duration),
        ttft_s=Distribution.of(own.sketches["ttft"]),
        tpot_s=Distribution.of(own.sketches["tpot"]),
        e2e_s=Distribution.of(own.sketches["e2e"]),
        replicas=replicas,
    )


def _slo(tally: Tally) -> SloResult | None:
    if tally.slo is None:
        return None
    targets = tuple(_target(target, tally) for target in tally.slo.targets)
    return SloResult(
        attainment=_ratio(tally.num_attained, tally.num_requests),
        goodput_requests_per_s=_ratio(tally.num_attained, tally.duration),
        targets=targets,
        held=all(target.held for target in targets),
    )


def _target(target: Target, tally: Tally) -> TargetResult:
    sketch = tally.sketches[target.metric]
    if sketch.count:
        actual = sketch.mean if target.quantile is None else sketch.quantile(target.quantile)
        return TargetResult(target.metric, target.quantile, target.seconds, actual, actual <= target.seconds)
    # answers of one token have no gaps that could be too long; a run that answered nothing held nothing
    return TargetResult(target.metric, target.quantile, target.seconds, None, bool(tally.num_by_status[Status.COMPLETED]))


def _prefix_cache(tally: Tally) -> PrefixCache:
    queries, hits = tally.num_prompt_tokens, tally.num_cached_tokens
    return PrefixCache(queries, hits, _ratio(hits, queries))


def _batch(tally: Tally, totals: EngineTotals) -> BatchSizes:
    sizes = sorted(totals.steps_by_tokens.items())
    num_steps = sum(steps for _, steps in sizes)
    running = (
        tally.sketches["e2e"].sum - tally.sketches["queue"].sum
    )  # Little's law: the mean number running is their time running over the time
    return BatchSizes(
        mean_tokens=_ratio(sum(tokens * steps for tokens, steps in sizes), num_steps),
        p50_tokens=_median(sizes),
        max_tokens=sizes[-1][0] if sizes else None,
        mean_decodes=_ratio(totals.num_decodes, totals.num_steps),
        mean_running=_ratio(running, tally.duration),
    )


def _utilization(pools: Sequence[PoolFacts], span: float) -> Utilization:
    busy = [pool.totals.busy_time for pool in pools]
    num_replicas = sum(len(pool.replicas) for pool in pools)
    works = [(pool.work, time) for pool, time in zip(pools, busy) if pool.work is not None]
    known = len(works) == len(pools)
    return Utilization(
        busy=_ratio(sum(busy), num_replicas * span),
        mfu=_ratio(sum(work.flops for work, _ in works), sum(work.peak_flops * time for work, time in works)) if known else None,
        mbu=_ratio(sum(work.bytes for work, _ in works), sum(work.peak_bandwidth * time for work, time in works)) if known else None,
    )


def _estimate(known: Confidence) -> RunEstimate:
    error = TimeError(100 * known.error.median, 100 * known.error.p90)
    return RunEstimate(known.provenance, error, known.curves, known.sources, dict(known.classes))


def _median(counts: list[tuple[int, int]]) -> float | None:
    """Of values and how often each came, sorted by value."""
    upto = list(accumulate(count for _, count in counts))
    if not upto or not upto[-1]:
        return None
    low, high = ((upto[-1] - 1) // 2, upto[-1] // 2)
    at_rank = [next(value for (value, _), end in zip(counts, upto) if rank < end) for rank in (low, high)]
    return sum(at_rank) / 2


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
