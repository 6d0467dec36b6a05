"""An engine's arguments where nobody gave them: vLLM's own defaults, which depend on the accelerator."""

from dataclasses import fields, replace
from typing import Any

from seatrial.core.accelerator import Accelerator
from seatrial.core.deployment import CUDAGRAPH_MODES, EngineConfig, Parallelism
from seatrial.core.errors import CapacityError, ScenarioError, nearest
from seatrial.core.model import ModelSpec
from seatrial.core.units import GIB
from seatrial.cost.formats import kv_cache_format
from seatrial.cost.memory import kv_capacity

LARGE_MEMORY = 70 * GIB  # vLLM's EngineArgs: from here on, other than on an A100, the larger defaults hold


def engine_config(model: ModelSpec, accelerator: Accelerator, parallelism: Parallelism, **overrides: Any) -> EngineConfig:
    """What vLLM would run with. An override that is None counts as not given.

    `max_model_len` is the model's own unless given; then it must be within the model's and within what the KV cache of a rank can hold.
    Without chunked prefill a prompt must fit in one step: the token budget grows to `max_model_len`, or cuts it where only the
    budget is given.
    """
    # overrides come from a scenario or from flags, hence Any: _check looks at each of them
    given = {name: value for name, value in overrides.items() if value is not None}
    for name, value in given.items():
        _check(name, value)
    large = accelerator.memory >= LARGE_MEMORY and "a100" not in accelerator.name.lower()
    defaults = EngineConfig(
        max_num_seqs=1024 if large else 256,
        max_num_batched_tokens=8192 if large else 2048,
        max_model_len=model.max_position_embeddings,
    )
    engine = replace(defaults, **given)
    if not engine.enable_chunked_prefill:
        engine = _with_whole_prompts(engine, given)
    kv_cache_format(model, engine)  # refuses a kv_cache_dtype that nobody knows
    if "max_model_len" in given:
        _check_length(model, accelerator, parallelism, engine)
    return engine


def _with_whole_prompts(engine: EngineConfig, given: dict[str, Any]) -> EngineConfig:
    budget, length = engine.max_num_batched_tokens, engine.max_model_len
    if budget >= length:
        return engine
    if "max_num_batched_tokens" not in given:
        return replace(engine, max_num_batched_tokens=length)
    if "max_model_len" not in given:
        return replace(engine, max_model_len=budget)
    raise ScenarioError(
        f"without chunked prefill a prompt must fit in one step, but max_model_len is {length} and max_num_batched_tokens {budget}; "
        f"raise the second to {length} or enable chunked prefill"
    )


def _check_length(model: ModelSpec, accelerator: Accelerator, parallelism: Parallelism, engine: EngineConfig) -> None:
    if engine.max_model_len > model.max_position_embeddings:
        raise ScenarioError(
            f"max_model_len is {engine.max_model_len}, but {model.name} goes up to {model.max_position_embeddings}; use that or less"
        )
    capacity = kv_capacity(model, accelerator, parallelism, engine).capacity_tokens_per_rank
    if engine.max_model_len > capacity:
        raise CapacityError(
            f"max_model_len is {engine.max_model_len}, but the KV cache of {model.name} on {accelerator.name} holds {capacity} tokens; "
            f"use at most that, or more accelerators"
        )


def _check(name: str, value: object) -> None:
    known = {field.name: field.type for field in fields(EngineConfig)}
    if name not in known:
        raise ScenarioError(f"the engine has no option {name!r}; {nearest(name, known)}")
    if name == "kv_cache_dtype":
        return
    if name == "generation_config":
        if value not in _GENERATION_CONFIGS:
            raise ScenarioError(f"generation_config is {value!r}; it must be auto (as the model's own file says) or vllm (plain sampling)")
        return
    if name == "cudagraph_mode":
        if value not in CUDAGRAPH_MODES:
            raise ScenarioError(f"no cudagraph_mode {value!r}; {nearest(str(value), CUDAGRAPH_MODES)}")
        return
    if known[name] is bool:
        if not isinstance(value, bool):
            raise ScenarioError(f"{name} is {value!r}; it must be true or false")
    elif name in _SHARES:
        low_is_allowed = name == "watermark"
        if isinstance(value, bool) or not isinstance(value, int | float) or not (0 < value <= 1 or (low_is_allowed and value == 0)):
            raise ScenarioError(f"{name} is {value!r}; it must be a share {'from 0' if low_is_allowed else 'above 0'} to 1")
    elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ScenarioError(f"{name} is {value!r}; it must be a whole number, 1 or more")


_GENERATION_CONFIGS = ("auto", "vllm")
_SHARES = ("gpu_memory_utilization", "watermark")
