"""An explanation accounts for every microsecond."""

import pytest
from cost_specs import ALONE, B200, ENGINE, H100, LLAMA_70B, chunk, cost_of, decode, together
from hypothesis import given, settings
from test_roofline_cost import batch_of, chunks, contexts, costs

from seatrial.core.deployment import Parallelism


@given(costs, chunks, contexts)
@settings(deadline=None)
def test_the_parts_sum_up_to_the_step(cost, chunks, contexts):
    step = batch_of(cost, chunks, contexts)
    parts = cost.explain(step)
    assert sum(part.seconds for part in parts) == pytest.approx(cost.step_time(step), rel=1e-12)
    assert sum(part.share for part in parts) == pytest.approx(1)


def test_each_name_comes_once_and_the_longest_first():
    parts = cost_of(LLAMA_70B, H100, Parallelism(4), ENGINE).explain(together(chunk(0, 100), decode(500)))
    assert len({part.name for part in parts}) == len(parts)
    assert [part.seconds for part in parts] == sorted((part.seconds for part in parts), reverse=True)


def test_what_binds_is_named():
    cost = cost_of(LLAMA_70B, B200, Parallelism(8), ENGINE)
    small = {part.name: part.bound for part in cost.explain(decode(1000))}
    large = {part.name: part.bound for part in cost.explain(chunk(0, 8192))}
    assert small["MLP"] == "memory"
    assert small["decode attention"] == "memory"
    assert large["MLP"] == "compute"
    assert large["prompt attention"] == "compute"
    assert large["all-reduce"] == "network"
    assert small["all-reduce"] == "overhead"


def test_a_step_without_a_token_skips_the_logits():
    parts = cost_of(LLAMA_70B, H100, ALONE, ENGINE).explain(chunk(0, 100)._replace(num_sampled=0))
    assert not {"LM head", "sampler"} & {part.name for part in parts}
