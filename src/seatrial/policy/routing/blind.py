"""Routers that look at nothing but the request."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from random import Random
from typing import ClassVar

from seatrial.core.fleet import FleetView
from seatrial.core.request import Request


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """Each replica in turn."""

    is_blind: ClassVar[bool] = True

    def begin(self, fleet: FleetView, random: Random) -> Callable[[Request], int]:
        turns = cycle(range(len(fleet.replicas)))
        return lambda request: next(turns)


@dataclass(frozen=True, slots=True)
class Uniform:
    """Any replica, each as likely as any other."""

    is_blind: ClassVar[bool] = True

    def begin(self, fleet: FleetView, random: Random) -> Callable[[Request], int]:
        num_replicas = len(fleet.replicas)
        return lambda request: random.randrange(num_replicas)
