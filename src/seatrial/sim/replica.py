"""One engine with its model: the loop of steps, at the price of events.

`Replica.run_until` is the heart. Whenever something is to be decided it asks the scheduler for a plan and takes that one step;
whenever there is nothing to decide, it coasts: as many decode steps at once as pass before the next arrival, finish or shortage
of memory.
"""

from collections import deque
from collections.abc import Iterable
from heapq import heappop
from math import sqrt

from seatrial.core.batch import Batch, DecodeLaw, StepCost
from seatrial.core.deployment import EngineConfig
from seatrial.core.errors import PolicyError
from seatrial.core.record import Status
from seatrial.core.scheduling import SequenceView, StepPlan
from seatrial.policy.blocks import blocks_for
from seatrial.policy.scheduler import Scheduler
from seatrial.sim.decodes import DecodeSet
from seatrial.sim.log import StepLog
from seatrial.sim.sequence import Sequence

NO_WINDOW = (0.0, 0, 0)


class Replica:
    """Alive: holds the clock, the queue, the running sequences and the blocks. It is the `SchedulerView` of its scheduler."""

    def __init__(self, cost: StepCost, scheduler: Scheduler, engine: EngineConfig, num_blocks: int) -> None:
        self.cost = cost
        self.scheduler = scheduler
        self.reserves = scheduler.reserves
        self.block_size = engine.block_size
        self.max_model_len = engine.max_model_len
        self.window = cost.attention_window
        self.num_blocks = num_blocks
        self.now = 0.0
        self.waiting: deque[Sequence] = deque()
        self.prefills: list[Sequence] = []
        self.members: dict[int, Sequence] = {}  # running, by row, in order of admission
        self.decodes = DecodeSet(engine.block_size, self.window)
        self.num_held_blocks = 0  # by unfinished prompts, reservations and padding: all but the growing ones of the decodes
        self.num_padded_blocks = 0  # of those, by padding
        self.laws: dict[int, DecodeLaw] = {}  # of decode-only steps, by rows
        self.ended: list[Sequence] = []  # completed or rejected, for whoever records them
        self.log = StepLog()
        self.num_preemptions = 0
        self.peak_blocks = 0
        self.idle_time = 0.0
        self.stops_at_end = False
        self.passes_horizon = True  # whether a run of steps goes on to the first that ends at or after the horizon

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

    def last_running(self) -> Sequence:
        return next(reversed(self.members.values()))

    def running(self) -> Iterable[Sequence]:
        return self.members.values()

    def is_decode(self, sequence: SequenceView) -> bool:
        return self.members[sequence.row].finish_step >= 0

    def can_preempt(self, sequence: SequenceView) -> bool:
        return True

    def num_computed_tokens(self, sequence: SequenceView) -> int:
        seq = self.members[sequence.row]
        return seq.num_computed_tokens if seq.finish_step < 0 else seq.offset + self.decodes.step

    def blocks_after(self, num_steps: int) -> int:
        """Blocks held when every decode has taken `num_steps` more tokens."""
        return self.num_held_blocks if self.reserves else self.num_held_blocks + self.decodes.blocks_after(num_steps)

    # --- what goes in ---

    def arrive(self, row: int, arrival_time: float, ready_time: float, num_prompt_tokens: int, num_output_tokens: int) -> bool:
        """Queue a request that the scheduler sees at `ready_time`, up to where the replica must have run.

        False if it could never run: then it has ended, rejected.
        """
        seq = Sequence(row, arrival_time, num_prompt_tokens, num_output_tokens)
        num_tokens = num_prompt_tokens + num_output_tokens
        if num_tokens > self.max_model_len or (num_tokens - 2) // self.block_size >= self.num_blocks:
            seq.status = Status.REJECTED
            self.ended.append(seq)
            return False
        if self.now < ready_time:  # it was idle
            self.idle_time += ready_time - self.now
            self.now = ready_time
        self.waiting.append(seq)
        return True

    # --- time goes on ---

    def run_until(self, horizon: float, *, stop_at_end: bool = False) -> None:
        """Take every step that starts before `horizon`; with `stop_at_end` only until a request ends.

        `now` is then the end of the last step, which may lie past the horizon, or stays where the replica fell idle.
        """
        self.stops_at_end = stop_at_end
        num_ended = len(self.ended)
        while self.now < horizon:
            if self.waiting or self.prefills or self.decodes.count > self.scheduler.max_decodes:
                self.decide(horizon)
            elif self.decodes.count:
                self.coast(horizon)
            else:
                return
            if stop_at_end and len(self.ended) > num_ended:
                return

    def decide(self, horizon: float) -> None:
        """Take the step that the scheduler plans; a plan of decodes alone holds for longer."""
        if len(self.waiting) == 1 and not self.prefills and self.window is None:
            seq, decodes = self.waiting[0], self.decodes
            least_free = self.num_blocks - self.num_held_blocks - decodes.most_blocks_after(1)
            if self.scheduler.takes_whole(seq.num_tokens, decodes.count, len(self.members), least_free, self.block_size):
                self.take_whole(seq)
                return
        plan = self.scheduler.plan(self)
        if plan.chunks or plan.preempted or plan.stalled:
            self.take_step(plan)
        elif self.decodes.count:
            self.coast(horizon)
        else:
            raise PolicyError(f"{type(self.scheduler).__name__} plans nothing though nothing runs; it must make progress")

    def coast(self, horizon: float) -> None:
        """Decode only, until the horizon, shortage of blocks, or, where somebody waits, a finish.

        Runs of steps that are alike are taken at once: up to a finish, a full window, a new piece of the cost's law. Step `i` of a run
        takes `first + i * increment`, so `k` of them take `k * first + increment * k * (k - 1) / 2`.
        """
        decodes, laws, block_size, write = self.decodes, self.laws, self.block_size, self.log.runs.append
        heap = decodes.heap
        now = self.now
        while now < horizon:
            count, context, step = decodes.count, decodes.context, decodes.step
            rows = count + decodes.num_padding
            base, per_context, per_window_context, min_context, max_context = laws.get(rows) or self.learn_law(rows, context)
            if not min_context <= context <= max_context:
                base, per_context, per_window_context, min_context, max_context = self.learn_law(rows, context)
            first = base + per_context * context
            increment = per_context * count
            steps = heap[0][0] - step
            if self.window is not None:
                first += per_window_context * decodes.window_context
                increment += per_window_context * decodes.window_growth
                steps = min(steps, decodes.steps_to_full_window())
            if decodes.laggards:
                steps = 1
            if context + steps * count > max_context:
                steps = 1 + int((max_context - context) // count)
            duration = steps * first + increment * (0.5 * steps * (steps - 1))
            if now + duration > horizon:
                steps, duration = steps_until(horizon, now, first, increment, passing=self.passes_horizon)
                if not steps:
                    return
            held = self.num_held_blocks
            # At most so many blocks are held at the end; to count them costs more.
            most = held + decodes.block_base + ((step + steps) // block_size + 1) * count
            if most > self.peak_blocks and not self.reserves:
                affordable = self.grow(steps)
                if not affordable:
                    self.run_short_of_blocks()
                    return
                if affordable < steps:
                    steps = affordable
                    duration = steps * first + increment * (0.5 * steps * (steps - 1))
            gaps = self.log_late_gaps(decodes, now, now + duration) if decodes.laggards else count
            write((now, first, increment, steps, gaps, rows, context, held))
            if self.window is not None:
                self.log.window_run(steps, decodes.window_context, decodes.window_growth)
                decodes.advance_windows(steps)
            self.now = decodes.last_run_time = now = now + duration
            decodes.step = step = step + steps
            decodes.context = context + steps * count
            if heap[0][0] <= step:
                self.end_decodes(decodes, now)
                if not decodes.count or self.waiting or self.stops_at_end:
                    return

    def learn_law(self, rows: int, context: int) -> DecodeLaw:
        law = self.laws[rows] = self.cost.decode_law(rows, context)
        return law

    def grow(self, steps: int) -> int:
        """How many of `steps` decode steps the blocks allow. Notes the most blocks that were ever held."""
        used = self.blocks_after(steps)
        if used > self.num_blocks:
            steps = self.decodes.steps_within(self.num_blocks - self.num_held_blocks)
            used = self.blocks_after(steps)
        self.peak_blocks = max(self.peak_blocks, used)
        return steps

    def run_short_of_blocks(self) -> None:
        self.take_step(self.scheduler.plan(self))

    def take_step(self, plan: StepPlan) -> None:
        """Do what the scheduler decided, once."""
        start, decodes = self.now, self.decodes
        done: list[Sequence] = []
        batch = self.start_step(plan, done)
        held = self.num_held_blocks
        duration = self.cost.step_time(batch)
        self.now = end = start + duration
        gaps = self.end_step(plan, decodes, done, start, end)
        self.log.steps.append((start, duration, gaps, held))
        self.log.batches.append(batch)

    def take_whole(self, seq: Sequence) -> None:
        """The step that most requests of a replica with room begin with: one whole prompt beside all decodes. What `take_step` would do."""
        decodes, start, num_tokens = self.decodes, self.now, seq.num_tokens
        self.members[seq.row] = self.waiting.popleft()
        if seq.start_time != seq.start_time:
            seq.start_time = start
        count, context = decodes.count, decodes.context
        pairs = num_tokens * (num_tokens + 1) // 2
        batch = Batch(1, num_tokens, pairs, num_tokens, count, context, count + 1, 0, 0, 0)
        duration = self.cost.step_time(batch)
        self.now = end = start + duration
        seq.num_computed_tokens = num_tokens
        seq.num_blocks = num_blocks = -(-num_tokens // self.block_size)
        self.num_held_blocks = held = self.num_held_blocks + num_blocks
        if held + decodes.most_blocks_after(1) > self.peak_blocks:
            self.peak_blocks = max(self.peak_blocks, self.blocks_after(1))
        gaps = count
        if count:
            if decodes.laggards:
                gaps = self.log_late_gaps(decodes, start, end)
            decodes.step = step = decodes.step + 1
            decodes.context = context + count
            decodes.last_run_time = end
            if decodes.heap[0][0] <= step:
                self.end_decodes(decodes, end)
        self.log.steps.append((start, duration, gaps, held))
        self.log.batches.append(batch)
        self.emit(seq, decodes, start, end)

    def start_step(self, plan: StepPlan, done: list[Sequence]) -> Batch:
        """Preempt, stall, admit, hand out blocks, and count the chunks' tokens as computed.

        Gives the sums of the step's work; appends to `done` the sequences whose prompt it completes.
        """
        chunks, num_admitted, run_decodes, preempted, stalled = plan
        if preempted or stalled:
            self.make_way(plan)
        if num_admitted:
            self.admit(num_admitted)
        windowed = NO_WINDOW if self.window is None else self.window_work(plan)
        members, decodes, held = self.members, self.decodes, self.num_held_blocks
        rows = context = num_prompts = num_prompt_tokens = pairs = prompt_context = 0
        if run_decodes:
            rows, context = decodes.count + decodes.num_padding, decodes.context
        num_sampled = rows
        for view, num_tokens, num_blocks in chunks:
            seq = members[view.row]
            offset = seq.num_computed_tokens
            seq.num_computed_tokens = end = offset + num_tokens
            if end == seq.num_tokens:
                num_sampled += 1
                done.append(seq)
                if seq.num_blocks:  # it had begun before
                    self.prefills.remove(seq)
            elif not seq.num_blocks:
                self.prefills.append(seq)
            held += num_blocks - seq.num_blocks
            seq.num_blocks = num_blocks
            if num_tokens == 1 and seq.num_prompt_tokens <= offset == seq.num_tokens - 1:  # a decode in all but name
                rows += 1
                context += end
            else:
                num_prompts += 1
                num_prompt_tokens += num_tokens
                pairs += num_tokens * offset + num_tokens * (num_tokens + 1) // 2
                prompt_context += end
        self.num_held_blocks = held
        if held + decodes.most_blocks_after(1) > self.peak_blocks:
            self.peak_blocks = max(self.peak_blocks, self.blocks_after(1 if run_decodes else 0))
        return Batch(num_prompts, num_prompt_tokens, pairs, prompt_context, rows, context, num_sampled, *windowed)

    def end_step(self, plan: StepPlan, decodes: DecodeSet, done: Iterable[Sequence], start: float, end: float) -> int:
        """Tokens come out: of the decodes and of the prompts that are now complete. Gives the number of gaps as long as the step."""
        gaps = 0
        if not plan.run_decodes:
            decodes.lag(start)
        elif decodes.count:
            gaps = self.log_late_gaps(decodes, start, end) if decodes.laggards else decodes.count
            decodes.advance(1, end)
            if decodes.heap[0][0] <= decodes.step:
                self.end_decodes(decodes, end)
        for view in plan.stalled:
            seq = self.members[view.row]
            self.rejoin(seq, decodes)
        for seq in done:
            self.emit(seq, decodes, start, end)
        return gaps

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
        if seq.first_token_time != seq.first_token_time:
            seq.first_token_time = end
        else:
            self.log.late.append((start, end - seq.last_token_time, 1))
        seq.num_tokens += 1
        if seq.num_tokens == seq.num_prompt_tokens + seq.num_output_tokens:
            seq.finish_time = end
            seq.status = Status.COMPLETED
            del self.members[seq.row]
            self.ended.append(seq)
            self.release(seq)
        else:
            decodes.join(seq, end)
            if not self.reserves:
                self.num_held_blocks -= seq.num_blocks  # from now on counted by the decodes

    def end_decodes(self, decodes: DecodeSet, end: float) -> None:
        """Those that have taken their last token leave."""
        heap, step, members, ended = decodes.heap, decodes.step, self.members, self.ended
        while heap and heap[0][0] <= step:
            finish, row, seq = heappop(heap)
            if seq.finish_step == finish and seq.home is decodes:
                decodes.forget(seq)
                seq.finish_time = end
                seq.status = Status.COMPLETED
                del members[row]
                ended.append(seq)
                if self.reserves:
                    self.release(seq)

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
            seq = self.members.pop(view.row)
            self.leave(seq)
            self.num_held_blocks -= seq.num_blocks
            seq.num_blocks = seq.num_computed_tokens = 0
            seq.num_preemptions += 1
            self.num_preemptions += 1
            self.waiting.appendleft(seq)
        for view in plan.stalled:
            self.leave(self.members[view.row])

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
        self.log.late += [(start, end - since, count) for since, count in decodes.laggards.items() if count]
        decodes.laggards.clear()
        return decodes.count - num_late

    def window_work(self, plan: StepPlan) -> tuple[float, int, int]:
        """The window sums of a step: pairs, prompt context, decode context."""
        assert self.window is not None
        pairs, prompt_context, context = 0, 0, self.decodes.window_context if plan.run_decodes else 0
        for view, num_tokens, _ in plan.chunks:
            seq = self.members[view.row]
            offset = seq.num_computed_tokens
            if seq.num_prompt_tokens <= offset == seq.num_tokens - 1:
                context += min(offset + 1, self.window)
            else:
                pairs += pairs_within(self.window, offset, num_tokens)
                prompt_context += min(offset + num_tokens, self.window - 1 + num_tokens)
        return pairs, prompt_context, context


def pairs_within(window: int, offset: int, num_tokens: int) -> int:
    """Query-key products of `num_tokens` tokens after `offset`, each looking back at most `window` tokens, itself included."""
    short = min(max(window - offset, 0), num_tokens)  # those that still see everything
    return short * offset + short * (short + 1) // 2 + (num_tokens - short) * window


def steps_until(horizon: float, start: float, first: float, increment: float, *, passing: bool) -> tuple[int, float]:
    """The fewest steps that end at or after `horizon`, or without `passing` the most that end before it; and how long they take.

    The number of steps solves a quadratic; rounding is put right by looking at the neighbours.
    """
    wait = horizon - start
    linear = first - 0.5 * increment
    steps = 1 + int(2 * wait / (linear + sqrt(linear * linear + 2 * increment * wait)))
    duration = steps * first + increment * (0.5 * steps * (steps - 1))
    while start + duration < horizon:
        steps += 1
        duration = steps * first + increment * (0.5 * steps * (steps - 1))
    shorter = duration - first - increment * (steps - 1)
    while steps > 1 and start + shorter >= horizon:
        steps -= 1
        duration = steps * first + increment * (0.5 * steps * (steps - 1))
        shorter = duration - first - increment * (steps - 1)
    return (steps, duration) if passing else (steps - 1, shorter)
