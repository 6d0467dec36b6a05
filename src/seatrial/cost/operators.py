"""What a forward pass is made of: how long each part takes, what it multiplies and what it moves.

Operators answer for arrays, so that a table over all token counts is one call, and explaining one step is the same call with one element.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np

from seatrial.core.accelerator import Accelerator
from seatrial.core.curves import (
    Curves,
    Estimate,
    ExpertsCurve,
    Fitted,
    GemmCurve,
    PromptCurve,
)
from seatrial.core.engine_profile import EngineProfile
from seatrial.core.model import FORMATS, Moe, NumberFormat
from seatrial.cost.formats import compute_rate, plain_peak, vector_peak
from seatrial.cost.kernels import (
    ExpertsWork,
    FloatArray,
    GemmWork,
    Peaks,
    Times,
    experts_times,
    gemm_times,
    overlapped,
)
from seatrial.cost.routing import coverage

UNPACKING = 0.85  # share of the rate that weight-only kernels keep: 0.7 to 0.95 in practice


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
    blend: float

    @property
    def seconds(self) -> FloatArray:
        """Arithmetic and memory overlap, the network and the fixed part do not."""
        return overlapped(self.compute_time, self.memory_time, self.blend) + self.network_time + self.fixed_time


class Operator(Protocol):
    """`count` runs of one kernel in a step. `is_work` where its FLOPs and bytes count as the model's own (MFU, MBU)."""

    @property
    def name(self) -> str: ...
    @property
    def count(self) -> float: ...
    @property
    def is_work(self) -> bool: ...

    def estimate(self, load: Load) -> Estimate | None:
        """How its time for a load of one element is known; None for what the engine's profile says."""

    def demand(self, load: Load) -> Demand:
        """Of one run."""


class Use(NamedTuple):
    """A curve for one operator of a model, which has these sizes."""

    fitted: Fitted
    curves: Curves
    number_format: str
    sizes: Mapping[str, float]

    def estimate(self, *, moved: float = 1.0, **load: float) -> Estimate:
        """How well its time is known for a load that the engine's profile makes `moved` times as long."""
        return self.curves.estimate(self.fitted, self.number_format, {**self.sizes, **load}, moved=moved)


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator, what kernels reach on it, and what the engine makes of them."""

    accelerator: Accelerator
    curves: Curves
    profile: EngineProfile

    def use(self, operator: str, number_format: str, multiplied: str, **sizes: float) -> Use:
        return Use(self.curves.find(operator, number_format, multiplied), self.curves, number_format, sizes)

    def matrices(self, operator: str, weights: NumberFormat, **sizes: float) -> Use:
        rate = compute_rate(weights, self.accelerator)
        same_as_bf16 = {"fp16": "bf16"}
        number_format, multiplied = (same_as_bf16.get(name, name) for name in (weights.name, rate.format))
        return self.use(operator, number_format, multiplied, **sizes)

    def attention(self, operator: str, cache: NumberFormat, **sizes: float) -> Use:
        """Attention is multiplied in the plain format, whatever the weights and the cache are stored in."""
        return self.use(operator, "bf16" if cache.name == "fp16" else cache.name, "bf16", **sizes)

    def link(self, operator: str, link: str, **sizes: float) -> Use:
        return self.use(operator, link, "", **sizes)

    @property
    def alone(self) -> "Device":
        """With kernels as they were timed alone, whatever the engine makes of them."""
        return replace(self, profile=self.profile.kernels_alone)

    @property
    def plain_peaks(self) -> Peaks:
        return Peaks(plain_peak(self.accelerator), self.accelerator.memory_bandwidth)

    def matrix_peaks(self, weights: NumberFormat, fitted: Fitted) -> Peaks:
        """Weights that are unpacked on the way slow the arithmetic down, which only a curve of that very format knows."""
        rate = compute_rate(weights, self.accelerator)
        unpacking = UNPACKING if rate.weight_only and fitted.number_format != weights.name else 1.0
        return Peaks(rate.peak_flops * unpacking, self.accelerator.memory_bandwidth)

    def activation_bytes(self, weights: NumberFormat) -> float:
        return compute_rate(weights, self.accelerator).activation_bytes


@dataclass(frozen=True, slots=True)
class Gemm:
    """`rows x num_inputs` times `num_inputs x num_outputs`; the law is that of `GemmCurve`."""

    name: str
    count: float
    device: Device
    num_inputs: float
    num_outputs: float
    weights: NumberFormat
    is_work: bool = True

    @property
    def _use(self) -> Use:
        return self.device.matrices("gemm", self.weights, inputs=self.num_inputs, outputs=self.num_outputs)

    def estimate(self, load: Load) -> Estimate:
        return self._use.estimate(moved=moved(self, load), rows=load.rows[0])

    def demand(self, load: Load) -> Demand:
        fitted = self._use.fitted
        assert isinstance(fitted.curve, GemmCurve)
        inputs, outputs = np.asarray(self.num_inputs), np.asarray(self.num_outputs)
        work = GemmWork(load.rows, inputs, outputs, self.weights.bytes_per_element, self.device.activation_bytes(self.weights))
        peaks = self.device.matrix_peaks(self.weights, fitted)
        return kernel(load, work, gemm_times(fitted.curve, work, peaks), peaks, self.device.profile.gemm_scale)


@dataclass(frozen=True, slots=True)
class Experts:
    """The routed experts of one layer: a grouped GEMM over those that the step's tokens reach; the law is that of `ExpertsCurve`.

    Only the weights of the experts reached are read. `ranks` share the experts and see all tokens (expert parallelism); else every rank
    holds all experts, split by `tensor_split`, and sees its own tokens.
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

    @property
    def _use(self) -> Use:
        moe = self.moe
        sizes = {"hidden": self.hidden_size, "width": moe.intermediate_size}
        return self.device.matrices("experts", self.weights, **sizes, experts_per_token=moe.num_experts_per_tok, experts=moe.num_experts)

    def estimate(self, load: Load) -> Estimate:
        return self._use.estimate(moved=moved(self, load), tokens=self._seen(load)[0])

    def _seen(self, load: Load) -> FloatArray:
        """Tokens that reach the experts of a rank."""
        return load.tokens if self.ranks > 1 else load.tokens / self.data_parallel

    def demand(self, load: Load) -> Demand:
        fitted, profile, moe = self._use.fitted, self.device.profile, self.moe
        assert isinstance(fitted.curve, ExpertsCurve)
        seen, scale = self._seen(load), self.data_parallel if self.ranks > 1 else 1
        imbalance = profile.expert_imbalance if self.ranks > 1 else 1.0
        work = ExpertsWork(
            rows=imbalance * load.rows * scale * moe.num_experts_per_tok / self.ranks,
            reached=np.minimum(imbalance * coverage(moe, seen, profile.expert_skew), moe.num_experts) / self.ranks,
            hidden=np.asarray(float(self.hidden_size)),
            width=np.asarray(moe.intermediate_size / self.tensor_split),
            matrices=3 if moe.gated else 2,
            weight_bytes=self.weights.bytes_per_element,
            activation_bytes=self.device.activation_bytes(self.weights),
            spread=np.asarray(float(self.ranks > 1)),
        )
        peaks = self.device.matrix_peaks(self.weights, fitted)
        times = experts_times(fitted.curve, work, peaks)
        if compute_rate(self.weights, self.device.accelerator).weight_only:
            # tiles that are mostly empty wait for memory, so only full rows feel a kernel that multiplies slowly
            full_rows = work.flops / (peaks.flops * fitted.curve.compute)
            times = times._replace(compute=times.compute + (profile.unpacking_scale - 1) * full_rows)
        return kernel(load, work, times, peaks, profile.experts_scale)


@dataclass(frozen=True, slots=True)
class Elementwise:
    """Kernels that only stream activations: norms, rotary embedding, activation functions, cache writes, the sampler."""

    name: str
    count: float
    device: Device
    bytes_per_row: float
    num_kernels: float
    is_work: bool = False

    def estimate(self, load: Load) -> None:
        return None

    def demand(self, load: Load) -> Demand:
        profile = self.device.profile
        num_bytes = self.bytes_per_row * load.rows
        memory_time = num_bytes / (self.device.accelerator.memory_bandwidth * profile.elementwise_memory)
        return demand(load, bytes=num_bytes, memory_time=memory_time, fixed_time=self.num_kernels * profile.small_kernel_fixed)


@dataclass(frozen=True, slots=True)
class Scan:
    """The recurrence of a state-space mixer over a step's tokens; the traffic of its states goes by sequences, see `attention.py`."""

    name: str
    count: float
    device: Device
    flops_per_row: float
    is_work: bool = True

    def estimate(self, load: Load) -> None:
        return None

    def demand(self, load: Load) -> Demand:
        """At the rate of attention over prompts, which also works on tiles with vector operations between."""
        curve = self.device.attention("prompt_attention", FORMATS["bf16"]).fitted.curve
        assert isinstance(curve, PromptCurve)
        flops = self.flops_per_row * load.rows
        return demand(load, flops=flops, compute_time=flops / (self.device.plain_peaks.flops * curve.compute))


@dataclass(frozen=True, slots=True)
class VectorWork:
    """Operations of the vector units on what the caches hold, at their rate in fp32: sorting logits, which no bandwidth bounds."""

    name: str
    count: float
    device: Device
    operations_per_row: float
    num_kernels: float
    is_work: bool = False

    def estimate(self, load: Load) -> None:
        return None

    def demand(self, load: Load) -> Demand:
        compute_time = self.operations_per_row * load.rows / vector_peak(self.device.accelerator)
        return demand(load, compute_time=compute_time, fixed_time=self.num_kernels * self.device.profile.small_kernel_fixed)


@dataclass(frozen=True, slots=True)
class Overhead:
    """Time that does not depend on the load."""

    name: str
    seconds: float
    count: float = 1
    is_work: bool = False

    def estimate(self, load: Load) -> None:
        return None

    def demand(self, load: Load) -> Demand:
        return demand(load, fixed_time=self.seconds)


def moved(operator: Gemm | Experts, load: Load) -> float:
    """How many times as long as its kernel alone the engine's profile says that it takes."""
    alone = float(replace(operator, device=operator.device.alone).demand(load).seconds[0])
    return float(operator.demand(load).seconds[0]) / alone if alone else 1.0


def kernel(load: Load, work: GemmWork | ExpertsWork, times: Times, peaks: Peaks, scale: float) -> Demand:
    """What a curve says, as the engine does it: `scale` times as long, but no faster than the peaks."""
    return demand(
        load,
        flops=work.flops,
        bytes=work.bytes,
        compute_time=np.maximum(scale * times.compute, work.flops / peaks.flops),
        memory_time=np.maximum(scale * times.memory, work.bytes / peaks.bandwidth),
        fixed_time=scale * times.fixed,
        blend=times.blend,
    )


def demand(
    load: Load,
    *,
    flops: FloatArray | float = 0.0,
    bytes: FloatArray | float = 0.0,
    compute_time: FloatArray | float = 0.0,
    memory_time: FloatArray | float = 0.0,
    network_time: FloatArray | float = 0.0,
    fixed_time: FloatArray | float = 0.0,
    blend: float = 1.0,
) -> Demand:
    """A demand of which only some parts are not zero."""
    zeros = np.zeros_like(load.rows)
    return Demand(zeros + flops, zeros + bytes, zeros + compute_time, zeros + memory_time, zeros + network_time, zeros + fixed_time, blend)
