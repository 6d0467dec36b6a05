"""Options that nobody gave are vLLM's; options that make no sense are refused."""

import pytest
from cost_specs import A100, ALONE, H100, LLAMA_8B, LLAMA_70B

from seatrial.core.deployment import Parallelism
from seatrial.core.errors import CapacityError, ScenarioError
from seatrial.cost import engine_config


def config(**overrides):
    return engine_config(LLAMA_8B, H100, ALONE, **overrides)


def test_large_accelerators_get_large_batches():
    engine = config()
    assert (engine.max_num_seqs, engine.max_num_batched_tokens, engine.block_size) == (1024, 8192, 16)
    assert engine.max_model_len == 131072
    assert engine.gpu_memory_utilization == 0.9


def test_an_a100_does_not_whatever_its_memory():
    engine = engine_config(LLAMA_8B, A100, ALONE)
    assert (engine.max_num_seqs, engine.max_num_batched_tokens) == (256, 2048)


def test_what_is_given_holds_and_none_is_not_given():
    engine = config(max_num_seqs=7, max_num_batched_tokens=None, num_gpu_blocks_override=50)
    assert (engine.max_num_seqs, engine.max_num_batched_tokens, engine.num_gpu_blocks_override) == (7, 8192, 50)


def test_without_chunked_prefill_a_prompt_fits_in_one_step():
    assert config(enable_chunked_prefill=False).max_num_batched_tokens == 131072
    assert config(enable_chunked_prefill=False, max_num_batched_tokens=4096).max_model_len == 4096
    with pytest.raises(ScenarioError, match="without chunked prefill"):
        config(enable_chunked_prefill=False, max_num_batched_tokens=4096, max_model_len=8192)


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"max_num_seq": 3}, "no option 'max_num_seq'; did you mean max_num_seqs"),
        ({"max_num_seqs": 0}, "max_num_seqs is 0; it must be a whole number, 1 or more"),
        ({"max_num_seqs": True}, "max_num_seqs is True"),
        ({"block_size": 1.5}, "block_size is 1.5"),
        ({"gpu_memory_utilization": 1.2}, "gpu_memory_utilization is 1.2; it must be a share above 0 to 1"),
        ({"gpu_memory_utilization": float("nan")}, "gpu_memory_utilization is nan"),
        ({"gpu_memory_utilization": 0}, "gpu_memory_utilization is 0"),
        ({"watermark": -0.1}, "watermark is -0.1; it must be a share from 0 to 1"),
        ({"enable_chunked_prefill": "yes"}, "it must be true or false"),
        ({"kv_cache_dtype": "fp9"}, "no kv_cache_dtype 'fp9'; did you mean"),
        ({"cudagraph_mode": "FULL_DECODE"}, "no cudagraph_mode 'FULL_DECODE'; did you mean FULL_DECODE_ONLY"),
        ({"max_model_len": 200_000}, "max_model_len is 200000, but llama-3.1-8b goes up to 131072"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(overrides, complaint):
    with pytest.raises(ScenarioError, match=complaint):
        config(**overrides)


def test_a_length_that_the_cache_cannot_hold_is_refused_only_if_asked_for():
    tight = {"gpu_memory_utilization": 0.9, "max_num_seqs": 64}
    engine_config(LLAMA_70B, H100, Parallelism(2), **tight)
    with pytest.raises(CapacityError, match=r"max_model_len is 131072, but the KV cache .* holds \d+ tokens"):
        engine_config(LLAMA_70B, H100, Parallelism(2), max_model_len=131072, **tight)
