"""What every scheduler must keep to, as tests that a class of yours inherits.

class TestMine(SchedulerContract):
    def make(self, engine):
        return Mine(engine)
"""

import random

import pytest

from seatrial.core.deployment import EngineConfig
from seatrial.core.record import RequestRecords, Status
from seatrial.core.request import Arrival, Request
from seatrial.cost import AffineCost
from seatrial.policy.scheduler import Scheduler
from seatrial.sim.audit import Audit
from seatrial.sim.pipeline import make_replica
from seatrial.sim.recorder import Recorder
from seatrial.sim.simulate import simulate
from seatrial.testing.workloads import Given

COST = AffineCost(base=0.01, per_prompt_token=2e-5, per_prompt_pair=1e-9, per_decode=1e-4, per_context_token=1e-7)


class SchedulerContract:
    """Override `make`; set `num_stages` to try a pipeline too."""

    num_stages: tuple[int, ...] = (1, 2)

    def make(self, engine: EngineConfig) -> Scheduler:
        raise NotImplementedError

    @pytest.mark.parametrize("seed", range(5))
    def test_every_request_completes_and_every_law_holds(self, seed: int) -> None:
        for num_stages in self.num_stages:
            for num_blocks in (70, 400):
                records = self.sail(self.workload(seed), num_blocks, num_stages)
                assert sorted(records) == list(range(60))
                assert {status for status, *_ in records.values()} == {Status.COMPLETED}

    def test_the_same_workload_gives_the_same_times(self) -> None:
        assert self.sail(self.workload(1), 100) == self.sail(self.workload(1), 100)

    def test_a_request_alone_waits_for_nothing(self) -> None:
        ((_, queue_time, first_token_time),) = self.sail([Arrival(Request(0, 3.0, 100), 20)], 100).values()
        assert queue_time == 0
        assert first_token_time > 3.0

    def test_the_length_of_answers_to_come_changes_nothing_before_they_end(self) -> None:
        """Blindness: of two workloads that differ in how long the last to arrive will talk, the others start alike."""
        short, long = self.workload(2)[:20], self.workload(2)[:20]
        long[-1] = long[-1]._replace(num_output_tokens=long[-1].num_output_tokens + 50)
        before, after = self.sail(short, 400), self.sail(long, 400)
        assert [before[row][1:] for row in range(19)] == [after[row][1:] for row in range(19)]

    def workload(self, seed: int) -> list[Arrival]:
        rng = random.Random(seed)
        times = sorted(rng.uniform(0, 4) for _ in range(60))
        return [Arrival(Request(row, time, rng.choice([1, 30, 200, 700])), rng.choice([1, 2, 20, 150])) for row, time in enumerate(times)]

    def sail(self, arrivals: list[Arrival], num_blocks: int, num_stages: int = 1) -> dict[int, tuple[int, float, float]]:
        """Status, queue time and first token time, by row; audited."""
        engine = EngineConfig(max_num_seqs=16, max_num_batched_tokens=256, max_model_len=1000)
        replica = make_replica(COST, self.make(engine), engine, num_blocks, num_stages)
        found: dict[int, tuple[int, float, float]] = {}

        def keep(some: RequestRecords) -> None:
            rows = zip(some.status.tolist(), some.queue_time.tolist(), some.first_token_time.tolist())
            found.update(zip(some.row.tolist(), rows))

        simulate(Given(arrivals), replica, Recorder(keep, lambda gaps: None, Audit()))
        return found
