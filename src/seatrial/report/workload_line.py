"""A workload in one line."""

from pathlib import Path

from rich.text import Text

from seatrial.report.tables import number_text, paragraph
from seatrial.report.timeline import Timeline
from seatrial.trial.run import Trial
from seatrial.trial.scenario import TraceSpec
from seatrial.workload.spec import WorkloadSpec


def workload_line(trial: Trial, timeline: Timeline) -> Text:
    workload, seed = trial.scenario.workload, trial.scenario.seed
    words = trace_words(workload) if isinstance(workload, TraceSpec) else generator_words(workload)
    if workload.closed_loop is not None:
        words.append(f"{workload.closed_loop.concurrency:,} users")
        if workload.closed_loop.think_time:
            words.append(f"think time {workload.closed_loop.think_time:g} s")
    elif timeline.arrival_rate is not None:
        words.append(f"{number_text(timeline.arrival_rate)} requests/s")
    if not isinstance(workload, TraceSpec):
        words.append(f"seed {seed}")
    return paragraph(", ".join(words))


def trace_words(trace: TraceSpec) -> list[str]:
    words = [Path(trace.trace).name]
    if trace.limit is not None:
        words.append(f"its first {requests_text(trace.limit)}")
    if trace.speedup is not None:
        words.append(f"{trace.speedup:g} times as fast")
    if trace.num_requests is not None:
        words.append(f"end to end up to {requests_text(trace.num_requests)}")
    return words


def generator_words(spec: WorkloadSpec) -> list[str]:
    kind = "closed loop" if spec.arrivals is None else f"{spec.arrivals.process} arrivals{' of sessions' if spec.sessions else ''}"
    size = requests_text(spec.num_requests) if spec.num_requests is not None else f"{spec.duration:g} s"
    return [kind, size]


def requests_text(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"
