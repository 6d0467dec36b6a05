"""What a replica is made of at a moment, and what may happen to its sequences."""

from collections import deque
from collections.abc import Iterable
from collections.abc import Sequence as Ordered
from heapq import heappop

from seatrial.core.batch import StepCost
from seatrial.core.deployment import EngineConfig
from seatrial.core.record import Status
from seatrial.core.scheduling import SequenceView, StepPlan
from seatrial.policy.blocks import blocks_for
from seatrial.policy.scheduler import Scheduler
from seatrial.sim.decodes import DecodeSet
from seatrial.sim.log import StepLog, pack_late
from seatrial.sim.sequence import Sequence


class Lost:
    """Alive: what was done for requests that failed. `num_gaps` and `gap_time` are of their tokens after the first."""

    def __init__(self) -> None:
        self.num_prompt_tokens = 0
        self.num_gaps = 0
        self.gap_time = 0.0


class ReplicaState:
    """Alive: the clock, the queue, the running sequences and the blocks. It is the `SchedulerView` of its scheduler.

    Blocks are counted in two places: the growing ones of the decodes by `decodes`, all others in `num_held_blocks`.
    """

    def __init__(self, cost: StepCost, scheduler: Scheduler, engine: EngineConfig, num_blocks: int) -> None:
        self.cost = cost
        self.scheduler = scheduler
        self.reserves = scheduler.reserves
        self.block_size = engine.block_size
        self.max_model_len = engine.max_model_len
        self.plans_ahead = engine.async_scheduling
        self.window = cost.attention_window
        self.num_blocks = num_blocks
        self.now = 0.0
        self.last_start = 0.0  # with `plans_ahead`: the start of the last step, or since when nothing was planned
        self.waiting: deque[Sequence] = deque()
        self.prefills: list[Sequence] = []
        self.members: dict[int, Sequence] = {}  # running, by row, in order of admission
        self.decodes = DecodeSet(engine.block_size, self.window)
        self.num_held_blocks = 0  # by unfinished prompts, reservations and padding: all but the growing ones of the decodes
        self.num_padded_blocks = 0  # of those, by padding
        self.ended: list[Sequence] = []  # completed or rejected, for whoever records them
        self.log = StepLog()
        self.plan_holds = False  # decodes alone, though somebody waits: until something arrives or ends
        self.num_preemptions = 0
        self.peak_blocks = 0
        self.num_step_blocks = 0  # held during the last step
        self.idle_time = 0.0
        self.lost = Lost()

    # --- what a scheduler may know ---

    @property
    def num_running(self) -> int:
        return len(self.members)

    @property
    def num_decodes(self) -> int:
        return self.decodes.count

    @property
    def num_free_blocks(self) -> int:
        return self.num_blocks - self.blocks_after(0)

    @property
    def num_free_blocks_after_decodes(self) -> int:
        return self.num_blocks - self.blocks_after(1)

    @property
    def seen_until(self) -> float:
        """The next step's plan sees the arrivals up to this moment."""
        return self.last_start if self.plans_ahead else self.now

    @property
    def is_busy(self) -> bool:
        return bool(self.members or self.waiting)

    def last_running(self) -> Sequence:
        return next(reversed(self.members.values()))

    def running(self) -> Iterable[Sequence]:
        return self.members.values()

    def is_decode(self, sequence: SequenceView) -> bool:
        return self.members[sequence.row].finish_step >= 0

    def num_blocks_freed(self, sequence: SequenceView, others: Ordered[SequenceView]) -> int:
        if self.is_decode(sequence):
            return blocks_for(self.num_computed_tokens(sequence), self.block_size)
        return sequence.num_blocks

    def can_preempt(self, sequence: SequenceView) -> bool:
        return True

    def num_computed_tokens(self, sequence: SequenceView) -> int:
        seq = self.members[sequence.row]
        return seq.num_computed_tokens if seq.finish_step < 0 else seq.offset + self.decodes.step

    def blocks_after(self, num_steps: int) -> int:
        """Blocks held when every decode has taken `num_steps` more tokens."""
        return self.num_held_blocks if self.reserves else self.num_held_blocks + self.decodes.blocks_after(num_steps)

    def num_used_blocks_at(self, moment: float) -> int:
        """Blocks held then: if a step is under way, those that it was given."""
        return self.num_step_blocks if moment < self.now else self.blocks_after(0)

    # --- what happens to a sequence ---

    def admit(self, num_sequences: int) -> None:
        """The first of the queue run from now on."""
        for _ in range(num_sequences):
            seq = self.waiting.popleft()
            self.members[seq.row] = seq
            if seq.start_time != seq.start_time:  # not a number yet: it is its first time
                seq.start_time = self.now

    def emit(self, seq: Sequence, decodes: DecodeSet, start: float, end: float) -> None:
        """A prompt is complete (or computed anew) and its next token comes out; from here on it decodes."""
        self.put_out(seq, start, end)
        if seq.num_tokens == seq.num_prompt_tokens + seq.num_output_tokens:
            self.complete(seq, end)
            self.release(seq)
            return
        decodes.join(seq, end)
        if not self.reserves:
            self.num_held_blocks -= seq.num_blocks  # from now on counted by the decodes

    def put_out(self, seq: Sequence, start: float, end: float) -> None:
        """A token at the end of prompt work: the first, or one that a preemption has kept waiting."""
        seq.num_tokens += 1
        if seq.first_token_time != seq.first_token_time:
            seq.first_token_time = end
        else:
            self.log.late += pack_late(start, end - seq.last_token_time, 1)

    def end_decodes(self, decodes: DecodeSet, end: float) -> None:
        """Those that have taken their last token leave."""
        heap, step = decodes.heap, decodes.step
        while heap and heap[0][0] <= step:
            finish, _, seq = heappop(heap)
            if seq.finish_step == finish and seq.home is decodes:
                decodes.forget(seq)
                self.complete(seq, end)
                if self.reserves:
                    self.release(seq)

    def complete(self, seq: Sequence, end: float) -> None:
        del self.members[seq.row]
        if end > seq.deadline:
            self.fail(seq, seq.num_output_tokens, seq.num_prompt_tokens, end)
            return
        seq.finish_time = end
        seq.status = Status.COMPLETED
        self.ended.append(seq)

    def give_up(self, seq: Sequence) -> None:
        """Its client has gone: it leaves before the next step is planned, wherever it is, and lets go of its blocks."""
        self.plan_holds = False
        if seq.row in self.members:
            self.leave(seq)
            del self.members[seq.row]
            self.num_held_blocks -= seq.num_blocks
        else:
            self.waiting.remove(seq)
        num_output_tokens = seq.num_tokens - seq.num_prompt_tokens
        self.fail(seq, num_output_tokens, seq.num_computed_tokens, seq.last_token_time if num_output_tokens else seq.first_token_time)

    def fail(self, seq: Sequence, num_output_tokens: int, num_computed_tokens: int, last_token_time: float) -> None:
        """It ends with so many tokens made that nobody wants; nothing of it is a moment of completion."""
        seq.status = Status.FAILED
        self.lost.num_prompt_tokens += min(num_computed_tokens, seq.num_prompt_tokens) - self.num_cached_tokens(seq)
        if num_output_tokens:
            self.lost.num_gaps += num_output_tokens - 1
            self.lost.gap_time += last_token_time - seq.first_token_time
        self.ended.append(seq)

    def num_cached_tokens(self, seq: Sequence) -> int:
        """Prompt tokens that were found cached at its first admission."""
        return 0

    def release(self, seq: Sequence) -> None:
        """Give back the blocks that a completed sequence holds itself, now or when its batch has ended."""
        if not self.scheduler.pads:
            self.num_held_blocks -= seq.num_blocks
            return
        self.decodes.num_padding += 1
        self.num_padded_blocks += seq.num_blocks
        if not self.members:
            self.num_held_blocks -= self.num_padded_blocks
            self.num_padded_blocks = self.decodes.num_padding = 0

    def make_way(self, plan: StepPlan) -> None:
        """Preempted sequences go back to the front of the queue, without blocks or computed tokens; stalled ones sit out a step."""
        for view in plan.preempted:
            self.preempt(self.members[view.row])
        for view in plan.stalled:
            self.leave(self.members[view.row])

    def preempt(self, seq: Sequence) -> None:
        del self.members[seq.row]
        self.leave(seq)
        self.num_held_blocks -= seq.num_blocks
        seq.num_blocks = seq.num_computed_tokens = 0
        seq.num_preemptions += 1
        self.num_preemptions += 1
        self.waiting.appendleft(seq)

    def rejoin(self, seq: Sequence, decodes: DecodeSet) -> None:
        """One that sat out a step is ready for the next."""
        decodes.join(seq, seq.last_token_time)
        decodes.fall_behind(seq.last_token_time)
        if not self.reserves:
            self.num_held_blocks -= seq.num_blocks

    def leave(self, seq: Sequence) -> None:
        """Take it out of the decodes or the unfinished prompts; its blocks are its own."""
        if seq.finish_step < 0:
            self.prefills.remove(seq)
            return
        self.decodes.leave(seq)
        if not self.reserves:
            seq.num_blocks = blocks_for(seq.num_computed_tokens, self.block_size)
            self.num_held_blocks += seq.num_blocks

    # --- what is written down ---

    def log_late_gaps(self, decodes: DecodeSet, start: float, end: float) -> int:
        """Write down the gaps of those whose last token came before this step's start; gives how many the others are."""
        num_late = sum(decodes.laggards.values())
        for since, count in decodes.laggards.items():
            if count:
                self.log.late += pack_late(start, end - since, count)
        decodes.laggards.clear()
        return decodes.count - num_late
