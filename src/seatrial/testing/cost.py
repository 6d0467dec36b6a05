"""What every cost of a step must keep to, as tests that a class of yours inherits.

class TestMine(StepCostContract):
    @pytest.fixture
    def cost(self):
        return Mine()
"""

import pytest

from seatrial.core.batch import Batch, StepCost

DECODES = (1, 2, 7, 8, 9, 64, 200)
CONTEXTS = (1, 100, 5_000, 1_000_000)


class StepCostContract:
    """Provide a fixture `cost`."""

    @pytest.mark.parametrize("num_decodes", DECODES)
    def test_a_decode_law_is_the_step_time(self, cost: StepCost, num_decodes: int) -> None:
        for context in CONTEXTS:
            law = cost.decode_law(num_decodes, max(context, num_decodes))
            window = min(context, 50) if cost.attention_window else 0
            batch = Batch(
                num_decodes=num_decodes, decode_context=max(context, num_decodes), num_sampled=num_decodes, window_decode_context=window
            )
            assert law.min_context <= batch.decode_context <= law.max_context
            by_law = law.base + law.per_context * batch.decode_context + law.per_window_context * window
            assert by_law == pytest.approx(cost.step_time(batch), rel=1e-12)

    def test_a_step_takes_time(self, cost: StepCost) -> None:
        assert cost.step_time(Batch(num_decodes=1, decode_context=1, num_sampled=1)) > 0
        assert cost.step_time(prompt(1)) > 0

    def test_more_work_never_takes_less_time(self, cost: StepCost) -> None:
        times = [cost.step_time(prompt(num_tokens)) for num_tokens in range(1, 3000, 7)]
        assert times == sorted(times)
        contexts = [cost.step_time(Batch(num_decodes=8, decode_context=context, num_sampled=8)) for context in range(8, 100_000, 1000)]
        assert contexts == sorted(contexts)

    def test_time_outside_the_engine_is_not_negative(self, cost: StepCost) -> None:
        assert min(cost.request_overhead) >= 0


def prompt(num_tokens: int) -> Batch:
    """One whole prompt, nothing else."""
    return Batch(1, num_tokens, num_tokens * (num_tokens + 1) // 2, num_tokens, num_sampled=1)
