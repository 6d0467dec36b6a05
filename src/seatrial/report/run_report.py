"""What `seatrial run` shows people of a run."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from seatrial.core.units import seconds_text
from seatrial.metrics import Summary
from seatrial.metrics.summary import SloResult
from seatrial.report.chart import Columns
from seatrial.report.setup_report import fleet_lines
from seatrial.report.tables import NOTHING, heading, number_text, pairs, paragraph, seconds_in, share_text, table, unit_for
from seatrial.report.timeline import Timeline
from seatrial.report.verdict import verdict
from seatrial.report.workload_line import requests_text, workload_line
from seatrial.trial.notes import notes
from seatrial.trial.outcome import price_per_million_tokens
from seatrial.trial.run import Trial
from seatrial.trial.scenario import Scenario

CHART_WIDTH = 60


def run_report(trial: Trial, summary: Summary, timeline: Timeline) -> RenderableType:
    return Group(*_parts(trial, summary, timeline))


def _parts(trial: Trial, summary: Summary, timeline: Timeline) -> Iterator[RenderableType]:
    yield fleet_lines(trial)
    yield workload_line(trial, timeline)
    yield from trimmed_line(trial.scenario)
    if summary.num_completed:
        yield latency_table(summary)
        yield from pool_table(summary)
        if summary.slo:
            yield slo_table(summary.slo)
        yield pairs(throughput_rows(trial, summary))
        yield from estimate_line(summary)
        yield from balance_table(summary)
        yield from ttft_chart(timeline)
    yield Text()
    yield paragraph(verdict(trial, summary, timeline), style="bold")
    for note in notes(trial, summary):
        yield paragraph(note, label="note: ", style="dim")
    yield paragraph(f"{requests_text(timeline.num_arrivals)} simulated in {seconds_text(summary.wall_s)}", style="dim")


def trimmed_line(scenario: Scenario) -> Iterator[RenderableType]:
    """Only where there is a warm-up or a cool-down."""
    ends = [f"the {end} {seconds:g} s" for end, seconds in (("first", scenario.warmup), ("last", scenario.cooldown)) if seconds]
    if ends:
        yield paragraph(f"Requests, latencies and throughput leave out who came in {' and '.join(ends)}.", style="dim")


def latency_table(summary: Summary) -> Table:
    rows = {
        "TTFT": summary.ttft_s,
        "TPOT": summary.tpot_s,
        "ITL": summary.itl_s,
        "E2E": summary.e2e_s,
        "queue": summary.queue_s,
    }
    made = table("<latency", "<", "mean", "p50", "p90", "p95", "p99", "max")
    for name, found in rows.items():
        unit = unit_for(found.p90)
        values = (found.mean, found.p50, found.p90, found.p95, found.p99, found.max)
        made.add_row(name, unit, *(seconds_in(unit, value) for value in values))
    return made


def pool_table(summary: Summary) -> Iterator[RenderableType]:
    """Only where there are several: what those saw whom each served."""
    if len(summary.pools) == 1:
        return
    unit = unit_for(summary.ttft_s.p90)
    made = table("<pool", "requests", f"TTFT {unit}: p50", "p90", "p99", "TPOT ms: p50", "p90", "E2E s: p90")
    for pool in summary.pools:
        ttft, tpot = pool.ttft_s, pool.tpot_s
        made.add_row(
            pool.name,
            f"{pool.num_requests:,}",
            *(seconds_in(unit, value) for value in (ttft.p50, ttft.p90, ttft.p99)),
            *(seconds_in("ms", value) for value in (tpot.p50, tpot.p90)),
            seconds_in("s", pool.e2e_s.p90),
        )
    yield made


def slo_table(slo: SloResult) -> Table:
    made = table("<SLO", "limit", "actual", "<", "attainment", "goodput")
    whole = (share_text(slo.attainment), f"{number_text(slo.goodput_requests_per_s)} requests/s")
    for target in slo.targets:
        name = f"{target.metric} {'mean' if target.quantile is None else f'p{100 * target.quantile:g}'}"
        actual = NOTHING if target.actual_s is None else seconds_text(target.actual_s)
        outcome = Text("held", style="green") if target.held else Text("missed", style="bold red")
        made.add_row(name, seconds_text(target.limit_s), actual, outcome, *whole)
        whole = ("", "")
    return made


def throughput_rows(trial: Trial, summary: Summary) -> list[tuple[str, str]]:
    use, batch, kv = summary.utilization, summary.batch, summary.kv_cache
    price = price_per_million_tokens(trial, summary)
    found = [("found in prefix cache", share_text(summary.prefix_cache.hit_rate))] if summary.prefix_cache else []
    return [
        ("requests/s", number_text(summary.requests_per_s)),
        ("input tokens/s", number_text(summary.input_tokens_per_s)),
        ("output tokens/s", number_text(summary.output_tokens_per_s)),
        ("completed", f"{summary.num_completed:,}"),
        ("rejected", f"{summary.num_rejected:,}"),
        ("preemptions", f"{summary.num_preemptions:,}"),
        ("$ per hour", f"{trial.price_per_hour:,.2f}"),
        ("$ per M output tokens", number_text(price)),
        ("busy", share_text(use.busy)),
        ("MFU, MBU while busy", f"{share_text(use.mfu)}, {share_text(use.mbu)}"),
        ("KV cache peak, mean", f"{share_text(kv.peak_usage)}, {share_text(kv.mean_usage)}"),
        ("running at a time", number_text(batch.mean_running)),
        ("decodes a step", number_text(batch.mean_decodes)),
        ("tokens a step: mean", number_text(batch.mean_tokens)),
        ("max", NOTHING if batch.max_tokens is None else f"{batch.max_tokens:,}"),
        ("steps", f"{summary.num_steps:,}"),
        *found,
    ]


def balance_table(summary: Summary) -> Iterator[RenderableType]:
    """Only for a fleet: how evenly the replicas of each pool are used, from the least to the most."""
    if sum(pool.num_replicas for pool in summary.pools) == 1:
        return
    made = table("<pool", "replicas", "requests each", "busy %", "KV peak %", "preempted")
    for pool in summary.pools:
        each = pool.replicas
        made.add_row(
            pool.name,
            f"{pool.num_replicas:,}",
            range_text([one.num_requests for one in each], "{:,.0f}"),
            range_text([100 * (one.busy or 0.0) for one in each], "{:.1f}"),
            range_text([100 * (one.kv_peak_usage or 0.0) for one in each], "{:.1f}"),
            f"{sum(one.num_preemptions for one in each):,}",
        )
    yield made


def range_text(values: Sequence[float], form: str) -> str:
    """`120 - 131`, or one number where they look alike."""
    least, most = form.format(min(values)), form.format(max(values))
    return least if least == most else f"{least} - {most}"


def estimate_line(summary: Summary) -> Iterator[RenderableType]:
    """Only where the cost knows how sure it is."""
    if (known := summary.estimate) is not None:
        error = f"+-{known.error.median_pct:.0f} % (p90 {known.error.p90_pct:.0f} %)"
        yield paragraph(f"{KNOWN[known.provenance]}, {error}", label="  step times  ")


KNOWN = {
    "measured": "measured on this accelerator",
    "interpolated": "between sizes measured on this accelerator",
    "scaled": "scaled from other sizes, formats or accelerators, or by the engine's profile",
    "roofline": "shares of the peaks, nothing like it measured",
}


def ttft_chart(timeline: Timeline) -> Iterator[RenderableType]:
    """Only where a run is long enough to have a course."""
    values = timeline.mean_ttft(CHART_WIDTH)
    known = [value for value in values if value is not None]
    if len(known) < 10:
        return
    yield heading("mean TTFT by time of arrival")
    span = timeline.last_arrival - timeline.first_arrival
    yield Columns(values, top=seconds_text(max(known)), left="0", right=seconds_text(span))
