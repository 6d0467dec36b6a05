"""A piece of hardware that computes: its peaks, its memory, its links, its price."""

from dataclasses import dataclass
from typing import NamedTuple


class Link(NamedTuple):
    """A way out of the device. `bandwidth` is bytes per second in one direction, `latency` seconds for a small message."""

    name: str
    bandwidth: float
    latency: float


class Fact(NamedTuple):
    """Where a number comes from. `date` is when it was published or seen, as exactly as is known: 2025, 2025-06 or 2025-06-30."""

    source: str
    date: str


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One device as a scheduler of work sees it.

    `peak_flops` maps a number format (fp32, tf32, bf16, fp16, fp8, int8, fp4, int4) to dense FLOP/s (a multiply and an add count two),
    no sparsity; a format that the matrix units lack is absent, but fp32 may be the vector units'.
    `memory` is what the driver shows, in bytes.

    `devices_per_node` devices reach each other over `scale_up` (8 on a board, 72 in an NVL72 rack); all others over `scale_out`, whose
    bandwidth is one device's share. `host` leads to the memory of the CPU. Powers are in watts, the price in dollars.

    `sources` names the origin of every number by the field's name (`peak_flops.bf16`, `tdp`, `scale_up.bandwidth` ...);
    one that was not published but guessed begins with `estimate`.
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
