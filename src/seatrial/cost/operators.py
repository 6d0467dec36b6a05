"""What a forward pass is made of, and the one law of each: how long it takes, what it multiplies and what it moves.

Operators answer for arrays, so that a table over all token counts is one call, and explaining one step is the same call with one element.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from seatrial.core.accelerator import Accelerator
from seatrial.core.model import Moe, NumberFormat
from seatrial.cost.efficiencies import Efficiencies
from seatrial.cost.formats import compute_rate, plain_peak

FloatArray = NDArray[np.float64]


class Load(NamedTuple):
    """How much a step has to do: `tokens` of the whole replica, and `rows` in one rank's forward pass, padding included."""

    tokens: FloatArray
    rows: FloatArray


class Demand(NamedTuple):
    """What one accelerator does for one operator, an element per load. `bytes` go over the link where there is `network_time`."""

    flops: FloatArray
    bytes: FloatArray
    compute_time: FloatArray
    memory_time: FloatArray
    network_time: FloatArray
    fixed_time: FloatArray

    @property
    def seconds(self) -> FloatArray:
        """The roofline: arithmetic and memory overlap, the network and the fixed part do not."""
        return np.maximum(self.compute_time, self.memory_time) + self.network_time + self.fixed_time


class Operator(Protocol):
    """`count` runs of one kernel in a step. `is_work` where its FLOPs and bytes count as the model's own (MFU, MBU)."""

    @property
    def name(self) -> str: ...
    @property
    def count(self) -> float: ...
    @property
    def is_work(self) -> bool: ...

    def demand(self, load: Load) -> Demand:
        """Of one run."""


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator and the share of its peaks that kernels reach."""

    accelerator: Accelerator
    efficiencies: Efficiencies

    def matrix_rate(self, weights: NumberFormat) -> float:
        """FLOP/s of a large GEMM over such weights."""
        rate = compute_rate(weights, self.accelerator)
        share = self.efficiencies.gemm_compute * (self.efficiencies.weight_only_compute if rate.weight_only else 1.0)
        return rate.peak_flops * share

    def attention_rate(self) -> float:
        """FLOP/s of attention kernels, whatever the weights and the cache are stored in."""
        return plain_peak(self.accelerator) * self.efficiencies.attention_compute

    def bandwidth(self, share: float) -> float:
        return self.accelerator.memory_bandwidth * share

    def activation_bytes(self, weights: NumberFormat) -> float:
        return compute_rate(weights, self.accelerator).activation_bytes


@dataclass(frozen=True, slots=True)
class Gemm:
    """`rows x num_inputs` times `num_inputs x num_outputs`.

    `max(2 (rows + half_rows) K N / (peak * gemm_compute), bytes / (bandwidth * gemm_memory)) + gemm_fixed`: the efficiency is
    `gemm_compute * rows / (rows + half_rows)`, which falls for low matrices as tiles are left unfilled.
    """

    name: str
    count: float
    device: Device
    num_inputs: float
    num_outputs: float
    weights: NumberFormat
    is_work: bool = True

    def demand(self, load: Load) -> Demand:
        eff = self.device.efficiencies
        size = self.num_inputs * self.num_outputs
        row_bytes = self.num_inputs * self.device.activation_bytes(self.weights) + self.num_outputs * ACTIVATION_BYTES
        num_bytes = size * self.weights.bytes_per_element + load.rows * row_bytes
        return demand(
            load,
            flops=2 * size * load.rows,
            bytes=num_bytes,
            compute_time=2 * size * (load.rows + eff.gemm_half_rows) / self.device.matrix_rate(self.weights),
            memory_time=num_bytes / self.device.bandwidth(eff.gemm_memory),
            fixed_time=eff.gemm_fixed,
        )


@dataclass(frozen=True, slots=True)
class Experts:
    """The routed experts of one layer: a grouped GEMM over those that the step's tokens reach.

    With uniform routing `tokens` reach `E (1 - (1 - k/E)^tokens)` of `E` experts; only their weights are read. `ranks` share the experts
    and see all tokens (expert parallelism); else every rank holds all experts, split by `tensor_split`, and sees its own tokens.
    """

    name: str
    count: float
    device: Device
    moe: Moe
    hidden_size: int
    weights: NumberFormat
    ranks: int
    tensor_split: int
    data_parallel: int
    is_work: bool = True

    def demand(self, load: Load) -> Demand:
        eff, moe = self.device.efficiencies, self.moe
        seen, scale = (load.tokens, self.data_parallel) if self.ranks > 1 else (load.tokens / self.data_parallel, 1)
        imbalance = eff.expert_imbalance if self.ranks > 1 else 1.0
        reached = np.minimum(imbalance * coverage(moe, seen), moe.num_experts) / self.ranks
        rows = imbalance * load.rows * scale * moe.num_experts_per_tok / self.ranks
        width = moe.intermediate_size / self.tensor_split
        matrices = 3 if moe.gated else 2
        size = matrices * self.hidden_size * width
        row_bytes = self.hidden_size * (self.device.activation_bytes(self.weights) + ACTIVATION_BYTES) + matrices * width * ACTIVATION_BYTES
        num_bytes = reached * size * self.weights.bytes_per_element + rows * row_bytes
        return demand(
            load,
            flops=2 * size * rows,
            bytes=num_bytes,
            compute_time=2 * size * (rows + reached * eff.gemm_half_rows) / self.device.matrix_rate(self.weights),
            memory_time=num_bytes / self.device.bandwidth(eff.gemm_memory),
            fixed_time=2 * eff.gemm_fixed,
        )


@dataclass(frozen=True, slots=True)
class Elementwise:
    """Kernels that only stream activations: norms, rotary embedding, activation functions, cache writes, the sampler."""

    name: str
    count: float
    device: Device
    bytes_per_row: float
    num_kernels: float
    is_work: bool = False

    def demand(self, load: Load) -> Demand:
        eff = self.device.efficiencies
        num_bytes = self.bytes_per_row * load.rows
        memory_time = num_bytes / self.device.bandwidth(eff.elementwise_memory)
        return demand(load, bytes=num_bytes, memory_time=memory_time, fixed_time=self.num_kernels * eff.small_kernel_fixed)


@dataclass(frozen=True, slots=True)
class Scan:
    """The recurrence of a state-space mixer over a step's tokens; the traffic of its states goes by sequences, see `attention.py`."""

    name: str
    count: float
    device: Device
    flops_per_row: float
    is_work: bool = True

    def demand(self, load: Load) -> Demand:
        flops = self.flops_per_row * load.rows
        return demand(load, flops=flops, compute_time=flops / self.device.attention_rate())


@dataclass(frozen=True, slots=True)
class Overhead:
    """Time that does not depend on the load."""

    name: str
    seconds: float
    count: float = 1
    is_work: bool = False

    def demand(self, load: Load) -> Demand:
        return demand(load, fixed_time=self.seconds)


ACTIVATION_BYTES = 2.0  # activations between kernels are bf16


def coverage(moe: Moe, tokens: FloatArray) -> FloatArray:
    """Experts that at least one of `tokens` is routed to, with uniform routing: an upper bound, since real routing is skewed."""
    return moe.num_experts * (1 - (1 - moe.num_experts_per_tok / moe.num_experts) ** tokens)


def demand(
    load: Load,
    *,
    flops: FloatArray | float = 0.0,
    bytes: FloatArray | float = 0.0,
    compute_time: FloatArray | float = 0.0,
    memory_time: FloatArray | float = 0.0,
    network_time: FloatArray | float = 0.0,
    fixed_time: FloatArray | float = 0.0,
) -> Demand:
    """A demand of which only some parts are not zero."""
    zeros = np.zeros_like(load.rows)
    return Demand(zeros + flops, zeros + bytes, zeros + compute_time, zeros + memory_time, zeros + network_time, zeros + fixed_time)
