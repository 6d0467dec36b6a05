"""The engine and the naive reference agree on everything: times, preemptions, blocks, gaps, sums of work."""

from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis.strategies import SearchStrategy, integers, sampled_from

from reference import SCHEDULERS, Sums
from reference import simulate as simulate_naively
from seatrial.core.batch import Batch, DecodeLaw, RequestOverhead, StepCost
from seatrial.core.deployment import EngineConfig
from seatrial.core.record import GapRuns, RequestRecords, Status
from seatrial.core.request import Arrival, Prefix, Request, Workload
from seatrial.policy.schedulers import make_scheduler
from seatrial.sim.audit import Audit
from seatrial.sim.cruise import cruise
from seatrial.sim.pipeline import make_replica
from seatrial.sim.recorder import Recorder
from seatrial.sim.replica import Replica
from seatrial.sim.simulate import simulate
from seatrial.testing.workloads import Given
from seatrial.workload.closed_loop import closed_loop
from strategies import Case, caching_cases, cases, cruising_cases, impatient_cases

PIECE = 64  # tokens of context


class Windowed:
    """The case's affine cost, with the sliding-window sums made to count, and in half of all cases a jump at every `PIECE` of context."""

    request_overhead = RequestOverhead(0.0, 0.0)

    def __init__(self, case: Case) -> None:
        self.cost = case.cost
        self.attention_window = case.window
        self.is_broken = case.config.block_size % 2 == 0
        self.per_piece = case.cost.base / 8 if self.is_broken else 0.0
        self.per_window_context = case.cost.per_context_token / 2 if case.window else 0.0

    def step_time(self, batch: Batch) -> float:
        windows = batch.window_pairs + batch.window_prompt_context + batch.window_decode_context
        pieces = batch.decode_context // PIECE
        return self.cost(Sums(*batch)) + self.per_window_context * windows + self.per_piece * pieces

    def decode_law(self, num_decodes: int, context: int) -> DecodeLaw:
        cost = self.cost
        low = context // PIECE * PIECE
        base = cost.base + cost.per_decode * num_decodes + self.per_piece * (low // PIECE)
        law = DecodeLaw(base, cost.per_context_token, self.per_window_context)
        return law._replace(min_context=low, max_context=low + PIECE - 1) if self.is_broken else law


def sail(case: Case, workload: Workload | None = None) -> tuple[dict[int, tuple], np.ndarray, Recorder]:
    """Outcomes by row, sorted gaps, and the recorder, of the engine."""
    config, replica = case.config, replica_of(case, Windowed(case))
    records: list[RequestRecords] = []
    gaps: list[GapRuns] = []
    recorder = Recorder(records.append, gaps.append, Audit())
    simulate(workload or given_rows(case), replica, recorder, timeout=config.timeout)
    outcomes = {}
    for some in records:
        for i in range(len(some)):
            done = some.status[i] == Status.COMPLETED
            facts = (some.queue_time[i], some.first_token_time[i], some.finish_time[i], some.num_preemptions[i])
            outcomes[int(some.row[i])] = (done, *facts, some.arrival_time[i], some.num_cached_tokens[i])
    return outcomes, np.sort(np.concatenate([expand(some) for some in gaps])), recorder


def replica_of(case: Case, cost: StepCost) -> Replica:
    config = case.config
    engine = EngineConfig(
        max_num_seqs=config.max_num_seqs,
        max_num_batched_tokens=config.max_num_batched_tokens,
        max_model_len=config.max_model_len,
        block_size=config.block_size,
        watermark=config.watermark,
        long_prefill_token_threshold=config.long_prefill_token_threshold,
        enable_chunked_prefill=config.enable_chunked_prefill,
        scheduler_reserve_full_isl=config.scheduler_reserve_full_isl,
        async_scheduling=config.async_scheduling,
        enable_prefix_caching=config.enable_prefix_caching,
    )
    return make_replica(cost, make_scheduler(config.scheduler, engine), engine, config.num_blocks, config.pipeline_parallel)


def given_rows(case: Case) -> Given:
    size = case.config.prefix_block_tokens
    prefixes = [Prefix(size, row.ids) if row.ids else None for row in case.rows]
    return Given([Arrival(Request(i, row.arrival, row.prompt, None, prefixes[i]), row.output) for i, row in enumerate(case.rows)])


def expand(runs: GapRuns) -> np.ndarray:
    rows = zip(runs.first, runs.increment, runs.num_steps, runs.num_gaps)
    return np.concatenate(
        [np.repeat(first + increment * np.arange(steps), gaps) for first, increment, steps, gaps in rows] or [np.zeros(0)]
    )


def check(case: Case) -> None:
    ours, gaps, recorder = sail(case)
    naive = simulate_naively(case.rows, case.config, lambda sums: Windowed(case).step_time(Batch(*sums)), window=case.window)
    close = partial(pytest.approx, rel=1e-9, abs=1e-12)
    assert len(ours) == len(case.rows)
    for row, outcome in enumerate(naive.outcomes):
        done, queue_time, first_token, finish, num_preemptions, _, num_cached_tokens = ours[row]
        assert done == (outcome.status == "completed")
        if outcome.status == "failed":
            known = (outcome.queue_time, outcome.first_token)
            assert (queue_time, first_token) == close([np.nan if time is None else time for time in known], nan_ok=True)
            assert np.isnan(finish)
            assert num_preemptions == outcome.num_preemptions
        if done:
            assert (queue_time, first_token, finish) == close((outcome.queue_time, outcome.first_token, outcome.finish))
            assert (num_preemptions, num_cached_tokens) == (outcome.num_preemptions, outcome.num_cached_tokens)
    assert gaps == close(np.sort(naive.gaps))
    totals = recorder.totals
    assert totals.num_steps == naive.num_steps
    assert totals.num_preemptions == naive.num_preemptions
    assert totals.peak_blocks == naive.peak_blocks
    sums = np.array([step.sums for step in naive.steps]).sum(axis=0) if naive.steps else np.zeros(10)
    _, tokens, pairs, prompt_context, rows, context, sampled, window_pairs, window_prompt_context, window_context = sums.tolist()
    assert (totals.num_prompt_tokens, totals.prompt_pairs, totals.prompt_context) == (tokens, pairs, prompt_context)
    assert (totals.num_decodes, totals.decode_context, totals.num_sampled) == (rows, context, sampled)
    if case.window:
        windowed = (totals.window_pairs, totals.window_prompt_context, totals.window_decode_context)
        assert windowed == (window_pairs, window_prompt_context, window_context)
    assert sum(totals.steps_by_tokens.values()) == naive.num_steps
    if case.config.pipeline_parallel == 1:
        held = sum((step.end - step.start) * (case.config.num_blocks - step.num_free_blocks) for step in naive.steps)
        # Taken as linear between the ends of a run: at worst all gain their second block in its last step.
        assert totals.kv_block_seconds == pytest.approx(held, rel=0.5)
        assert totals.kv_block_seconds <= totals.peak_blocks * totals.busy_time * (1 + 1e-9)


def hunt(strategy: SearchStrategy[Case], max_examples: int) -> None:
    @settings(max_examples=max_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(strategy)
    def look(case: Case) -> None:
        check(case)

    look()


@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS))
def test_the_engine_equals_the_naive_reference(scheduler):
    hunt(cases(scheduler), 400)


def test_cruising_equals_the_naive_reference(monkeypatch):
    cruised = []

    def counted(replica, arrivals, place):
        reached = cruise(replica, arrivals, place)
        cruised.append(reached - place)
        return reached

    monkeypatch.setattr("seatrial.sim.intake.cruise", counted)
    hunt(cruising_cases(), 300)
    assert sum(cruised) > 300 * 10  # of 30 to 60 requests a case
    assert max(cruised) > 20


def test_a_prefix_cache_equals_the_naive_reference():
    hunt(caching_cases(), 600)


@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS))
def test_a_pipeline_equals_the_naive_reference(scheduler):
    hunt(cases(scheduler, max_rows=30, max_pipeline_parallel=4), 200)


def check_closed_loop(case: Case, concurrency: int, think_time: float) -> None:
    """What a closed loop asks for, and when, is known when it is over: the reference then sees the same arrivals as a trace."""
    assume(case.is_dyadic and not any(case.config.rejects(row) for row in case.rows))
    ours, _, _ = sail(case, closed_loop(given_rows(case), concurrency, think_time))
    order = sorted(ours, key=lambda row: (ours[row][5], row))
    rows = [case.rows[row]._replace(arrival=float(ours[row][5])) for row in order]
    naive = simulate_naively(rows, case.config, lambda sums: Windowed(case).step_time(Batch(*sums)), window=case.window)
    for row, outcome in zip(order, naive.outcomes):
        assert ours[row][:5] == pytest.approx((True, outcome.queue_time, outcome.first_token, outcome.finish, outcome.num_preemptions))
        assert ours[row][6] == outcome.num_cached_tokens


@given(cases("vllm-v1", max_pipeline_parallel=2), integers(1, 6), sampled_from([0.0, 1 / 64, 1.0]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_a_closed_loop_equals_the_naive_reference(case, concurrency, think_time):
    check_closed_loop(case, concurrency, think_time)


@given(caching_cases(), integers(1, 6), sampled_from([0.0, 1 / 64, 1.0]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_a_closed_loop_with_a_prefix_cache_equals_the_naive_reference(case, concurrency, think_time):
    check_closed_loop(case, concurrency, think_time)


@pytest.mark.parametrize("scheduler", sorted({*SCHEDULERS} - {"static"}))
def test_clients_who_give_up_equal_the_naive_reference(scheduler):
    hunt(impatient_cases(cases(scheduler)), 100)


def test_clients_of_a_prefix_cache_who_give_up_equal_the_naive_reference():
    hunt(impatient_cases(caching_cases()), 300)


@pytest.mark.slow
def test_clients_who_give_up_equal_the_naive_reference_over_a_long_hunt():
    hunt(impatient_cases(caching_cases(max_rows=40)), 2000)
    hunt(impatient_cases(cases("vllm-v1", max_rows=40)), 2000)


@pytest.mark.slow
def test_a_prefix_cache_equals_the_naive_reference_over_a_long_hunt():
    hunt(caching_cases(max_rows=40), 2000)


@pytest.mark.slow
def test_cruising_equals_the_naive_reference_over_a_long_hunt():
    hunt(cruising_cases(max_rows=120), 1000)


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS))
def test_the_engine_equals_the_naive_reference_over_a_long_hunt(scheduler):
    hunt(cases(scheduler, max_rows=40, max_pipeline_parallel=3), 1000)
