"""What accelerators tell each other during a step."""

from dataclasses import dataclass

import numpy as np

from seatrial.cost.operators import Demand, Device, FloatArray, Load, demand


@dataclass(frozen=True, slots=True)
class AllReduce:
    """The sum of a row of `bytes_per_row` over `ranks`, known to all of them.

    Inside a node the faster of one shot (`(n-1) m / B`, one latency) and two shots (`2 (n-1)/n m / B`, two latencies); across nodes
    reduce-scatter inside, two shots of `m / n` between the nodes, all-gather inside.
    """

    name: str
    count: float
    device: Device
    ranks: int
    bytes_per_row: float
    is_work: bool = False

    def demand(self, load: Load) -> Demand:
        eff, accelerator = self.device.efficiencies, self.device.accelerator
        message = self.bytes_per_row * load.rows
        local = min(self.ranks, accelerator.devices_per_node)
        time = _node_all_reduce(message, local, accelerator.scale_up.bandwidth * eff.network, accelerator.scale_up.latency)
        if self.ranks > local:
            nodes = self.ranks / local
            out = accelerator.scale_out
            time = time + 2 * (nodes - 1) / nodes * message / local / (out.bandwidth * eff.network) + 2 * out.latency
        sent = 2 * (self.ranks - 1) / self.ranks * message
        return demand(load, bytes=sent, network_time=time, fixed_time=eff.all_reduce_fixed)


@dataclass(frozen=True, slots=True)
class AllToAll:
    """Each rank sends its tokens to the ranks that hold their experts, or takes the results back.

    A token with `k` experts goes to `(n-1) (1 - (1 - 1/n)^k)` other ranks on average. Node and network links work side by side.
    """

    name: str
    count: float
    device: Device
    ranks: int
    experts_per_token: int
    tensor_parallel: int
    bytes_per_token: float
    is_work: bool = False

    def demand(self, load: Load) -> Demand:
        eff, accelerator = self.device.efficiencies, self.device.accelerator
        copies = (self.ranks - 1) * (1 - (1 - 1 / self.ranks) ** self.experts_per_token)
        sent = load.rows / self.tensor_parallel * copies * self.bytes_per_token
        local = min(self.ranks, accelerator.devices_per_node)
        outside = (self.ranks - local) / (self.ranks - 1)
        time = np.zeros_like(sent)
        latency = 0.0
        for share, link in ((1 - outside, accelerator.scale_up), (outside, accelerator.scale_out)):
            if share > 0:
                time = np.maximum(time, share * sent / (link.bandwidth * eff.network))
                latency = max(latency, link.latency)
        return demand(load, bytes=sent, network_time=time + latency, fixed_time=eff.all_to_all_fixed)


@dataclass(frozen=True, slots=True)
class AllGather:
    """Each of `ranks` ends with the whole row of `bytes_per_row`, of which it had one part."""

    name: str
    count: float
    device: Device
    ranks: int
    bytes_per_row: float
    is_work: bool = False

    def demand(self, load: Load) -> Demand:
        eff, accelerator = self.device.efficiencies, self.device.accelerator
        link = accelerator.scale_up if self.ranks <= accelerator.devices_per_node else accelerator.scale_out
        sent = (self.ranks - 1) / self.ranks * self.bytes_per_row * load.rows
        return demand(load, bytes=sent, network_time=sent / (link.bandwidth * eff.network) + link.latency, fixed_time=eff.all_reduce_fixed)


@dataclass(frozen=True, slots=True)
class PointToPoint:
    """Activations handed to the next pipeline stage, each tensor-parallel rank sending its slice."""

    name: str
    count: float
    device: Device
    tensor_parallel: int
    crosses_nodes: bool
    bytes_per_row: float
    is_work: bool = False

    def demand(self, load: Load) -> Demand:
        eff, accelerator = self.device.efficiencies, self.device.accelerator
        link = accelerator.scale_out if self.crosses_nodes else accelerator.scale_up
        sent = self.bytes_per_row / self.tensor_parallel * load.rows
        return demand(
            load, bytes=sent, network_time=sent / (link.bandwidth * eff.network) + link.latency, fixed_time=eff.point_to_point_fixed
        )


def _node_all_reduce(message: FloatArray, ranks: int, bandwidth: float, latency: float) -> FloatArray:
    if ranks == 1:
        return np.zeros_like(message)
    one_shot = (ranks - 1) * message / bandwidth + latency
    two_shots = 2 * (ranks - 1) / ranks * message / bandwidth + 2 * latency
    return np.minimum(one_shot, two_shots)
