"""A fleet decides and serves as a naive one does that runs all anew for every decision."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis.strategies import SearchStrategy, integers, one_of

from reference.fleet import Fleet as NaiveFleet
from reference.fleet import route, route_closed_loop
from seatrial.core.batch import Batch, RequestOverhead
from seatrial.core.record import RequestRecords, Status
from seatrial.core.request import Workload
from seatrial.policy.named import router_named
from seatrial.policy.router import Router
from seatrial.sim.audit import Audit
from seatrial.sim.endpoint import Clock, Endpoint
from seatrial.sim.fleet import Fleet
from seatrial.sim.recorder import Recorder
from seatrial.sim.sail import sail
from seatrial.workload.closed_loop import closed_loop
from sim.test_exactness import Windowed, given_rows, replica_of
from strategies import ARRIVAL_UNIT, Case, caching_cases, cases, cruising_cases, impatient_cases


def least_outstanding(seen):
    return min(range(len(seen)), key=lambda index: seen[index].num_outstanding)


def least_kv(seen):
    return min(range(len(seen)), key=lambda index: (seen[index].num_used_blocks, seen[index].num_outstanding))


class Behind(Windowed):
    """The case's cost behind a front end."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.request_overhead = overhead_of(case)


def overhead_of(case: Case) -> RequestOverhead:
    """Some cases have none; in all others arrivals come while earlier ones are on their way to the engine.

    The reference does not tell clients who give up from the engine's front door.
    """
    if case.config.timeout is not None:
        return RequestOverhead(0.0, 0.0)
    unit = 1 / 64 if case.is_dyadic else ARRIVAL_UNIT * 1.00123
    return RequestOverhead(*((0.0, 0.0), (unit / 2, unit / 4), (2 * unit, unit))[case.config.num_blocks % 3])


def run(case: Case, router: Router, num_replicas: int, workload: Workload | None = None, view_delay: float = 0.0) -> dict[int, tuple]:
    """By row: its replica, status, first token, finish."""
    records: list[RequestRecords] = []
    clock, endpoints = Clock(), []
    for index in range(num_replicas):
        recorder = Recorder(records.append, lambda gaps: None, Audit(), replica=index)
        replica, timeout = replica_of(case, Behind(case)), case.config.timeout
        endpoints.append(Endpoint(index, "main", replica, recorder, max_num_seqs=9, clock=clock, timeout=timeout, view_delay=view_delay))
    sail(workload or given_rows(case), Fleet(endpoints, clock, router, Random(0)))
    return {
        int(some.row[i]): (some.replica, int(some.status[i]), float(some.first_token_time[i]), float(some.finish_time[i]))
        for some in records
        for i in range(len(some))
    }


def naive_fleet(case: Case, num_replicas: int, view_delay: float = 0.0) -> NaiveFleet:
    return NaiveFleet(num_replicas, case.config, lambda sums: Windowed(case).step_time(Batch(*sums)), *overhead_of(case), view_delay)


def compare(ours: dict[int, tuple], naive: NaiveFleet) -> None:
    statuses = {"completed": Status.COMPLETED, "failed": Status.FAILED, "rejected": Status.REJECTED}
    assert [ours[row][0] for row in range(len(ours))] == [replica for replica, _ in naive.places]
    for row, outcome in enumerate(naive.outcomes()):
        _, status, first_token, finish = ours[row]
        assert status == statuses[outcome.status]
        if outcome.status == "completed":
            expected = (outcome.first_token + naive.after, outcome.finish + naive.after)
            assert (first_token, finish) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def hunt(of: SearchStrategy[Case], check: Callable[[Case, int], None], max_examples: int) -> None:
    @settings(max_examples=max_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
    @given(of, integers(2, 4))
    def look(case: Case, num_replicas: int) -> None:
        check(case._replace(window=None), num_replicas)

    look()


def check_shortest_queue(case: Case, num_replicas: int) -> None:
    naive = naive_fleet(case, num_replicas)
    route(case.rows, naive, least_outstanding)
    compare(run(case, router_named("least-outstanding"), num_replicas), naive)


def test_the_shortest_queue_is_joined_as_by_a_naive_fleet():
    hunt(cases(max_pipeline_parallel=2), check_shortest_queue, 200)
    hunt(cruising_cases(max_rows=30), check_shortest_queue, 60)
    hunt(one_of(caching_cases(), impatient_cases(cases("vllm-v1")), impatient_cases(caching_cases())), check_shortest_queue, 200)


def check_used_blocks(case: Case, num_replicas: int) -> None:
    """As of now in some cases, in others as of the last time that the engines were asked."""
    case = case._replace(config=replace(case.config, async_scheduling=False))
    delay = (0.0, 3 / 64, 1.0)[len(case.rows) % 3]
    naive = naive_fleet(case, num_replicas, delay)
    route(case.rows, naive, least_kv)
    compare(run(case, router_named("least-kv"), num_replicas, view_delay=delay), naive)


def test_used_blocks_are_seen_as_by_a_naive_fleet():
    hunt(one_of(cases("vllm-v1"), cases("vllm-v0"), caching_cases()), check_used_blocks, 300)
    hunt(cruising_cases(max_rows=30), check_used_blocks, 100)


@pytest.mark.parametrize("think_time", [0.0, 1 / 64, 1.0])
@pytest.mark.parametrize("view_delay", [0.0, 3 / 64])
def test_used_blocks_are_seen_in_a_closed_loop_as_by_a_naive_fleet(think_time, view_delay):
    def check(case: Case, num_replicas: int) -> None:
        assume(case.is_dyadic and not any(case.config.rejects(row) for row in case.rows))
        case = case._replace(config=replace(case.config, async_scheduling=False))
        naive = naive_fleet(case, num_replicas, view_delay)
        route_closed_loop(case.rows, naive, least_kv, num_replicas + 1, think_time)
        workload = closed_loop(given_rows(case), num_replicas + 1, think_time)
        compare(run(case, router_named("least-kv"), num_replicas, workload, view_delay), naive)

    hunt(one_of(cases("vllm-v1"), cases("vllm-v0"), caching_cases()), check, 60)


@pytest.mark.parametrize("think_time", [0.0, 1 / 64, 1.0])
def test_a_closed_loop_is_served_as_by_a_naive_fleet(think_time):
    def check(case: Case, num_replicas: int) -> None:
        assume(case.is_dyadic and not any(case.config.rejects(row) for row in case.rows))
        naive = naive_fleet(case, num_replicas)
        route_closed_loop(case.rows, naive, least_outstanding, num_replicas + 1, think_time)
        workload = closed_loop(given_rows(case), num_replicas + 1, think_time)
        compare(run(case, router_named("least-outstanding"), num_replicas, workload), naive)

    hunt(one_of(cases(max_pipeline_parallel=2), caching_cases()), check, 60)


@pytest.mark.slow
def test_a_fleet_equals_the_naive_one_over_a_long_hunt():
    hunt(cases(max_rows=40, max_pipeline_parallel=3), check_shortest_queue, 1000)
    hunt(impatient_cases(caching_cases(max_rows=40)), check_shortest_queue, 1000)
    hunt(one_of(cases("vllm-v1", max_rows=40), cases("vllm-v0", max_rows=40), caching_cases(max_rows=40)), check_used_blocks, 1000)
