"""The engine, worked out by hand, and what it must not cost."""

from dataclasses import replace

import pytest

from seatrial.core.deployment import EngineConfig
from seatrial.core.errors import PolicyError
from seatrial.core.record import Status
from seatrial.core.request import Arrival, Request
from seatrial.core.scheduling import Chunk, StepPlan
from seatrial.cost import AffineCost
from seatrial.policy.schedulers import make_scheduler
from seatrial.sim.audit import Audit, AuditError
from seatrial.sim.jump import steps_until
from seatrial.sim.pipeline import make_replica
from seatrial.sim.recorder import Recorder
from seatrial.sim.simulate import simulate
from seatrial.testing import Given

ENGINE = EngineConfig(max_num_seqs=8, max_num_batched_tokens=64, max_model_len=100_000)


class Sailed:
    """A run's ended sequences by row, its recorder and its replica."""

    def __init__(self, arrivals, cost, *, num_blocks=10_000, engine=ENGINE, workload=None):
        self.replica = make_replica(cost, make_scheduler("vllm-v1", engine), engine, num_blocks)
        self.rows = {}
        self.num_entries = 0
        self.recorder = Recorder(self.keep, lambda gaps: None, Audit())
        simulate(workload or Given(arrivals), self.replica, self.recorder)

    def keep(self, records):
        columns = zip(records.row, records.status, records.first_token_time, records.finish_time, records.num_preemptions)
        self.rows.update({row: rest for row, *rest in columns})


def test_a_lone_request_takes_its_prompt_and_then_a_step_per_token():
    cost = AffineCost(base=1.0, per_prompt_token=0.1, per_decode=0.5, per_context_token=0.01)
    found = Sailed([Arrival(Request(0, 2.0, 10), 4)], cost)
    first = 2.0 + 1 + 0.1 * 10
    contexts = 11 + 12 + 13
    assert found.rows[0] == [Status.COMPLETED, pytest.approx(first), pytest.approx(first + 3 * 1.5 + 0.01 * contexts), 0]


def test_an_arrival_in_the_middle_of_a_jump_is_seen_at_the_next_boundary():
    cost = AffineCost(base=1.0)
    found = Sailed([Arrival(Request(0, 0.0, 1), 100), Arrival(Request(1, 10.5, 1), 1), Arrival(Request(2, 20.0, 1), 1)], cost)
    assert found.rows[1][1] == 12.0  # the step that ends at 11 is the last without it
    assert found.rows[2][1] == 21.0  # an arrival at a boundary is in time for the step that starts there


def test_those_who_come_during_a_step_start_together_in_the_next():
    cost = AffineCost(base=1.0, per_prompt_token=0.1)
    found = Sailed([Arrival(Request(0, 0.0, 5), 4), Arrival(Request(1, 0.2, 10), 2), Arrival(Request(2, 1.5, 20), 1)], cost)
    both = 1.5 + 1 + 0.1 * (10 + 20)  # the first step lasts 1.5 s, and the third request is just in time
    assert found.rows[1][1] == found.rows[2][1] == pytest.approx(both)


def test_a_step_that_is_planned_ahead_sees_only_who_came_before_the_last_one_started():
    arrivals = [Arrival(Request(0, 0.0, 1), 20), Arrival(Request(1, 10.0, 1), 1), Arrival(Request(2, 10.5, 1), 1)]
    found = Sailed(arrivals, AffineCost(base=1.0), engine=replace(ENGINE, async_scheduling=True))
    assert found.rows[1][1] == 12.0  # the step from 10 was planned at 9, the one from 11 at 10
    assert found.rows[2][1] == 13.0  # came during the step from 10, and runs in the second after it


def test_where_nothing_could_be_planned_ahead_the_next_step_starts_when_the_last_has_ended_or_someone_comes():
    arrivals = [Arrival(Request(row, time, 1), 1) for row, time in enumerate([0.0, 0.25, 0.75, 5.5])]
    found = Sailed(arrivals, AffineCost(base=1.0), engine=replace(ENGINE, async_scheduling=True))
    assert [found.rows[row][2] for row in range(4)] == [1.0, 2.0, 2.0, 6.5]


def test_a_pipeline_plans_ahead_as_it_is_and_refuses_to_do_so_twice():
    engine = replace(ENGINE, async_scheduling=True)
    with pytest.raises(PolicyError, match="2 stages"):
        make_replica(AffineCost(base=1.0), make_scheduler("vllm-v1", engine), engine, 100, 2)


def test_memory_that_runs_out_sends_the_last_admitted_back():
    # Blocks of 16: both start with one; at 16 tokens each wants a second at the same time, and one is free. The second
    # goes; it needs two blocks to come back, and gets them when the first has ended.
    found = Sailed([Arrival(Request(0, 0.0, 10), 20), Arrival(Request(1, 0.0, 10), 20)], AffineCost(base=1.0), num_blocks=3)
    assert found.rows[0][3] == 0
    assert found.rows[1][3] == 1
    assert found.replica.peak_blocks == 2
    assert found.rows[1][1] < found.rows[0][2] < found.rows[1][2]


def test_a_request_that_never_fits_is_rejected_and_the_others_go_on():
    found = Sailed([Arrival(Request(0, 0.0, 100), 2), Arrival(Request(1, 0.0, 10), 2)], AffineCost(base=1.0), num_blocks=2)
    assert found.rows[0][0] == Status.REJECTED
    assert found.rows[1][0] == Status.COMPLETED


def test_a_long_answer_costs_the_engine_no_more_entries_than_a_short_one():
    def num_entries(num_output):
        engine, cost = ENGINE, AffineCost(base=0.01, per_context_token=1e-7)
        replica = make_replica(cost, make_scheduler("vllm-v1", engine), engine, 100_000)
        for row in range(8):
            replica.arrive(row, 0.0, 0.0, 8, num_output)
        replica.run_until(float("inf"))
        assert len(replica.ended) == 8
        return len(replica.log)

    assert num_entries(10) == num_entries(10_000)


@pytest.mark.parametrize("wait", [0.4, 0.5, 1.0, 1.5, 2.0, 10.0, 1e4, 1e7])
@pytest.mark.parametrize("increment", [0.0, 1e-9, 0.25])
def test_a_jump_ends_at_the_first_boundary_at_or_after_the_horizon(wait, increment):
    def length(steps):
        return steps * 0.5 + increment * (0.5 * steps * (steps - 1))

    steps, duration = steps_until(100.0 + wait, 100.0, 0.5, increment, passing=True)
    assert duration == length(steps)
    assert 100.0 + length(steps) >= 100.0 + wait
    assert steps == 1 or 100.0 + length(steps - 1) < 100.0 + wait
    assert steps_until(100.0 + wait, 100.0, 0.5, increment, passing=False)[0] == steps - 1


class Chain:
    """Each request is asked when the one before it has ended, `think` seconds later."""

    has_follow_ups = True
    num_requests = 3

    def __init__(self, think):
        self.think = think

    def chunks(self):
        yield from Given([Arrival(Request(0, 5.0, 4), 3)]).chunks()

    def follow_ups(self, row, finish_time):
        return [Arrival(Request(row + 1, finish_time + self.think, 4), 3)] if row < 2 else []


@pytest.mark.parametrize("think", [0.0, 0.25])
def test_a_request_may_wait_for_the_end_of_another(think):
    found = Sailed([], AffineCost(base=1.0), workload=Chain(think))
    assert [found.rows[row][2] for row in range(3)] == [8.0, 11.0 + think, 14.0 + 2 * think]


class Guest:
    """Answers always the same."""

    max_decodes, reserves, pads, whole_prompts = 8, False, False, None

    def __init__(self, num_tokens=None, num_blocks=0):
        self.chunk = (num_tokens, num_blocks)

    def plan(self, view):
        if self.chunk[0] is None:
            return StepPlan()
        return StepPlan([Chunk(view.waiting[0], *self.chunk)], num_admitted=1)


@pytest.mark.parametrize(
    ("guest", "complaint"),
    [
        (Guest(), "Guest plans nothing though nothing runs"),
        (Guest(5, 1), "plans 5 tokens and 1 blocks for a sequence with 0 of 4 tokens"),
        (Guest(0, 1), "plans 0 tokens"),
        (Guest(4, 0), "needs the blocks to hold it"),
        (Guest(4, 101), "holds 101 KV blocks, of 100"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(guest, complaint):
    replica = make_replica(AffineCost(base=1.0), guest, ENGINE, 100)
    replica.arrive(0, 0.0, 0.0, 4, 4)
    with pytest.raises(PolicyError, match=complaint):
        replica.run_until(float("inf"))


def test_an_audit_notices_a_lost_block():
    engine = ENGINE
    replica = make_replica(AffineCost(base=1.0), make_scheduler("vllm-v1", engine), engine, 100)
    replica.arrive(0, 0.0, 0.0, 4, 400)
    replica.run_until(10.0)
    replica.decodes.block_base += 1
    with pytest.raises(AuditError, match="blocks of the decodes"):
        Audit().check(replica)
