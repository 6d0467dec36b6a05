"""A point with what was predicted for it."""

from dataclasses import dataclass

from seatrial.validate.accuracy import Pairs
from seatrial.validate.point import Point
from seatrial.validate.system import System


@dataclass(frozen=True, slots=True)
class Compared:
    """A point that was simulated. `num_completed` is how many requests the client got an answer to, ours and (if stated) measured."""

    point: Point
    system: System
    pairs: Pairs
    num_completed: tuple[int, int | None]
    provenance: str
