"""One engine with its model: the loop of steps, at the price of events.

`Replica.run_until` is the heart. Whenever something is to be decided it asks the scheduler for a plan and takes that one step;
whenever there is nothing to decide, it coasts: as many decode steps at once as pass before the next arrival, finish or shortage
of memory.
"""

from collections.abc import Iterable
from math import inf, nextafter

from seatrial.core.batch import Batch, DecodeLaw, StepCost
from seatrial.core.deployment import EngineConfig
from seatrial.core.errors import PolicyError
from seatrial.core.record import Status
from seatrial.core.request import Prefix
from seatrial.core.scheduling import StepPlan
from seatrial.policy.blocks import blocks_for
from seatrial.policy.scheduler import Scheduler
from seatrial.sim.decodes import DecodeSet
from seatrial.sim.jump import steps_until
from seatrial.sim.log import pack_run, pack_step
from seatrial.sim.sequence import Sequence
from seatrial.sim.state import ReplicaState
from seatrial.sim.windows import NO_WINDOW, window_work


class Replica(ReplicaState):
    """Alive: a state that goes on in time."""

    def __init__(self, cost: StepCost, scheduler: Scheduler, engine: EngineConfig, num_blocks: int) -> None:
        super().__init__(cost, scheduler, engine, num_blocks)
        self.laws: dict[int, DecodeLaw] = {}  # of decode-only steps, by rows
        self.stops_at_end = False
        self.passes_horizon = True  # whether a run of steps goes on to the first that ends at or after the horizon

    def arrive(
        self,
        row: int,
        arrival_time: float,
        ready_time: float,
        num_prompt_tokens: int,
        num_output_tokens: int,
        prefix: Prefix | None = None,
    ) -> bool:
        """Queue a request that the scheduler sees at `ready_time`, up to where the replica must have run.

        False if it could never run: then it has ended, rejected.
        """
        seq = Sequence(row, arrival_time, num_prompt_tokens, num_output_tokens)
        if self.rejects(num_prompt_tokens + num_output_tokens):
            seq.status = Status.REJECTED
            self.ended.append(seq)
            return False
        if self.now < ready_time:  # it was idle
            self.idle_time += ready_time - self.now
            self.now = self.last_start = ready_time
        self.plan_holds = False
        self.waiting.append(seq)
        return True

    def rejects(self, num_tokens: int) -> bool:
        """Whether a request of so many tokens of prompt and answer could never run; the last one is never stored."""
        return num_tokens > self.max_model_len or (num_tokens - 2) // self.block_size >= self.num_blocks

    def run_until(self, horizon: float, *, stop_at_end: bool = False) -> None:
        """Take every step that is planned before `horizon`; with `stop_at_end` only until a request ends.

        `now` is then the end of the last step, which may lie past the horizon, or stays where the replica fell idle.
        """
        self.stops_at_end = stop_at_end
        num_ended = len(self.ended)
        while (self.last_start if self.plans_ahead else self.now) < horizon:  # `seen_until`, asked often
            if self.waiting or self.prefills or self.decodes.count > self.scheduler.max_decodes:
                self.decide(horizon)
            elif self.decodes.count:
                self.coast(horizon)
            else:
                self.last_start = self.now
                return
            if stop_at_end and len(self.ended) > num_ended:
                return

    def decide(self, horizon: float) -> None:
        """Take the step that the scheduler plans; a plan of decodes alone holds for longer."""
        whole = self.scheduler.whole_prompts
        if whole is not None and len(self.waiting) == 1 and not self.prefills and self.window is None:
            seq, decodes = self.waiting[0], self.decodes
            num_tokens = seq.num_tokens
            if num_tokens <= whole.max_prompt_tokens and num_tokens + decodes.count <= whole.max_step_tokens:
                used = self.blocks_after(1) + blocks_for(num_tokens, self.block_size)
                if used <= self.num_blocks and len(self.members) < whole.max_num_seqs:
                    self.take_whole(seq, used)
                    return
        self.carry_out(self.scheduler.plan(self), horizon)

    def carry_out(self, plan: StepPlan, horizon: float) -> None:
        """A step of what is planned, or as many as it holds for."""
        if plan.chunks or plan.preempted or plan.stalled:
            self.take_step(plan)
        elif self.decodes.count:
            self.plan_holds = True
            self.coast(horizon)
        else:
            raise PolicyError(f"{type(self.scheduler).__name__} plans nothing though nothing runs; it must make progress")

    def coast(self, horizon: float) -> None:
        """Decode only, until the horizon, shortage of blocks, or, where somebody waits, a finish.

        Runs of steps that are alike are taken at once: up to a finish, a full window, a new piece of the cost's law. Step `i` of a run
        takes `first + i * increment`, so `k` of them take `k * first + increment * k * (k - 1) / 2`.
        """
        decodes, runs = self.decodes, self.log.runs
        heap = decodes.heap
        now, seen_until, num_ahead = self.now, self.seen_until, 1 if self.plans_ahead else 0
        while seen_until < horizon:
            steps, first, increment, rows = self.steady_run()
            count, context, step = decodes.count, decodes.context, decodes.step
            duration = steps * first + increment * (0.5 * steps * (steps - 1))
            if now + duration > horizon:
                reach = steps_until(horizon, now, first, increment, passing=self.passes_horizon)[0] if now < horizon else 0
                steps = min(steps, reach + num_ahead)
                if not steps:
                    return
                duration = steps * first + increment * (0.5 * steps * (steps - 1))
            used = self.blocks_after(steps)
            if used > self.num_blocks:
                steps = decodes.steps_within(self.num_blocks - self.num_held_blocks)
                if not steps:
                    self.run_short_of_blocks()
                    return
                duration = steps * first + increment * (0.5 * steps * (steps - 1))
                used = self.blocks_after(steps)
            self.num_step_blocks = used
            if used > self.peak_blocks:
                self.peak_blocks = used
            gaps = self.log_late_gaps(decodes, now, now + duration) if decodes.laggards else count
            runs += pack_run(now, first, increment, steps, gaps, rows, context, self.blocks_after(1), used)
            if self.window is not None:
                self.log.window_run(steps, decodes.window_context, decodes.window_growth)
                decodes.advance_windows(steps)
            if num_ahead:
                self.last_start = seen_until = now + ((steps - 1) * first + increment * (0.5 * (steps - 1) * (steps - 2)))
            self.now = decodes.last_run_time = now = now + duration
            if not num_ahead:
                seen_until = now
            decodes.step = step = step + steps
            decodes.context = context + steps * count
            if heap[0][0] <= step:
                self.end_run(decodes, now)
                if not decodes.count or self.waiting or self.stops_at_end:
                    return

    def steady_run(self) -> tuple[int, float, float, int]:
        """The decode steps ahead that are alike, the time of the first, by how much each takes longer than the last, and their rows."""
        decodes = self.decodes
        count, context = decodes.count, decodes.context
        rows = count + decodes.num_padding
        base, per_context, per_window_context, min_context, max_context = self.laws.get(rows) or self.learn_law(rows, context)
        if not min_context <= context <= max_context:
            base, per_context, per_window_context, min_context, max_context = self.learn_law(rows, context)
        first = base + per_context * context
        increment = per_context * count
        steps = decodes.heap[0][0] - decodes.step
        if self.window is not None:
            first += per_window_context * decodes.window_context
            increment += per_window_context * decodes.window_growth
            steps = min(steps, decodes.steps_to_full_window())
        if decodes.laggards:
            steps = 1
        if context + steps * count > max_context:
            steps = 1 + int((max_context - context) // count)
        return steps, first, increment, rows

    def earliest_end(self) -> float:
        """No request ends before this moment, if none arrives; infinite where none runs."""
        if self.prefills or (self.waiting and not self.plan_holds) or self.decodes.count > self.scheduler.max_decodes:
            return nextafter(self.now, inf)  # the next step is yet to be planned, and takes some time
        if not self.decodes.count:
            return inf
        steps, first, increment, _ = self.steady_run()
        most_blocks = self.num_step_blocks + self.decodes.count * (steps // self.block_size + 1)
        if most_blocks > self.num_blocks and self.blocks_after(steps) > self.num_blocks:
            return nextafter(self.now, inf)  # somebody may have to go, and the others are quicker then
        return self.now + (steps * first + increment * (0.5 * steps * (steps - 1)))

    def learn_law(self, rows: int, context: int) -> DecodeLaw:
        law = self.laws[rows] = self.cost.decode_law(rows, context)
        return law

    def end_run(self, decodes: DecodeSet, end: float) -> None:
        """Some have taken their last token at the end of a run."""
        self.plan_holds = False
        self.end_decodes(decodes, end)

    def run_short_of_blocks(self) -> None:
        self.take_step(self.scheduler.plan(self))

    def take_step(self, plan: StepPlan) -> None:
        """Do what the scheduler decided, once."""
        self.plan_holds = False
        start, decodes = self.now, self.decodes
        done: list[Sequence] = []
        used, batch = self.start_step(plan, done)
        duration = self.cost.step_time(batch)
        end = start + duration
        self.last_start, self.now = start, end
        gaps = self.end_step(plan, decodes, done, start, end)
        self.log.steps += pack_step(start, duration, gaps, used, *batch)

    def take_whole(self, seq: Sequence, num_used_blocks: int, offset: int = 0) -> None:
        """A step of one whole prompt, or of all that is missing of it, beside all decodes; the step holds so many blocks.

        What `take_step` would do, with less ado. Closed loops and prefix caches need it, where it makes a third more requests per second;
        open loops mostly cruise.
        """
        decodes, start, num_tokens = self.decodes, self.now, seq.num_tokens
        num_new = num_tokens - offset
        self.members[seq.row] = self.waiting.popleft()
        if seq.start_time != seq.start_time:
            seq.start_time = start
        count, context = decodes.count, decodes.context
        pairs = num_new * offset + num_new * (num_new + 1) // 2
        batch = Batch(1, num_new, pairs, num_tokens, count, context, count + 1, 0, 0, 0)
        duration = self.cost.step_time(batch)
        end = start + duration
        self.last_start, self.now = start, end
        seq.num_computed_tokens = num_tokens
        seq.num_blocks = blocks_for(num_tokens, self.block_size)
        self.num_step_blocks = num_used_blocks
        self.peak_blocks = max(self.peak_blocks, num_used_blocks)
        gaps = count
        if count:
            if decodes.laggards:
                gaps = self.log_late_gaps(decodes, start, end)
            decodes.step = step = decodes.step + 1
            decodes.context = context + count
            decodes.last_run_time = end
            if decodes.heap[0][0] <= step:
                self.end_decodes(decodes, end)
        self.log.steps += pack_step(start, duration, gaps, num_used_blocks, *batch)
        self.put_out(seq, start, end)
        if seq.num_tokens < seq.num_prompt_tokens + seq.num_output_tokens:
            decodes.join(seq, end)  # its blocks are counted there; until now they were only in the log
        else:
            self.complete(seq, end)

    def start_step(self, plan: StepPlan, done: list[Sequence]) -> tuple[int, Batch]:
        """Preempt, stall, admit, hand out blocks, and count the chunks' tokens as computed.

        Gives the blocks held and the sums of the step's work; appends to `done` the sequences whose prompt it completes.
        """
        chunks, num_admitted, run_decodes, preempted, stalled = plan[:5]
        if preempted or stalled:
            self.make_way(plan)
        if num_admitted:
            self.admit(num_admitted)
        members, decodes, held = self.members, self.decodes, self.num_held_blocks
        windowed = NO_WINDOW if self.window is None else window_work(self.window, plan, members, decodes)
        rows = context = num_prompts = num_prompt_tokens = pairs = prompt_context = 0
        if run_decodes:
            rows, context = decodes.count + decodes.num_padding, decodes.context
        num_sampled = rows
        for view, num_tokens, num_blocks in chunks:
            seq = members[view.row]
            offset = seq.num_computed_tokens
            seq.num_computed_tokens = end = offset + num_tokens
            if not offset < end <= seq.num_tokens or num_blocks * self.block_size < end:
                raise PolicyError(
                    f"{type(self.scheduler).__name__} plans {num_tokens} tokens and {num_blocks} blocks for a sequence with {offset} of"
                    f" {seq.num_tokens} tokens computed; it can be given what is missing, and needs the blocks to hold it"
                )
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
        self.hand_out(plan)
        used = self.blocks_after(1 if run_decodes else 0)
        if used > self.num_blocks:
            raise PolicyError(f"{type(self.scheduler).__name__} plans a step that holds {used} KV blocks, of {self.num_blocks}")
        self.num_step_blocks = used
        self.peak_blocks = max(self.peak_blocks, used)
        return used, Batch(num_prompts, num_prompt_tokens, pairs, prompt_context, rows, context, num_sampled, *windowed)

    def hand_out(self, plan: StepPlan) -> None:
        """Blocks change hands now, if it matters which."""

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
