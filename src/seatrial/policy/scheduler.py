"""What every scheduler promises."""

from typing import Protocol

from seatrial.core.scheduling import SchedulerView, StepPlan


class Scheduler(Protocol):
    """Decides what the next step of a replica computes.

    It is asked whenever a step can start and there is something to decide: somebody waits, a prompt is unfinished, memory is short for the
    decodes, or more than `max_decodes` sequences decode. It is not asked between the steps of a steady decode. It must make progress:
    when sequences run or wait and nothing is in flight, its plan computes something.
    """

    @property
    def max_decodes(self) -> float:
        """More decodes than this cannot run in one step; infinite where nothing bounds them."""

    @property
    def reserves(self) -> bool:
        """Whether a sequence holds from admission all the blocks that it will ever need, so that decodes never ask for one."""

    @property
    def pads(self) -> bool:
        """Whether a finished sequence computes along, and keeps its blocks, until nothing runs any more."""

    def plan(self, view: SchedulerView) -> StepPlan: ...

    def takes_whole(self, num_tokens: int, num_decodes: int, num_running: int, num_free_blocks: int, block_size: int) -> bool:
        """Whether a sequence alone in the queue, with no other prompt unfinished, would start with all its `num_tokens` beside all decodes.

        A shortcut past `plan` for the common case, where blocks are given as needed. `num_free_blocks` is at most what is left
        when each decode has taken one more token. False is always right: then `plan` is asked.
        """


def never_whole(self: object, num_tokens: int, num_decodes: int, num_running: int, num_free_blocks: int, block_size: int) -> bool:
    """`takes_whole` for a scheduler that wants no shortcut."""
    return False
