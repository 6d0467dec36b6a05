"""The affine cost is a weighted sum, and refuses what could stop the clock."""

import pytest
from cost_specs import chunk, decode, together

from seatrial.core.errors import ScenarioError
from seatrial.cost import AffineCost

FULL = "base=0.005,per_prompt_token=2e-5,per_prompt_pair=1e-9,per_decode=1e-4,per_context_token=3e-8"


def test_a_step_is_the_weighted_sum_of_its_work():
    step = together(chunk(100, 10), decode(50, 70))
    by_hand = 0.005 + 2e-5 * 10 + 1e-9 * (10 * 100 + 55) + 1e-4 * 2 + 3e-8 * 120
    assert AffineCost.parse(FULL).step_time(step) == pytest.approx(by_hand, rel=1e-15)


def test_terms_that_are_not_named_are_zero():
    assert AffineCost.parse("base=0.01") == AffineCost(0.01, 0, 0, 0, 0)


def test_spaces_around_terms_do_no_harm():
    assert AffineCost.parse(" base = 0.01 , per_decode=1e-3 ") == AffineCost(base=0.01, per_decode=1e-3)


def test_decodes_follow_their_law():
    cost = AffineCost.parse(FULL)
    law = cost.decode_law(3, 600)
    assert law.base + law.per_context * 600 == pytest.approx(cost.step_time(decode(100, 200, 300)), rel=1e-15)
    assert law.min_context == 0
    assert law.max_context == float("inf")


def test_it_adds_no_time_to_a_request_and_knows_no_window():
    cost = AffineCost.parse(FULL)
    assert cost.request_overhead == (0, 0)
    assert cost.attention_window is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("bas=1", "no term 'bas'; did you mean base"),
        ("base", "'base' has no value"),
        ("", "has no value"),
        ("base=fast", "'fast', not a number"),
        ("base=-1", "base is -1.0; it must be"),
        ("base=nan", "base is nan"),
        ("base=inf", "base is inf"),
        ("base=1e300", "base is 1e.300; it must be a number of seconds from 0 to 1e.06"),
        ("base=1,per_decode=1000001", "per_decode is 1000001.0; it must be"),
        ("base=1,base=2", "base is given twice"),
        ("base=0", "no time at all"),
        ("per_decode=1", "no time at all"),
        ("per_prompt_token=1,per_prompt_pair=1", "no time at all"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(text, complaint):
    with pytest.raises(ScenarioError, match=complaint):
        AffineCost.parse(text)


def test_without_a_base_prices_for_prompts_and_decodes_suffice():
    cost = AffineCost.parse("per_prompt_pair=1e-9,per_context_token=1e-9")
    assert cost.step_time(chunk(0, 1)) > 0
    assert cost.step_time(decode(1)) > 0
