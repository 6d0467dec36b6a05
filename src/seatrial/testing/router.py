"""What every router must keep to, as tests that a class of yours inherits.

class TestMine(RouterContract):
    def make(self):
        return Mine()
"""

import random
from random import Random

import pytest

from seatrial.core.deployment import EngineConfig
from seatrial.core.record import RequestRecords, Status
from seatrial.core.request import Arrival, Prefix, Request
from seatrial.cost import AffineCost
from seatrial.policy.router import Router
from seatrial.policy.schedulers import make_scheduler
from seatrial.sim.audit import Audit
from seatrial.sim.endpoint import Clock, Endpoint
from seatrial.sim.fleet import Fleet
from seatrial.sim.pipeline import make_replica
from seatrial.sim.recorder import Recorder
from seatrial.sim.sail import sail
from seatrial.testing.workloads import Given

COST = AffineCost(base=0.01, per_prompt_token=2e-5, per_prompt_pair=1e-9, per_decode=1e-4, per_context_token=1e-7)
NUM_REQUESTS = 80


class RouterContract:
    """Override `make`."""

    def make(self) -> Router:
        raise NotImplementedError

    @pytest.mark.parametrize("num_replicas", [2, 5])
    @pytest.mark.parametrize("seed", range(3))
    def test_every_request_is_served_once_and_every_law_holds(self, seed: int, num_replicas: int) -> None:
        served = self.sail(self.workload(seed), num_replicas)
        assert sorted(row for row, *_ in served) == list(range(NUM_REQUESTS))
        assert {status for _, status, _, _ in served} == {Status.COMPLETED}

    def test_the_same_seed_gives_the_same_choices_and_times(self) -> None:
        assert self.sail(self.workload(1), 3) == self.sail(self.workload(1), 3)

    def test_it_knows_nothing_of_the_future(self) -> None:
        """Who comes after a request, and how long the answers are of those who have not got theirs, changes nothing for it."""
        workload = self.workload(2)
        half = NUM_REQUESTS // 2
        cut = [*workload[:half], *(arrival._replace(num_output_tokens=1) for arrival in workload[half:])]
        choices = [{row: replica for row, _, replica, _ in self.sail(each, 3)} for each in (workload, cut, workload[: half + 1])]
        for row in range(half + 1):
            assert choices[0][row] == choices[1][row] == choices[2][row]

    def workload(self, seed: int) -> list[Arrival]:
        """Prompts of which many begin alike, in bursts."""
        draw, time, arrivals = random.Random(seed), 0.0, []
        for row in range(NUM_REQUESTS):
            time += draw.choice([0.0, 0.003, 0.02, 0.2])
            ids = (draw.randrange(3), *(10 + draw.randrange(4) for _ in range(draw.randrange(3))))
            num_prompt = 16 * len(ids) + draw.randrange(40)
            request = Request(row, time, num_prompt, f"session {draw.randrange(8)}", Prefix(16, ids))
            arrivals.append(Arrival(request, 1 + draw.randrange(60)))
        return arrivals

    def sail(self, arrivals: list[Arrival], num_replicas: int) -> list[tuple[int, int, int, float]]:
        """Row, status, replica and finish time of each request."""
        engine = EngineConfig(16, 256, 4096, 16, enable_prefix_caching=True)
        records: list[RequestRecords] = []
        clock, endpoints = Clock(), []
        for index in range(num_replicas):
            recorder = Recorder(records.append, lambda gaps: None, Audit(), replica=index)
            replica = make_replica(COST, make_scheduler("vllm-v1", engine), engine, 200)
            endpoints.append(Endpoint(index, "main", replica, recorder, max_num_seqs=16, clock=clock))
        sail(Given(arrivals), Fleet(endpoints, clock, self.make(), Random(7)))
        return [
            (int(some.row[i]), int(some.status[i]), some.replica, float(some.finish_time[i])) for some in records for i in range(len(some))
        ]
