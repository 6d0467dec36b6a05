"""The FLOPs and bytes that a run needed, whatever time it took: the upper half of MFU and MBU."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from seatrial.core.deployment import Parallelism
from seatrial.core.model import ModelSpec, NumberFormat, Sampling
from seatrial.core.record import EngineTotals
from seatrial.cost.attention import attention_work
from seatrial.cost.forward import sampled_operators, token_operators
from seatrial.cost.kernels import FloatArray
from seatrial.cost.operators import Device, Load, Operator


class Need(NamedTuple):
    """Of all accelerators of a replica together."""

    flops: float
    bytes: float


def run_need(model: ModelSpec, parallelism: Parallelism, kv_cache: NumberFormat, device: Device, totals: EngineTotals) -> Need:
    """What the model itself asks for: matrices, experts that were reached, cache and states; no padding, no copies held by several ranks.

    Each data-parallel rank reads its own weights, once per step. A run's states are counted for its decodes.
    """
    even = replace(device, profile=replace(device.profile, expert_imbalance=1.0, expert_skew=0.0))
    ranks = parallelism.data_parallel
    whole = Parallelism(data_parallel=ranks, expert_parallel=parallelism.expert_parallel)
    tokens = np.array(sorted(totals.steps_by_tokens), np.float64)
    steps = np.array([totals.steps_by_tokens[int(n)] for n in tokens], np.float64)
    forward = _sum(token_operators(model, whole, kv_cache, even), Load(tokens, tokens / ranks), steps)
    num_samplings = min(totals.num_steps, totals.num_sampled)  # steps that emit nothing skip the LM head
    sampled = np.array([totals.num_sampled / max(num_samplings, 1)])
    head = _sum(sampled_operators(model, whole, even, Sampling()), Load(sampled, sampled / ranks), np.array([float(num_samplings)]))
    attention = _attention(model, whole, kv_cache, totals)
    states = 2 * model.state_bytes_per_sequence() * totals.num_decodes
    return Need(ranks * (forward.flops + head.flops) + attention.flops, ranks * (forward.bytes + head.bytes) + attention.bytes + states)


def _sum(operators: tuple[Operator, ...], load: Load, times: FloatArray) -> Need:
    flops = num_bytes = 0.0
    for operator in operators:
        if operator.is_work:
            demand = operator.demand(load)
            flops += operator.count * float(demand.flops @ times)
            num_bytes += operator.count * float(demand.bytes @ times)
    return Need(flops, num_bytes)


def _attention(model: ModelSpec, parallelism: Parallelism, kv_cache: NumberFormat, totals: EngineTotals) -> Need:
    full = attention_work(model, parallelism, kv_cache, windowed=False)
    near = attention_work(model, parallelism, kv_cache, windowed=True)
    cached = totals.prompt_context - totals.num_prompt_tokens
    flops = (
        full.flops_per_pair * totals.prompt_pairs
        + full.flops_per_cached_token * cached
        + full.flops_per_decode_context * totals.decode_context
        + near.flops_per_pair * totals.window_pairs
        + near.flops_per_decode_context * totals.window_decode_context
    )
    num_bytes = (
        full.bytes_per_prompt_context * totals.prompt_context
        + full.bytes_per_decode_context * totals.decode_context
        + near.bytes_per_prompt_context * totals.window_prompt_context
        + near.bytes_per_decode_context * totals.window_decode_context
    )
    return Need(flops, num_bytes)
