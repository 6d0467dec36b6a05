"""How sure the step times of a whole run are."""

import pytest
from cost_specs import ALONE, ENGINE, H100, LLAMA_8B, LLAMA_70B, cost_of
from test_cost_work import TOTALS

from seatrial.catalog import load_accelerator, load_curves
from seatrial.core.batch import Batch
from seatrial.core.curves import PROFILE, PROVENANCES
from seatrial.core.deployment import Parallelism
from seatrial.core.record import EngineTotals
from seatrial.cost import AffineCost
from seatrial.cost.run import typical_steps

STEPS = EngineTotals(**{name: getattr(TOTALS, name) for name in TOTALS.__slots__} | {"num_prompt_steps": 10, "num_prompt_chunks": 10})
DECODES = Batch(num_decodes=29, decode_context=29_000, num_sampled=29)
PROMPT = Batch(1, 1000, 1000 * 1001 / 2, 1000, 29, 29_000, 30)


def known(name, totals=STEPS, model=LLAMA_70B, tensor_parallel=4):
    accelerator = load_accelerator(name)
    return cost_of(model, accelerator, Parallelism(tensor_parallel), curves=load_curves(accelerator)).run_provenance(totals)


def test_typical_steps_are_the_means_of_decodes_alone_and_of_steps_with_prompts():
    assert typical_steps(STEPS) == [(DECODES, 100), (PROMPT, 10)]


def test_what_is_known_of_equal_steps_is_known_of_their_run():
    accelerator = load_accelerator("h100_sxm")
    cost = cost_of(LLAMA_70B, accelerator, Parallelism(4), curves=load_curves(accelerator))
    alone = EngineTotals(num_steps=100, num_decodes=2900, decode_context=2_900_000, num_sampled=2900)
    run, step = known("h100_sxm", alone), cost.provenance(DECODES)
    assert run.error == pytest.approx(step.error)
    assert run.classes == pytest.approx(step.classes)
    assert (run.provenance, run.curves) == (step.provenance, step.curves)


def test_kinds_of_steps_count_by_the_time_that_they_take():
    cost = cost_of(LLAMA_8B, H100, ALONE, ENGINE)
    whole = cost.run_provenance(STEPS)
    times = 100 * cost.step_time(DECODES), 10 * cost.step_time(PROMPT)
    shares = [cost.provenance(step).classes[PROFILE] for step in (DECODES, PROMPT)]
    by_hand = sum(time * share for time, share in zip(times, shares)) / sum(times)
    assert whole.classes[PROFILE] == pytest.approx(by_hand)
    assert sum(whole.classes.values()) == pytest.approx(1)


@pytest.mark.parametrize(("name", "provenance"), [("h100_sxm", "interpolated"), ("h100_nvl", "scaled"), ("tpu_v6e", "roofline")])
def test_a_run_is_known_as_well_as_its_accelerator_was_measured(name, provenance):
    found = known(name, tensor_parallel=2)  # a pair, that an NVLink bridge joins as a board does
    assert found.provenance == provenance
    assert 0 < found.error.median < found.error.p90
    assert found.classes.keys() <= {*PROVENANCES, PROFILE}
    assert found.curves
    assert found.sources


def test_borrowed_curves_have_a_wider_bar_than_ones_own():
    assert known("h100_nvl").error.median > known("h100_sxm").error.median


def test_of_a_run_without_steps_and_of_prices_per_token_nothing_is_known():
    assert known("h100_sxm", EngineTotals()) is None
    assert AffineCost(base=0.01).run_provenance(STEPS) is None
