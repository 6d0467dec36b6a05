"""What every scheduler promises."""

from typing import ClassVar, NamedTuple, Protocol

from seatrial.core.deployment import EngineConfig
from seatrial.core.scheduling import Chunk, Found, SchedulerView, StepPlan


class Scheduler(Protocol):
    """Decides what the next step of a replica computes.

    It is asked whenever a step can start and there is something to decide: somebody waits, a prompt is unfinished, memory is short for the
    decodes, or more than `max_decodes` sequences decode. It is not asked between the steps of a steady decode. It must make progress:
    when sequences run or wait and nothing is in flight, its plan computes something.

    `options` names those of the engine's arguments for tuning that it reads; a scenario that gives it another is refused.
    """

    options: ClassVar[frozenset[str]]

    def __init__(self, engine: EngineConfig) -> None: ...

    @property
    def max_decodes(self) -> float:
        """More decodes than this cannot run in one step; infinite where nothing bounds them."""

    @property
    def reserves(self) -> bool:
        """Whether a sequence holds from admission all the blocks that it will ever need, so that decodes never ask for one."""

    @property
    def pads(self) -> bool:
        """Whether a finished sequence computes along, and keeps its blocks, until nothing runs any more."""

    @property
    def whole_prompts(self) -> "WholePrompts | None":
        """A shortcut past `plan` for the common case; None for no shortcut, which is always right."""

    def plan(self, view: SchedulerView) -> StepPlan: ...


class CachingScheduler(Scheduler, Protocol):
    """One that also knows prefix caching. Its `plan` then admits nobody, since each who is admitted changes what the next will find."""

    def admit_next(self, view: SchedulerView, found: Found, budget: int, num_free_blocks: int) -> Chunk | None:
        """The first chunk of the head of the waiting queue, behind what is `found` of it, if it can be admitted to the step now.

        `budget` tokens, above zero, and `num_free_blocks` blocks are left by all who are in the step already.
        """


class WholePrompts(NamedTuple):
    """When all who wait start at once, each with its whole prompt, beside all decodes, provided that no other prompt is unfinished.

    That is if each has at most `max_prompt_tokens`, with the decodes the step has at most `max_step_tokens`, with the decodes they are at
    most `max_num_seqs`, and their blocks are free when each decode has taken one more token. Blocks are then given as needed.
    Where there is a prefix cache, the tokens of a prompt are here those that are not found there.
    """

    max_prompt_tokens: int
    max_step_tokens: int
    max_num_seqs: int
