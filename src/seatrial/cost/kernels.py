"""The laws that curves are the parameters of: from work and curve to the seconds of one kernel."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seatrial.core.curves import AllReduceCurve, DecodeCurve, ExpertsCurve, GemmCurve, PromptCurve, TransferCurve

FloatArray = NDArray[np.float64]
ACTIVATION_BYTES = 2.0  # activations between kernels are bf16


class Peaks(NamedTuple):
    """FLOP/s in the format that is multiplied, bytes/s of memory."""

    flops: float
    bandwidth: float


class Times(NamedTuple):
    """Of one kernel: arithmetic and memory overlap, in the manner that `blend` says; the fixed part comes on top."""

    compute: FloatArray
    memory: FloatArray
    fixed: FloatArray
    blend: float

    @property
    def seconds(self) -> FloatArray:
        return overlapped(self.compute, self.memory, self.blend) + self.fixed


class GemmWork(NamedTuple):
    """`rows x inputs` times `inputs x outputs`; bytes per element of the weights and of what is multiplied with them."""

    rows: FloatArray
    inputs: FloatArray
    outputs: FloatArray
    weight_bytes: float
    activation_bytes: float

    @property
    def flops(self) -> FloatArray:
        return 2 * self.rows * self.inputs * self.outputs

    @property
    def bytes(self) -> FloatArray:
        row_bytes = self.inputs * self.activation_bytes + self.outputs * ACTIVATION_BYTES
        return self.inputs * self.outputs * self.weight_bytes + self.rows * row_bytes


class ExpertsWork(NamedTuple):
    """`rows` in all, over `reached` experts of `matrices` matrices, `hidden x width` each, on one rank.

    `spread` is 1 where ranks hold whole experts, and 0 where each holds a part of all.
    """

    rows: FloatArray
    reached: FloatArray
    hidden: FloatArray
    width: FloatArray
    matrices: int
    weight_bytes: float
    activation_bytes: float
    spread: FloatArray

    @property
    def size(self) -> FloatArray:
        return self.matrices * self.hidden * self.width

    @property
    def flops(self) -> FloatArray:
        return 2 * self.size * self.rows

    @property
    def sorted_bytes(self) -> FloatArray:
        """Rows of the hidden size that are written and read, on the way in as on the way out."""
        return 4 * self.rows * self.hidden * ACTIVATION_BYTES

    @property
    def bytes(self) -> FloatArray:
        row_bytes = self.hidden * (self.activation_bytes + ACTIVATION_BYTES) + self.matrices * self.width * ACTIVATION_BYTES
        return self.reached * self.size * self.weight_bytes + self.rows * row_bytes


def gemm_times(curve: GemmCurve, work: GemmWork, peaks: Peaks) -> Times:
    padded = 2 * (work.rows + curve.half_rows) * (work.inputs + curve.half_inputs) * (work.outputs + curve.half_outputs)
    return Times(
        padded / (peaks.flops * curve.compute),
        work.bytes / (peaks.bandwidth * curve.memory),
        curve.fixed + curve.per_input * work.inputs,
        curve.blend,
    )


def experts_times(curve: ExpertsCurve, work: ExpertsWork, peaks: Peaks) -> Times:
    padded = 2 * work.size * (work.rows + work.reached * curve.half_rows)
    return Times(
        padded / (peaks.flops * curve.compute),
        work.bytes / (peaks.bandwidth * curve.memory) + work.sorted_bytes / (peaks.bandwidth * curve.rows_memory),
        curve.fixed + curve.spread * work.spread,
        curve.blend,
    )


def pair_rate(curve: PromptCurve, heads: float | FloatArray, peak_flops: float) -> float | FloatArray:
    """FLOP/s over the query-key products of a prompt: few heads fill the device badly."""
    return peak_flops * curve.compute / (1 + curve.half_heads / heads)


def query_bytes(heads: float | FloatArray, query_key: float, value: float) -> float | FloatArray:
    """Queries read and outputs written, per token of a prompt."""
    return heads * (query_key + value) * ACTIVATION_BYTES


def decode_rate(curve: DecodeCurve, flops: FloatArray | float, num_bytes: FloatArray | float, peaks: Peaks) -> FloatArray:
    """Seconds for that many FLOPs and bytes of cache: the larger of the two bounds."""
    return np.maximum(np.asarray(flops) / (peaks.flops * curve.compute), np.asarray(num_bytes) / (peaks.bandwidth * curve.memory))


def all_reduce_time(curve: AllReduceCurve, message: FloatArray, ranks: float | FloatArray, bandwidth: float) -> FloatArray:
    room = bandwidth * _room(ranks, curve.crowding)
    one_shot = (ranks - 1) * message / (room * curve.one_shot)
    two_shots = curve.second_latency + 2 * (ranks - 1) / ranks * message / (room * curve.two_shots)
    return np.asarray(curve.latency + curve.per_rank * (ranks - 1) + np.minimum(one_shot, two_shots))


def transfer_time(curve: TransferCurve, sent: FloatArray, ranks: float | FloatArray, bandwidth: float) -> FloatArray:
    room = bandwidth * _room(ranks, curve.crowding)
    return np.asarray(curve.latency + curve.per_rank * (ranks - 1) + sent / (room * curve.bandwidth))


def _room(ranks: float | FloatArray, crowding: float) -> float | FloatArray:
    return (2 / ranks) ** crowding


def overlapped(first: FloatArray, second: FloatArray, blend: float) -> FloatArray:
    """Two things at once: the larger when `blend` is large, near the sum when it is 1; smooth and monotone between."""
    larger = np.maximum(first, second)
    ratio = np.divide(np.minimum(first, second), larger, out=np.zeros_like(larger), where=larger > 0)
    return np.asarray(larger * (1 + ratio**blend) ** (1 / blend))
