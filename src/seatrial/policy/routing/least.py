"""Routers that look for the replica with the least of something."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from seatrial.core.fleet import FleetView
from seatrial.core.request import Request


@dataclass(frozen=True, slots=True)
class LeastOutstanding:
    """The fewest requests whose answers are not back: join the shortest queue."""

    is_blind: ClassVar[bool] = False

    def begin(self, fleet: FleetView, random: Random) -> Callable[[Request], int]:
        return lambda request: fleet.least_outstanding()


@dataclass(frozen=True, slots=True)
class PowerOfTwo:
    """Of two replicas drawn at random the one with fewer outstanding requests (Mitzenmacher 2001)."""

    is_blind: ClassVar[bool] = False

    def begin(self, fleet: FleetView, random: Random) -> Callable[[Request], int]:
        replicas = fleet.replicas
        num_replicas = len(replicas)

        def choose(request: Request) -> int:
            one, other = random.randrange(num_replicas), random.randrange(num_replicas)
            return one if replicas[one].num_outstanding <= replicas[other].num_outstanding else other

        return choose


@dataclass(frozen=True, slots=True)
class LeastKv:
    """The smallest share of KV blocks in use, as the engines report it; of several, the one with the fewest outstanding requests."""

    is_blind: ClassVar[bool] = False

    def begin(self, fleet: FleetView, random: Random) -> Callable[[Request], int]:
        def choose(request: Request) -> int:
            best = min(fleet.replicas, key=lambda replica: (replica.num_used_blocks / replica.num_blocks, replica.num_outstanding))
            return best.index

        return choose
