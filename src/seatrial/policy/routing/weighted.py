"""Several opinions, each with a weight."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from seatrial.core.fleet import FleetView, ReplicaView
from seatrial.core.request import Request


@dataclass(frozen=True, slots=True)
class Weighted:
    """The replica with the highest weighted sum of scores between 0 and 1, as llm-d's endpoint picker adds them up.

    `queue`: 1 for the shortest queue of waiting requests, 0 for the longest, in between in proportion. `outstanding`: the same of requests
    whose answers are not back. `kv`: the share of the KV blocks that is free. `prefix`: the share of the prompt that is cached there.
    """

    is_blind: ClassVar[bool] = False
    queue: float = 1.0
    outstanding: float = 0.0
    kv: float = 1.0
    prefix: float = 1.0

    def __post_init__(self) -> None:
        weights = (self.queue, self.outstanding, self.kv, self.prefix)
        if not (all(weight >= 0 for weight in weights) and any(weights)):
            raise ValueError(f"its weights must be 0 or more and not all 0; they are {', '.join(f'{weight:g}' for weight in weights)}")

    def begin(self, fleet: FleetView, random: Random) -> Callable[[Request], int]:
        replicas = fleet.replicas

        def choose(request: Request) -> int:
            scores = [0.0] * len(replicas)
            if self.queue:
                add(scores, self.queue, shortest_first([replica.num_waiting for replica in replicas]))
            if self.outstanding:
                add(scores, self.outstanding, shortest_first([replica.num_outstanding for replica in replicas]))
            if self.kv:
                add(scores, self.kv, [1 - replica.num_used_blocks / replica.num_blocks for replica in replicas])
            if self.prefix and request.prefix is not None:
                add(scores, self.prefix, [cached_share(replica, request) for replica in replicas])
            return max(range(len(replicas)), key=scores.__getitem__)

        return choose


def add(scores: list[float], weight: float, more: list[float]) -> None:
    for index, score in enumerate(more):
        scores[index] += weight * score


def shortest_first(lengths: list[int]) -> list[float]:
    least, most = min(lengths), max(lengths)
    return [1.0 if most == least else (most - length) / (most - least) for length in lengths]


def cached_share(replica: ReplicaView, request: Request) -> float:
    return replica.num_cached_tokens(request.prefix, request.num_prompt_tokens) / request.num_prompt_tokens
