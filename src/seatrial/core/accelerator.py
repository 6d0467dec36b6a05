"""A piece of hardware that computes: its peaks, its memory, its links, its price."""

from dataclasses import dataclass
from typing import NamedTuple


class Link(NamedTuple):
    """A way out of the device. `bandwidth` is bytes per second in one direction, `latency` seconds for a small message."""

    name: str
    bandwidth: float
    latency: float


class Fact(NamedTuple):
    """Where a number comes from."""

    source: str
    date: str


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One device as a scheduler of work sees it.

    `peak_flops` maps a number format (bf16, fp16, fp8, int8, fp4, int4, fp32) to dense FLOP/s (a multiply and an add count two), no sparsity;
    a format that the matrix units lack is absent. `memory` is what the driver shows, in bytes. `sources` names the origin of every number
    by the field's name (`peak_flops.bf16`, `tdp`, ...).
    """

    name: str
    vendor: str
    architecture: str
    peak_flops: dict[str, float]
    memory: float
    memory_bandwidth: float
    scale_up: Link
    scale_out: Link
    host: Link
    devices_per_node: int
    tdp: float
    idle_power: float
    price_per_hour: float
    sources: dict[str, Fact]
    aliases: tuple[str, ...] = ()
