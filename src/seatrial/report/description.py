"""What a trace is like, for people: tables, and charts of its rate and lengths."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table

from seatrial.core.units import seconds_text
from seatrial.report.chart import Columns
from seatrial.report.tables import heading, number_text, paragraph, share_text, table
from seatrial.report.traffic import Traffic, bar
from seatrial.workload.describe import Description, LengthSummary, SessionSummary
from seatrial.workload.spec import ArrivalProcess, Distribution

BAR_WIDTH = 18
ENOUGH = 64  # requests for a rate over time to say anything


def description_report(told: Description, traffic: Traffic, *, ascii_only: bool = False) -> Iterator[RenderableType]:
    yield heading("Arrivals")
    yield from arrivals(told)
    if told.num_requests >= ENOUGH:
        yield from rate_chart(traffic)
    if told.windows:
        yield windows(told)
    yield heading("Lengths, in tokens")
    yield lengths(told)
    if told.rank_correlation is not None:
        yield paragraph(f"Rank correlation of input and output: {told.rank_correlation:.2f}")
    yield length_chart(traffic, ascii_only)
    yield from structure(told)
    yield heading("The generator that resembles it best")
    yield from best_fit(told)


def arrivals(told: Description) -> Iterator[RenderableType]:
    span = f"{number_of(told.num_requests, 'request')} in {seconds_text(told.span)}"
    yield paragraph(span if told.rate is None else f"{span}, {number_text(told.rate)} per second")
    if told.interarrival_cv is not None:
        clock = f"; the clock moves in steps of {seconds_text(told.time_step)}" if told.time_step else ""
        yield paragraph(f"CV of the gaps between arrivals: {number_text(told.interarrival_cv)} (1 for Poisson){clock}")


def rate_chart(traffic: Traffic) -> Iterator[RenderableType]:
    width, rates = traffic.rate_over_time()
    if len(rates) >= 8:
        yield ""
        yield Columns(rates, top=f"{number_text(max(rates))}/s", left="0", right=seconds_text(width * len(rates)))


def windows(told: Description) -> Table:
    made = table("window", "windows", "variance / mean of counts", "fullest / mean")
    for each in told.windows:
        made.add_row(seconds_text(each.window), f"{each.num_windows:,}", number_text(each.dispersion), number_text(each.peak_over_mean))
    return made


def lengths(told: Description) -> Table:
    made = table("<", "mean", "CV", "p50", "p90", "p99", "max")
    for name, row in (("input", told.input), ("output", told.output)):
        made.add_row(name, *length_row(row))
    return made


def length_row(row: LengthSummary) -> tuple[str, ...]:
    return (f"{row.mean:,.1f}", number_text(row.cv), *(f"{tokens:,}" for tokens in (row.p50, row.p90, row.p99, row.max)))


def length_chart(traffic: Traffic, ascii_only: bool) -> Table:
    made = table("tokens", "", "<input", "", "<output")
    made.padding = (0, 1, 0, 0)
    shares = traffic.length_shares()
    top = max((share for row in shares for share in (row.input, row.output)), default=1.0)
    for row in shares:
        bars = [(percent(share), bar(share / top, BAR_WIDTH, ascii_only=ascii_only)) for share in (row.input, row.output)]
        made.add_row(f"{row.low:,} to {row.high:,}" if row.high > row.low else f"{row.low}", *bars[0], *bars[1])
    return made


def percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share else ""


def structure(told: Description) -> Iterator[RenderableType]:
    """Sessions and shared prefixes, where the trace has them."""
    if (sessions := told.sessions) is not None:
        yield heading("Sessions")
        yield paragraph(session_text(sessions))
    if (prefixes := told.prefixes) is not None:
        yield heading("Shared prefixes")
        yield paragraph(
            f"An endless cache would have held {share_text(prefixes.block_hit_share)} of the {prefixes.num_blocks:,} blocks, "
            f"and {share_text(prefixes.token_hit_share)} of the prompt tokens, of the {prefixes.num_requests:,} requests that name theirs"
        )


def session_text(sessions: SessionSummary) -> str:
    if sessions.num_sessions == 1:
        return f"One session of {number_of(sessions.turns_max, 'turn')}"
    return (
        f"{sessions.num_sessions:,} sessions of {number_text(sessions.turns_mean)} turns on average, {sessions.turns_max:,} at most; "
        f"{share_text(sessions.multi_turn_share)} have more than one"
    )


def number_of(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"


def best_fit(told: Description) -> Iterator[RenderableType]:
    found = {"arrivals": told.arrival_fit, "input": told.input_fit, "output": told.output_fit}
    for name, fit in found.items():
        if fit is not None:
            yield paragraph(f"{law_text(fit.best)}: {fit.criterion}", label=f"{name:<10}")


def law_text(law: ArrivalProcess | Distribution) -> str:
    """`gamma (rate 5.53, cv 1.09)`; of a list of values only the number."""
    said = law.model_dump(exclude_none=True)
    name = said.pop("process", None) or said.pop("distribution")
    said.pop("weights", None)
    numbers = (f"{key} {value:g}" if isinstance(value, float) else f"{len(value)} {key}" for key, value in said.items())
    return f"{name} ({', '.join(numbers)})"
