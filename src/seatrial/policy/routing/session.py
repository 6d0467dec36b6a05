"""Session affinity: whoever belongs together goes to the same replica."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil
from random import Random
from typing import ClassVar

from seatrial.core.fleet import FleetView
from seatrial.core.request import Request

POINTS = 100  # of each replica on the ring: with so many their shares differ by about a tenth


@dataclass(frozen=True, slots=True)
class Session:
    """The next replica on a ring of hashes after the hash of the session (consistent hashing, Karger et al. 1997).

    With `load_factor` a replica that has this many times the mean of the outstanding requests is passed over (bounded loads, Mirrokni et
    al. 2018). A request without a session goes to the shortest queue.
    """

    is_blind: ClassVar[bool] = False
    load_factor: float | None = None

    def __post_init__(self) -> None:
        if self.load_factor is not None and not self.load_factor >= 1:
            raise ValueError(f"the option 'load_factor' cannot be {self.load_factor:g}; it must be 1 or more, like 1.25")

    def begin(self, fleet: FleetView, random: Random) -> Callable[[Request], int]:
        replicas = fleet.replicas
        points = range(POINTS)
        ring = sorted((hashed(f"{point} of {replica.pool} {replica.index}"), replica.index) for replica in replicas for point in points)
        places = [place for place, _ in ring]

        def choose(request: Request) -> int:
            if request.session_id is None:
                return fleet.least_outstanding()
            place = bisect_left(places, hashed(request.session_id)) % len(ring)
            if self.load_factor is None:
                return ring[place][1]
            most = ceil(self.load_factor * (1 + sum(replica.num_outstanding for replica in replicas)) / len(replicas))
            while replicas[ring[place][1]].num_outstanding >= most:
                place = (place + 1) % len(ring)
            return ring[place][1]

        return choose


def hashed(text: str) -> int:
    """The same on every machine and in every process, which `hash` is not."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
