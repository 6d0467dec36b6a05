"""How long a step takes and how much memory there is for it."""

from seatrial.cost.affine import AffineCost
from seatrial.cost.defaults import engine_config
from seatrial.cost.explain import OperatorTime, confidence
from seatrial.cost.memory import KvCapacity, MemoryUse, kv_capacity
from seatrial.cost.parallelism import check_parallelism, crosses_nodes
from seatrial.cost.roofline import RooflineCost

__all__ = [
    "AffineCost",
    "KvCapacity",
    "MemoryUse",
    "OperatorTime",
    "RooflineCost",
    "check_parallelism",
    "confidence",
    "crosses_nodes",
    "engine_config",
    "kv_capacity",
]
