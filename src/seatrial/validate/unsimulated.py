"""Why a point is left out."""

from seatrial.core.errors import PointsError


class Unsimulated(PointsError):
    """A point that cannot be simulated honestly; the message is the reason, in one short sentence."""
