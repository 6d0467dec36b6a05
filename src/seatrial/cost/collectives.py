"""What accelerators tell each other during a step."""

from dataclasses import dataclass

import numpy as np

from seatrial.core.curves import PROVENANCES, AllReduceCurve, Estimate, TransferCurve
from seatrial.cost.kernels import FloatArray, all_reduce_time, transfer_time
from seatrial.cost.operators import Demand, Device, Load, Use, demand


@dataclass(frozen=True, slots=True)
class AllReduce:
    """The sum of a row of `bytes_per_row` over `ranks`, known to all of them; the law is that of `AllReduceCurve`.

    Across nodes: inside each, then two shots of `m / n` between the nodes; gathering inside is part of the first.
    """

    name: str
    count: float
    device: Device
    ranks: int
    bytes_per_row: float
    is_work: bool = False

    @property
    def _local(self) -> int:
        return min(self.ranks, self.device.accelerator.devices_per_node)

    @property
    def _use(self) -> Use:
        return self.device.link("all_reduce", "scale_up", ranks=self._local)

    @property
    def _across(self) -> Use:
        return self.device.link("all_gather", "scale_out")

    def estimate(self, load: Load) -> Estimate:
        """Of the less sure part, where nodes sum up among each other too."""
        inside = self._use.estimate(message=self.bytes_per_row * load.rows[0])
        return max(inside, self._across.estimate(), key=sureness) if self.ranks > self._local else inside

    def demand(self, load: Load) -> Demand:
        accelerator, message = self.device.accelerator, self.bytes_per_row * load.rows
        curve, local = self._use.fitted.curve, self._local
        assert isinstance(curve, AllReduceCurve)
        time = all_reduce_time(curve, message, local, accelerator.scale_up.bandwidth) if local > 1 else np.zeros_like(message)
        if self.ranks > local:
            nodes, across = self.ranks / local, _transfer_curve(self._across)
            shot = transfer_time(across, (nodes - 1) / nodes * message / local, nodes, accelerator.scale_out.bandwidth)
            time = time + 2 * shot
        sent = 2 * (self.ranks - 1) / self.ranks * message
        return demand(load, bytes=sent, network_time=time, fixed_time=self.device.profile.all_reduce_fixed)


@dataclass(frozen=True, slots=True)
class AllToAll:
    """Each rank sends its tokens to the ranks that hold their experts, or takes the results back.

    A token with `k` experts goes to `(n - 1) (1 - (1 - 1/n)^k)` other ranks of a node on average, and across nodes once to each node
    that it has an expert on, with the same law. Node and network links work side by side.
    """

    name: str
    count: float
    device: Device
    ranks: int
    experts_per_token: int
    tensor_parallel: int
    bytes_per_token: float
    is_work: bool = False

    @property
    def _local(self) -> int:
        return min(self.ranks, self.device.accelerator.devices_per_node)

    def _uses(self) -> dict[str, tuple[Use, float]]:
        """The curve of each link in use, and between how many places it leads."""
        places = {"scale_up": self._local, "scale_out": -(-self.ranks // self._local)}
        return {link: (self.device.link("all_to_all", link, ranks=count), count) for link, count in places.items() if count > 1}

    def estimate(self, load: Load) -> Estimate:
        """Of the links that lead furthest."""
        use, places = list(self._uses().values())[-1]
        return use.estimate(sent=self._message(load, places)[0])

    def _message(self, load: Load, places: float) -> FloatArray:
        copies = (places - 1) * (1 - (1 - 1 / places) ** self.experts_per_token)
        return load.rows / self.tensor_parallel * copies * self.bytes_per_token

    def demand(self, load: Load) -> Demand:
        accelerator, time, sent = self.device.accelerator, np.zeros_like(load.rows), np.zeros_like(load.rows)
        for link, (use, places) in self._uses().items():
            message = self._message(load, places)
            bandwidth = (accelerator.scale_up if link == "scale_up" else accelerator.scale_out).bandwidth
            time = np.maximum(time, transfer_time(_transfer_curve(use), message, places, bandwidth))
            sent = sent + message
        return demand(load, bytes=sent, network_time=time)


@dataclass(frozen=True, slots=True)
class AllGather:
    """Each of `ranks` ends with the whole row of `bytes_per_row`, of which it had one part. The ranks are `apart` devices away."""

    name: str
    count: float
    device: Device
    ranks: int
    bytes_per_row: float
    apart: int = 1
    is_work: bool = False

    @property
    def _link(self) -> str:
        return "scale_up" if self.ranks * self.apart <= self.device.accelerator.devices_per_node else "scale_out"

    @property
    def _use(self) -> Use:
        return self.device.link("all_gather", self._link, ranks=self.ranks)

    def estimate(self, load: Load) -> Estimate:
        return self._use.estimate(sent=self._sent(load)[0])

    def _sent(self, load: Load) -> FloatArray:
        return (self.ranks - 1) / self.ranks * self.bytes_per_row * load.rows

    def demand(self, load: Load) -> Demand:
        accelerator = self.device.accelerator
        bandwidth = (accelerator.scale_up if self._link == "scale_up" else accelerator.scale_out).bandwidth
        sent = self._sent(load)
        time = transfer_time(_transfer_curve(self._use), sent, self.ranks, bandwidth)
        return demand(load, bytes=sent, network_time=time, fixed_time=self.device.profile.all_reduce_fixed)


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

    @property
    def _use(self) -> Use:
        return self.device.link("point_to_point", "scale_out" if self.crosses_nodes else "scale_up")

    def estimate(self, load: Load) -> Estimate:
        return self._use.estimate(ranks=2, sent=self.bytes_per_row / self.tensor_parallel * load.rows[0])

    def demand(self, load: Load) -> Demand:
        accelerator = self.device.accelerator
        link = accelerator.scale_out if self.crosses_nodes else accelerator.scale_up
        sent = self.bytes_per_row / self.tensor_parallel * load.rows
        return demand(load, bytes=sent, network_time=transfer_time(_transfer_curve(self._use), sent, 2, link.bandwidth))


def sureness(estimate: Estimate) -> int:
    """The higher, the less sure."""
    return PROVENANCES.index(estimate.provenance)


def _transfer_curve(use: Use) -> TransferCurve:
    curve = use.fitted.curve
    assert isinstance(curve, TransferCurve)
    return curve
