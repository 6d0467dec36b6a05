"""Workloads and configurations for the reference and the engine, drawn to hit the corners: ties, one-token requests, full memory.

A choice that does nothing special stands first among its kind, so that a failure shrinks to a plain case.
"""

from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

from hypothesis import strategies as st

from reference import SCHEDULERS, Config, Cost, Row

# Irregular numbers are whole multiples of these. No small sum of step times equals a difference of arrivals, so nothing ties by chance.
ARRIVAL_UNIT = 0.027182818284590453
COST_UNITS = Cost(0.01234567890123, 0.00031415926535, 0.0000057721566, 0.000707106781186, 0.0000141421356)

LENGTHS = st.sampled_from([1, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 16, 17, 20, 23, 27, 31, 32, 33, 40])
BLOCK_SIZES = st.sampled_from([1, 1, 2, 2, 3, 4, 4, 5, 6, 7, 8, 11, 13, 16, 17, 24, 31, 32])
SEATS = st.sampled_from([256, 256, 8, 6, 5, 4, 3, 2, 1])
BUDGETS = st.sampled_from([4096, 4096, 64, 40, 32, 21, 16, 12, 9, 8, 7, 6, 5, 4, 3, 2, 1])
WATERMARKS = st.sampled_from([None, None, 0.0, 0.01, 0.1, 0.3, 0.9])
THRESHOLDS = st.sampled_from([None, None, 16, 9, 5, 4, 3, 2, 1])
WINDOWS = st.sampled_from([None, None, 1, 2, 3, 5, 8, 13, 32])


class Case(NamedTuple):
    """Rows in order of arrival. With `is_dyadic` float arithmetic is exact, and arrivals tie with the ends of steps."""

    rows: list[Row]
    config: Config
    cost: Cost
    window: int | None
    is_dyadic: bool


@st.composite
def cases(draw: st.DrawFn, scheduler: str | None = None, *, max_rows: int = 12, max_pipeline_parallel: int = 1) -> Case:
    """A case for this scheduler, or for any."""
    is_dyadic = draw(st.booleans())
    rows = draw(workloads(1 / 64 if is_dyadic else ARRIVAL_UNIT, max_rows))
    name = draw(st.sampled_from(sorted(SCHEDULERS))) if scheduler is None else scheduler
    # thirds of a dyadic number are not exact
    stages = [num for num in range(1, max_pipeline_parallel + 1) if not is_dyadic or num in (1, 2, 4)]
    config = draw(configs(rows, name, draw(st.sampled_from(stages))))
    return Case(rows, config, draw(dyadic_costs() if is_dyadic else irregular_costs()), draw(WINDOWS), is_dyadic)


@st.composite
def caching_cases(draw: st.DrawFn, *, max_rows: int = 12) -> Case:
    """One with a prefix cache, and prompts of which many begin alike, some of them over and over again."""
    case = draw(cases("vllm-v1", max_rows=max_rows))
    size = draw(st.sampled_from([1, 2, 3, 4, 5, 8, 16, 32]))
    ids = st.lists(st.sampled_from([1, 1, 1, 2, 3]), max_size=max(row.prompt for row in case.rows) // size + 1).map(tuple)
    known = st.sampled_from(draw(st.lists(ids, min_size=1, max_size=3)))
    rows = [row._replace(ids=draw(known if draw(st.booleans()) else ids)[: -(-row.prompt // size)]) for row in case.rows]
    return case._replace(rows=rows, config=replace(case.config, enable_prefix_caching=True, prefix_block_tokens=size))


@st.composite
def impatient_cases(draw: st.DrawFn, of: st.SearchStrategy[Case]) -> Case:
    """One whose clients give up after a while: at once, in the middle of things, or hardly ever."""
    case = draw(of)
    timeout = draw(st.sampled_from([1, 2, 4, 7, 16, 40, 100])) * (1 / 64 if case.is_dyadic else ARRIVAL_UNIT * 1.0123)
    return case._replace(config=replace(case.config, timeout=timeout))


@st.composite
def cruising_cases(draw: st.DrawFn, *, max_rows: int = 60) -> Case:
    """One whose requests mostly start whole in the next step, several at once, but now and then just fail to."""
    is_dyadic = draw(st.booleans())
    unit = 1 / 64 if is_dyadic else ARRIVAL_UNIT
    gaps = st.sampled_from([0, 0, 1, 1, 2, 3, 5, 8, 13, 40])
    drawn = draw(st.lists(st.tuples(gaps, LENGTHS, LENGTHS), min_size=max_rows // 2, max_size=max_rows))
    moments = accumulate(gap for gap, _, _ in drawn)
    rows = [Row(moment * unit, prompt, output) for moment, (_, prompt, output) in zip(moments, drawn)]
    block_size = draw(BLOCK_SIZES)
    longest = max(row.prompt + row.output for row in rows)
    few = st.integers(1, 6)
    config = Config(
        "vllm-v1",
        num_blocks=draw(st.sampled_from([1000, draw(few) * -(-longest // block_size) + draw(st.integers(0, 3))])),
        block_size=block_size,
        max_num_seqs=draw(st.sampled_from([256, draw(few) + 2])),
        max_num_batched_tokens=draw(st.sampled_from([4096, draw(few) * max(row.prompt for row in rows) + draw(st.integers(0, 3))])),
        max_model_len=longest - draw(st.sampled_from([0, 0, 1])),
        long_prefill_token_threshold=draw(st.sampled_from([None, None, 32, 17])),
        scheduler_reserve_full_isl=draw(st.booleans()),
        async_scheduling=draw(st.booleans()),
    )
    return Case(rows, config, draw(dyadic_costs() if is_dyadic else irregular_costs()), None, is_dyadic)


@st.composite
def workloads(draw: st.DrawFn, unit: float, max_rows: int) -> list[Row]:
    """All at once, a burst within a few steps, or a trickle: whole multiples of `unit` within a span."""
    counts = st.integers(0, draw(st.sampled_from([0, 7, 31, 255])))
    rows = draw(st.lists(st.tuples(counts, LENGTHS, LENGTHS), min_size=1, max_size=max_rows))
    return [Row(count * unit, prompt, output) for count, prompt, output in sorted(rows, key=lambda row: row[0])]


@st.composite
def configs(draw: st.DrawFn, rows: list[Row], scheduler: str, pipeline_parallel: int = 1) -> Config:
    """An engine in which these rows fit, often barely; now and then it rejects the longest."""
    max_model_len = max(1, max(row.prompt + row.output for row in rows) + draw(st.sampled_from([0, 0, 0, 1, 8, 40, -2])))
    block_size = draw(BLOCK_SIZES)
    enable_chunked_prefill = scheduler != "vllm-v1" or draw(st.sampled_from([True, True, True, False]))
    budget = draw(BUDGETS)
    return Config(
        scheduler,
        num_blocks=draw(capacities(rows, scheduler, block_size, max_model_len)),
        block_size=block_size,
        max_num_seqs=draw(SEATS),
        max_num_batched_tokens=budget if enable_chunked_prefill else max(budget, max_model_len),
        max_model_len=max_model_len,
        watermark=draw(WATERMARKS),
        long_prefill_token_threshold=draw(THRESHOLDS),
        enable_chunked_prefill=enable_chunked_prefill,
        scheduler_reserve_full_isl=draw(st.booleans()),
        pipeline_parallel=pipeline_parallel,
        async_scheduling=pipeline_parallel == 1 and draw(st.booleans()),
    )


@st.composite
def capacities(draw: st.DrawFn, rows: list[Row], scheduler: str, block_size: int, max_model_len: int) -> int:
    """KV blocks: ample, tight, barely the largest request's, fewer than that; where they are reserved, a few reservations and a rest."""
    needs = [-(-(row.prompt + row.output - 1) // block_size) for row in rows]
    if scheduler in ("orca", "static"):
        reservation = -(-max_model_len // block_size)
        return draw(st.sampled_from([1000, 5 * reservation - 1, 3 * reservation, 2 * reservation, reservation, max(needs)]))
    spare = (sum(needs) - max(needs)) // 4
    tight = [sum(needs), max(needs) + 2 * spare, max(needs) + spare, max(needs) + 2, max(needs) + 1, max(needs), max(needs) - 1]
    return max(1, draw(st.sampled_from(tight)))


@st.composite
def dyadic_costs(draw: st.DrawFn) -> Cost:
    """Half of them keep every step's end on the grid of arrivals."""
    base = draw(st.sampled_from([1, 2, 3, 4])) / 64
    if draw(st.booleans()):
        return Cost(base, per_decode=draw(st.sampled_from([0, 1])) / 64)
    return Cost(base, *(draw(st.sampled_from([0, 1, 3])) * 2.0**-exponent for exponent in (10, 16, 8, 12)))


@st.composite
def irregular_costs(draw: st.DrawFn) -> Cost:
    counts = draw(st.tuples(st.integers(1, 5), *[st.integers(0, 5)] * 4))
    return Cost(*(count * unit for count, unit in zip(counts, COST_UNITS)))
