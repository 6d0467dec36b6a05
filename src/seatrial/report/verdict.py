"""One remark that an engineer can act on: what holds the replica back, or how much room is left."""

from typing import NamedTuple

import numpy as np

from seatrial.core.units import seconds_text
from seatrial.metrics import Summary
from seatrial.metrics.summary import TargetResult
from seatrial.report.tables import number_text, share_text
from seatrial.report.timeline import Timeline
from seatrial.trial.run import Trial

FULL = 0.97  # of the KV cache, or of the places
GROWN = 3.0  # a queue grows if late arrivals have this many times the TTFT of early ones ...
LONG = 1.0  # ... and at least this many seconds
IDLE_KERNELS = 0.25  # with less of both peaks than this, neither is what a step waits for
FREE = 0.5  # with less than this of both there is enough of either
ALIKE = 0.75  # of the greater of two shares, to count as being as much in use


class Shortage(NamedTuple):
    """What there is too little of, and what would help."""

    what: str
    advice: str


def verdict(trial: Trial, summary: Summary, timeline: Timeline) -> str:
    if not summary.num_requests:
        return "Nothing was counted: trim less, or let more requests come."
    if not summary.num_completed:
        return "Nothing was served: give shorter requests, or a replica with room for them."
    short = shortage(trial, summary)
    missed = next((target for target in summary.slo.targets if not target.held), None) if summary.slo else None
    if trial.scenario.workload.closed_loop is not None:
        users = trial.scenario.workload.closed_loop.concurrency
        promise = f", {missed.metric} missed its target" if missed else ", SLO held" if summary.slo else ""
        answers = f"{users:,} users at a time get {number_text(summary.requests_per_s)} answers/s{promise}"
        return f"{answers}; short of {short.what}: {short.advice}."
    if is_growing(timeline):
        return (
            f"Overloaded, the queue grows: requests come at {number_text(timeline.arrival_rate)}/s and leave at "
            f"{number_text(summary.requests_per_s)}/s. Short of {short.what}: {short.advice}."
        )
    wait = summary.queue_s.p90 or 0.0
    if wait > LONG:
        return f"Overloaded at times: a tenth of the requests wait over {seconds_text(wait)}. Short of {short.what}: {short.advice}."
    if missed:
        return _why_missed(missed, trial, summary, short)
    held = "SLO held, " if summary.slo else ""
    return (
        f"There is room: {held}requests wait {seconds_text(wait)} (p90) to start, "
        f"the KV cache peaks at {share_text(summary.kv_cache.peak_usage)}. A higher --rate finds the limit."
    )


def is_growing(timeline: Timeline) -> bool:
    """Whether those who came in the last quarter of the time waited much longer for an answer than those in the first."""
    ttft = [value for value in timeline.mean_ttft(60) if value is not None]
    quarter = len(ttft) // 4
    if not quarter:
        return False
    early, late = float(np.mean(ttft[:quarter])), float(np.mean(ttft[-quarter:]))
    return late > LONG and late > GROWN * early


def shortage(trial: Trial, summary: Summary) -> Shortage:
    """What the replicas would need more of to serve more."""
    setup, use = trial.setup, summary.utilization
    places = sum(pool.num_replicas * pool.setup.scheduler_engine.max_num_seqs for pool in trial.pools)
    if (summary.kv_cache.peak_usage or 0.0) >= FULL:
        if setup.scheduler in ("orca", "static"):
            return Shortage("reservations", "try a shorter --max-model-len, or a scheduler that reserves less")
        preempted = f", {summary.num_preemptions:,} preemptions" if summary.num_preemptions else ""
        return Shortage(
            f"KV cache (peak {share_text(summary.kv_cache.peak_usage)}{preempted})", "try --kv-cache-dtype fp8, more accelerators"
        )
    if (summary.batch.mean_running or 0.0) >= 0.9 * places:
        return Shortage(f"places ({places:,} run at a time)", "try a higher --max-num-seqs")
    if use.mfu is None or use.mbu is None:
        return Shortage("time", "try a faster accelerator, or more of them")
    if max(use.mfu, use.mbu) < IDLE_KERNELS:
        return Shortage(f"work per step (MFU {share_text(use.mfu)}, MBU {share_text(use.mbu)})", "overheads dominate, try larger batches")
    if max(use.mfu, use.mbu) < FREE:
        neither = f"neither compute nor memory bandwidth (MFU {share_text(use.mfu)}, MBU {share_text(use.mbu)})"
        return Shortage(neither, "`seatrial explain` shows where the time of a step goes")
    if min(use.mfu, use.mbu) > ALIKE * max(use.mfu, use.mbu):
        both = f"compute and memory bandwidth alike (MFU {share_text(use.mfu)}, MBU {share_text(use.mbu)})"
        return Shortage(both, "try a faster accelerator, or more of them")
    if use.mfu >= use.mbu:
        return Shortage(f"compute (MFU {share_text(use.mfu)})", "try fp8 weights, more or faster accelerators")
    return Shortage(f"memory bandwidth (MBU {share_text(use.mbu)})", "try larger batches, weights of fewer bits, more accelerators")


def _why_missed(target: TargetResult, trial: Trial, summary: Summary, short: Shortage) -> str:
    found = f"{target.metric} missed its target, though the queue is short"
    if target.metric in ("ttft", "queue"):
        return f"{found}: the prompts themselves take this long; try a faster accelerator or more tensor parallelism."
    budget = trial.setup.engine.max_num_batched_tokens
    if target.metric == "itl" and (summary.batch.max_tokens or 0) > (summary.batch.mean_decodes or 0.0) * 4:
        if trial.setup.scheduler in ("orca", "static"):
            return f"{found}: decodes share their steps with whole prompts; try a scheduler with a token budget, like vllm-v1."
        return f"{found}: decodes share their steps with prompts; try a lower --max-num-batched-tokens (now {budget:,})."
    return f"{found}: a step is short of {short.what}; {short.advice}."
