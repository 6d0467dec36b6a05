"""Where a request goes: the decision, apart from the fleet that carries it out."""

from collections.abc import Callable
from random import Random
from typing import Protocol

from seatrial.core.fleet import FleetView
from seatrial.core.request import Request

Choose = Callable[[Request], int]  # the index of the replica that is to answer it


class Router(Protocol):
    """A frozen value with its options as fields.

    `begin` opens a run: what it gives is asked once for each request, in order of arrival, and may keep what it likes for the next. All
    that it draws it draws from `random`. A router with `is_blind` looks at nothing in `fleet` that changes; its fleet sails faster, since
    nobody must know at each arrival how far the replicas have come.
    """

    @property
    def is_blind(self) -> bool: ...

    def begin(self, fleet: FleetView, random: Random) -> Choose: ...
