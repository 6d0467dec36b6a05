"""What a run needed, for MFU and MBU."""

import pytest
from cost_specs import ALONE, DEEPSEEK_V3, ENGINE, H100, HYBRID, LLAMA_8B, LLAMA_70B, MIXTRAL, cost_of

from seatrial.core.deployment import Parallelism
from seatrial.core.record import EngineTotals
from seatrial.cost import AffineCost

TOTALS = EngineTotals(
    num_steps=110,
    num_prompt_tokens=10_000,
    prompt_pairs=10 * 1000 * 1001 / 2,
    prompt_context=10_000,
    num_decodes=3200,
    decode_context=3200 * 1000,
    num_sampled=3210,
    steps_by_tokens={1000: 10, 32: 100},
)


def test_flops_are_two_per_active_parameter_and_token_and_the_attention():
    work = cost_of(LLAMA_8B, H100, ALONE, ENGINE).work(TOTALS)
    head = 128256 * 4096
    layers = LLAMA_8B.num_parameters - 2 * head
    attention = 32 * 4 * 32 * 128 * (TOTALS.prompt_pairs + TOTALS.decode_context)
    assert work.flops == pytest.approx(2 * layers * 13_200 + 2 * head * 3210 + attention, rel=1e-3)


def test_bytes_are_the_weights_of_every_step_and_the_cache():
    work = cost_of(LLAMA_8B, H100, ALONE, ENGINE).work(TOTALS)
    weights = 2 * (LLAMA_8B.num_parameters - 128256 * 4096) * 110
    cache = LLAMA_8B.kv_bytes_per_token() * (TOTALS.prompt_context + TOTALS.decode_context + 13_200)
    assert work.bytes == pytest.approx(weights + cache, rel=0.03)


def test_the_same_run_needs_the_same_however_it_is_split():
    one, eight, stages = (cost_of(LLAMA_70B, H100, p, ENGINE).work(TOTALS)[:2] for p in (ALONE, Parallelism(8), Parallelism(4, 2)))
    assert one == eight == stages


def test_every_data_parallel_rank_reads_its_own_weights():
    one, four = (cost_of(LLAMA_8B, H100, Parallelism(data_parallel=n), ENGINE).work(TOTALS) for n in (1, 4))
    assert four.flops == pytest.approx(one.flops)
    assert 2.5 * one.bytes < four.bytes < 4 * one.bytes


@pytest.mark.parametrize("model", [MIXTRAL, DEEPSEEK_V3], ids=lambda model: model.name)
def test_of_a_mixture_only_the_chosen_experts_multiply(model):
    one_token = EngineTotals(num_steps=1, num_prompt_tokens=1, prompt_context=1, steps_by_tokens={1: 1})
    work = cost_of(model, H100, Parallelism(8), ENGINE).work(one_token)
    vocabulary = 2 * model.vocab_size * model.hidden_size
    assert work.flops == pytest.approx(2 * (model.num_active_parameters - vocabulary), rel=0.01)


def test_recurrent_states_are_read_and_written_by_every_decode():
    cost = cost_of(HYBRID, H100, ALONE, ENGINE)
    without, with_decodes = (cost.work(EngineTotals(num_steps=1, num_decodes=n)) for n in (0, 100))
    assert with_decodes.bytes - without.bytes == pytest.approx(100 * 2 * HYBRID.state_bytes_per_sequence())


def test_an_idle_replica_needed_nothing():
    assert cost_of(LLAMA_8B, H100, ALONE, ENGINE).work(EngineTotals()) == (0, 0, 989e12, 3.35e12)


def test_peaks_are_those_of_all_accelerators_in_the_format_of_the_weights():
    assert cost_of(LLAMA_70B, H100, Parallelism(4, 2), ENGINE).peak_flops == 8 * 989e12
    assert cost_of(DEEPSEEK_V3, H100, Parallelism(8), ENGINE).peak_flops == 8 * 1979e12
    assert cost_of(DEEPSEEK_V3, H100, Parallelism(8), ENGINE).peak_bandwidth == 8 * 3.35e12


def test_prices_per_token_know_no_work():
    assert AffineCost(base=1).work(TOTALS) is None
