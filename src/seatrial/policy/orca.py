"""Orca's iteration-level batching: whole prompts join running decodes, on memory reserved for the longest request."""

from math import inf
from typing import ClassVar

from seatrial.core.deployment import EngineConfig
from seatrial.core.scheduling import Chunk, SchedulerView, StepPlan
from seatrial.policy.blocks import blocks_for


class Orca:
    """First come first served into free reservations. No token budget, no preemption: docs/schedulers.md."""

    # It bounds no step, but sets the memory that is kept for activations.
    options: ClassVar[frozenset[str]] = frozenset({"max_num_batched_tokens"})
    reserves = True
    pads = False
    whole_prompts = None
    max_decodes = inf

    def __init__(self, engine: EngineConfig) -> None:
        self.max_num_seqs = engine.max_num_seqs
        self.max_model_len = engine.max_model_len

    def plan(self, view: SchedulerView) -> StepPlan:
        return admit_whole(view, self.max_num_seqs, self.max_model_len)


def admit_whole(view: SchedulerView, max_num_seqs: int, max_model_len: int) -> StepPlan:
    """Admit from the front, each with its whole prompt and a reservation, while places and reservations last."""
    reservation = min(blocks_for(max_model_len, view.block_size), view.num_blocks)
    places = min(max_num_seqs - view.num_running, view.num_free_blocks // reservation)
    heads = [seq for seq, _ in zip(view.waiting, range(places))]
    return StepPlan([Chunk(seq, seq.num_tokens, reservation) for seq in heads], num_admitted=len(heads))
