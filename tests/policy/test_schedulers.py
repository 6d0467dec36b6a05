"""The built-in schedulers keep the contract, and each does what it is known for."""

import pytest

from seatrial.core.deployment import EngineConfig
from seatrial.core.errors import PolicyError
from seatrial.core.request import Arrival, Request
from seatrial.policy.schedulers import SCHEDULERS, make_scheduler
from seatrial.testing import SchedulerContract


class TestVllmV1(SchedulerContract):
    def make(self, engine):
        return make_scheduler("vllm-v1", engine)

    def test_a_long_prompt_comes_in_chunks_of_the_budget(self):
        alone = self.sail([Arrival(Request(0, 0.0, 900), 2)], 400)
        chunks = [256, 256, 256, 132]
        pairs = 900 * 901 / 2
        assert alone[0][2] == pytest.approx(len(chunks) * 0.01 + 900 * 2e-5 + pairs * 1e-9)


class TestVllmV0(SchedulerContract):
    def make(self, engine):
        return make_scheduler("vllm-v0", engine)


class TestSarathi(SchedulerContract):
    def make(self, engine):
        return make_scheduler("sarathi", engine)


class TestSglang(SchedulerContract):
    def make(self, engine):
        return make_scheduler("sglang", engine)


class TestOrca(SchedulerContract):
    def make(self, engine):
        return make_scheduler("orca", engine)


class TestStatic(SchedulerContract):
    def make(self, engine):
        return make_scheduler("static", engine)

    def test_who_comes_late_waits_for_the_whole_batch(self):
        first, late = Arrival(Request(0, 0.0, 30), 100), Arrival(Request(1, 0.05, 30), 2)
        found = self.sail([first, late], 400)
        assert found[1][1] > 0.9  # a hundred steps of ten milliseconds, but for what had passed


def test_every_built_in_scheduler_is_tested():
    tested = {cls.__name__.removeprefix("Test") for cls in (TestVllmV1, TestVllmV0, TestSarathi, TestSglang, TestOrca, TestStatic)}
    assert {factory.__name__ for factory in SCHEDULERS.values()} == tested


def test_an_unknown_scheduler_is_answered_with_the_nearest():
    engine = EngineConfig(max_num_seqs=1, max_num_batched_tokens=1, max_model_len=1)
    with pytest.raises(PolicyError, match="no scheduler 'vllm1'; did you mean vllm-v1"):
        make_scheduler("vllm1", engine)
