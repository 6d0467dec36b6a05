"""A client who gives up frees a place: worked out by hand, with steps of one second and one place."""

import pytest

from seatrial.core.deployment import EngineConfig
from seatrial.core.record import Status
from seatrial.core.request import Arrival, Request
from seatrial.cost import AffineCost
from seatrial.policy.schedulers import make_scheduler
from seatrial.sim.audit import Audit
from seatrial.sim.pipeline import make_replica
from seatrial.sim.recorder import Recorder
from seatrial.sim.simulate import simulate
from seatrial.testing.workloads import Given
from seatrial.workload.closed_loop import closed_loop


@pytest.fixture
def run():
    """Status, queue time and finish of each (arrival, output tokens), by row."""

    def simulated(*asked, timeout, num_users=None):
        engine = EngineConfig(max_num_seqs=1, max_num_batched_tokens=64, max_model_len=64, block_size=4)
        replica = make_replica(AffineCost(base=1.0), make_scheduler("vllm-v1", engine), engine, 100)
        workload = Given([Arrival(Request(row, arrival, 8), output) for row, (arrival, output) in enumerate(asked)])
        found = []
        simulate(
            closed_loop(workload, num_users) if num_users else workload,
            replica,
            Recorder(found.append, lambda gaps: None, Audit()),
            timeout=timeout,
        )
        facts = [zip(some.row, some.arrival_time, some.status, some.queue_time, some.finish_time) for some in found]
        rows = {int(row): (arrival, Status(status).name, queue, finish) for some in facts for row, arrival, status, queue, finish in some}
        return [rows[row] for row in range(len(asked))]

    return simulated


NEVER = pytest.approx(float("nan"), nan_ok=True)


def test_who_gives_up_makes_room_for_the_next(run):
    assert run((0, 10), (3, 10), (6, 2), timeout=5) == [
        (0, "FAILED", 0, NEVER),  # five of its ten tokens
        (3, "FAILED", 2, NEVER),  # in at 5, gone at 8
        (6, "COMPLETED", 2, 10),
    ]


def test_who_gives_up_in_the_queue_never_starts(run):
    assert run((0, 6), (0, 1), (3, 1), timeout=6) == [(0, "COMPLETED", 0, 6), (0, "FAILED", NEVER, NEVER), (3, "COMPLETED", 3, 7)]


def test_an_answer_that_ends_too_late_is_none(run):
    assert run((0, 3), timeout=3) == [(0, "COMPLETED", 0, 3)]
    assert run((0, 3), timeout=2.5) == [(0, "FAILED", 0, NEVER)]


def test_a_user_who_gives_up_asks_again(run):
    assert run((0, 9), (0, 2), (0, 2), timeout=2.5, num_users=1) == [
        (0, "FAILED", 0, NEVER),
        (2.5, "COMPLETED", 0.5, 5),  # the step that ran when the first was given up ends at 3
        (5, "COMPLETED", 0, 7),
    ]
