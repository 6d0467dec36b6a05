"""What a router may know of a fleet. The future is not in here, on purpose."""

from collections.abc import Sequence
from typing import Protocol

from seatrial.core.request import Prefix


class ReplicaView(Protocol):
    """A replica as the router has it.

    What the router counts itself (`num_outstanding`, `num_outstanding_tokens`) is always of now. What the engine reports (the rest that
    changes) reaches the router every `view_delay` seconds, and stands still in between.
    """

    @property
    def index(self) -> int:
        """Its place in the fleet."""

    @property
    def pool(self) -> str: ...

    @property
    def num_outstanding(self) -> int:
        """Requests that were sent to it and whose answers are not back."""

    @property
    def num_outstanding_tokens(self) -> int:
        """Prompt tokens of those."""

    @property
    def num_waiting(self) -> int:
        """Requests in its queue."""

    @property
    def num_running(self) -> int: ...

    @property
    def num_used_blocks(self) -> int:
        """KV blocks that sequences hold."""

    @property
    def num_blocks(self) -> int:
        """KV blocks in all."""

    @property
    def block_size(self) -> int: ...

    @property
    def max_num_seqs(self) -> int: ...

    def num_cached_tokens(self, prefix: Prefix | None, num_prompt_tokens: int) -> int:
        """Of such a prompt, the tokens that it would find in the replica's prefix cache; 0 where there is none."""


class FleetView(Protocol):
    """All that a router may know when it decides."""

    @property
    def now(self) -> float:
        """Seconds on the trace's clock."""

    @property
    def replicas(self) -> Sequence[ReplicaView]:
        """By index."""

    def least_outstanding(self) -> int:
        """The index of a replica with the fewest outstanding requests, the lowest of several; without looking at all of them."""
