"""What a run amounts to, as people and programs read it. docs/metrics.md defines every figure."""

import math
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from seatrial.core.curves import Confidence
from seatrial.core.record import EngineTotals, Status, Work
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
    """Usage as a share of the capacity."""

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
    """`busy` is a share of the run; `mfu` and `mbu` are shares of the peak while busy, None where the cost does not know its work."""

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
    totals: EngineTotals,
    *,
    capacity_blocks: int,
    block_size: int,
    wall_time: float,
    work: Work | None = None,
    confidence: Confidence | None = None,
    has_prefix_cache: bool = False,
    version: str = __version__,
) -> Summary:
    """Close the tally and read it. `wall_time` is the seconds that the simulation itself took.

    What `totals` tells (steps, preemptions, KV cache, utilisation) is of the whole run, trimmed or not.
    """
    tally.close()
    num_by_status = {status: int(tally.num_by_status[status]) for status in Status}
    duration = tally.duration
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
        kv_cache=KvCache(
            capacity_tokens=capacity_blocks * block_size,
            peak_usage=_ratio(totals.peak_blocks, capacity_blocks),
            mean_usage=_ratio(totals.kv_block_seconds, capacity_blocks * tally.span),
        ),
        prefix_cache=_prefix_cache(tally) if has_prefix_cache else None,
        num_preemptions=totals.num_preemptions,
        num_steps=totals.num_steps,
        batch=_batch(tally, totals),
        utilization=_utilization(totals, tally.span, work),
        estimate=_estimate(confidence) if confidence else None,
        wall_s=wall_time,
        simulated_requests_per_wall_s=_ratio(tally.num_seen, wall_time),
        seatrial_version=version,
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


def _utilization(totals: EngineTotals, span: float, work: Work | None) -> Utilization:
    return Utilization(
        busy=_ratio(totals.busy_time, span),
        mfu=_ratio(work.flops, work.peak_flops * totals.busy_time) if work else None,
        mbu=_ratio(work.bytes, work.peak_bandwidth * totals.busy_time) if work else None,
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
