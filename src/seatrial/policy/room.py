"""Making room for a token by preempting whoever was admitted last."""

from dataclasses import dataclass, field

from seatrial.core.scheduling import SchedulerView, SequenceView
from seatrial.policy.blocks import blocks_for


@dataclass(slots=True)
class Room:
    """Free blocks while a plan is made, and who had to go for them. `queue` is the running sequences in order of admission. Alive."""

    view: SchedulerView
    queue: list[SequenceView]
    num_free_blocks: int
    preempted: list[SequenceView] = field(default_factory=list)
    num_in_vain: int = 0  # of them, the last so many: nobody was served for it
    exhausted: bool = False  # somebody found no room and nobody to preempt

    def take(self, place: int, num_blocks: int) -> bool:
        """Take `num_blocks` for the sequence at `place` in the queue; False if it gets none.

        As long as too few are free the last of the queue is preempted, of those not yet served and with nothing in flight: at worst itself.
        """
        sequence = self.queue[place]
        num_before = len(self.preempted)
        while num_blocks > self.num_free_blocks:
            victim = next((seq for seq in reversed(self.queue[place:]) if self.view.can_preempt(seq)), None)
            if victim is None:
                self.exhausted = True
                return False
            self.queue.remove(victim)
            self.num_free_blocks += self.view.num_blocks_freed(victim, self.preempted)
            self.preempted.append(victim)
            if victim is sequence:
                self.num_in_vain = len(self.preempted) - num_before
                return False
        self.num_free_blocks -= num_blocks
        return True

    def take_for_decode(self, place: int) -> bool:
        """Take what one more token of a decode needs: a block if its last one is full."""
        sequence = self.queue[place]
        needed = blocks_for(self.view.num_computed_tokens(sequence) + 1, self.view.block_size)
        return self.take(place, needed - self.blocks_held(sequence))

    def blocks_held(self, sequence: SequenceView) -> int:
        if self.view.is_decode(sequence):
            return blocks_for(self.view.num_computed_tokens(sequence), self.view.block_size)
        return sequence.num_blocks

    @property
    def closed(self) -> bool:
        """Whether blocks were so short that nobody may be admitted in this step."""
        return self.exhausted or bool(self.preempted)
