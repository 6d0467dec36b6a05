"""Request-level batching: a batch is formed when nothing runs, and runs until its longest request has ended."""

from math import inf
from typing import ClassVar

from seatrial.core.deployment import EngineConfig
from seatrial.core.scheduling import SchedulerView, StepPlan
from seatrial.policy.orca import admit_whole


class Static:
    """Nobody joins a batch, and who has ended pads it: docs/schedulers.md."""

    # It bounds no step, but sets the memory that is kept for activations.
    options: ClassVar[frozenset[str]] = frozenset({"max_num_batched_tokens"})
    reserves = True
    pads = True
    whole_prompts = None
    max_decodes = inf

    def __init__(self, engine: EngineConfig) -> None:
        self.max_num_seqs = engine.max_num_seqs
        self.max_model_len = engine.max_model_len

    def plan(self, view: SchedulerView) -> StepPlan:
        if view.num_running:
            return StepPlan()
        return admit_whole(view, self.max_num_seqs, self.max_model_len)
