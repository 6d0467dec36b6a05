"""Where most of the prompt is cached, unless too much else is going on there."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Literal

from seatrial.core.fleet import FleetView
from seatrial.core.request import Request
from seatrial.policy.routing.prefix_tree import PrefixTree


@dataclass(frozen=True, slots=True)
class PrefixAware:
    """The replica with the least `weight * prompt tokens to compute + prompt tokens outstanding`, as NVIDIA Dynamo's KV router weighs them.

    Prompt tokens to compute are those of this request that are not cached there. What is cached is either what the router has sent there in
    the last `ttl` seconds (`index=approximate`), or what the engine says it has (`index=precise`, from its KV events).
    """

    is_blind: ClassVar[bool] = False
    weight: float = 1.0
    index: Literal["approximate", "precise"] = "approximate"
    ttl: float = 120.0

    def __post_init__(self) -> None:
        if not (self.weight >= 0 and self.ttl > 0):
            raise ValueError(f"'weight' must be 0 or more and 'ttl' above 0, and they are {self.weight:g} and {self.ttl:g}")

    def begin(self, fleet: FleetView, random: Random) -> Callable[[Request], int]:
        return self.precise(fleet) if self.index == "precise" else self.approximate(fleet)

    def precise(self, fleet: FleetView) -> Callable[[Request], int]:
        def choose(request: Request) -> int:
            cached = {replica.index: replica.num_cached_tokens(request.prefix, request.num_prompt_tokens) for replica in fleet.replicas}
            return self.least(fleet, request.num_prompt_tokens, cached)

        return choose

    def approximate(self, fleet: FleetView) -> Callable[[Request], int]:
        tree = PrefixTree(self.ttl)

        def choose(request: Request) -> int:
            prefix = request.prefix
            if prefix is None:
                return self.least(fleet, request.num_prompt_tokens, {})
            found = tree.find(prefix, fleet.now)
            cached = {index: min(depth * prefix.block_tokens, request.num_prompt_tokens) for index, depth in found.items()}
            index = self.least(fleet, request.num_prompt_tokens, cached)
            tree.add(prefix, index, fleet.now)
            return index

        return choose

    def least(self, fleet: FleetView, num_prompt_tokens: int, cached: dict[int, int]) -> int:
        weight = self.weight
        best, least = 0, float("inf")
        for replica in fleet.replicas:
            cost = weight * (num_prompt_tokens - cached.get(replica.index, 0)) + replica.num_outstanding_tokens
            if cost < least:
                best, least = replica.index, cost
        return best
