"""Many decoding sequences as a few sums.

Every member gains one token per step. So a member that joins at step `s` with `n` tokens to go is done after step `s + n`, and
a heap of those steps replaces counting; the sum of contexts grows by the number of members; and at step `s` a member has
`offset + s` computed tokens, so that it holds `ceil((offset + s) / block_size)` blocks: over all members that is a constant,
plus `s // block_size` each, plus one for each member whose residue `-offset % block_size` lies below `s % block_size`.
"""

from heapq import heappop, heappush
from sys import maxsize

from seatrial.sim.sequence import Sequence


# `cruise` has `join`, `forget` and `blocks_after` over again on local variables: what changes here changes there, too.
class DecodeSet:
    """Alive: sequences that decode together, and the number of the step they are at.

    `count` members have `context` tokens of context in all in the next step. `num_padding` rows of a static batch compute along without
    context. `laggards` counts members by the time of their last token where that is not the start of the next step.
    """

    __slots__ = (
        "block_base", "block_size", "context", "count", "heap", "laggards", "last_run_time", "num_padding", "residues", "step",
        "window", "window_context", "window_growth", "window_heap",
    )  # fmt: skip

    def __init__(self, block_size: int, window: int | None) -> None:
        self.block_size = block_size
        self.window = window
        self.step = 0
        self.count = 0
        self.context = 0
        self.num_padding = 0
        self.heap: list[tuple[int, int, Sequence]] = []  # (finish step, row, member); stale where the member's differs or is of another set
        self.block_base = 0  # blocks that the members would hold at step 0
        self.residues = [0] * block_size
        self.laggards: dict[float, int] = {}
        self.last_run_time = 0.0
        self.window_context = 0
        self.window_growth = 0  # members that still look back all the way
        self.window_heap: list[tuple[int, int, Sequence]] = []  # (step from which its window is full, row, member)

    def join(self, seq: Sequence, last_token_time: float) -> None:
        """Take in a sequence with exactly one token to compute. Its `num_tokens` counts that token."""
        step, block_size, computed = self.step, self.block_size, seq.num_computed_tokens
        seq.offset = offset = computed - step
        seq.home = self
        seq.join_step = step
        seq.last_token_time = last_token_time
        seq.finish_step = finish = step + seq.num_prompt_tokens + seq.num_output_tokens - seq.num_tokens
        heappush(self.heap, (finish, seq.row, seq))
        self.block_base -= -offset // block_size
        self.residues[-offset % block_size] += 1
        self.count += 1
        self.context += computed + 1
        if self.window is not None:
            self.enter_window(seq, computed + 1, self.window)

    def leave(self, seq: Sequence) -> None:
        """Let a member go before it is done, at the start of a step that it misses; its counts are made true again."""
        computed = seq.offset + self.step
        seq.num_tokens, seq.num_computed_tokens = computed + 1, computed
        if seq.join_step != self.step:
            seq.last_token_time = self.last_run_time
        if seq.last_token_time in self.laggards:
            self.laggards[seq.last_token_time] -= 1
        self.forget(seq)

    def forget(self, seq: Sequence) -> None:
        """Take a member out of the sums as they stand at the current step."""
        seq.finish_step = -1
        offset = seq.offset
        self.block_base += -offset // self.block_size
        self.residues[-offset % self.block_size] -= 1
        self.count -= 1
        self.context -= offset + self.step + 1
        if self.window is not None:
            self.leave_window(seq, offset + self.step + 1, self.window)

    def blocks_after(self, num_steps: int) -> int:
        """Blocks that the members hold when they have taken `num_steps` more tokens each."""
        cycles, rest = divmod(self.step + num_steps, self.block_size)
        return self.block_base + cycles * self.count + sum(self.residues[:rest])

    def steps_within(self, num_blocks: int) -> int:
        """How many steps the members can take on `num_blocks` blocks: the largest `k` with `blocks_after(k) <= num_blocks`, at least 0."""
        cycles, free = divmod(num_blocks - self.blocks_after(0), self.count)
        steps = cycles * self.block_size
        at = self.step % self.block_size
        for demand in self.residues[at:] + self.residues[:at]:
            free -= demand
            if free < 0:
                break
            steps += 1
        return steps

    def advance(self, num_steps: int, now: float) -> None:
        """Take `num_steps` steps, the last of which ends at `now`. Nobody may be due, or fill its window, before that."""
        if self.window is not None:
            self.advance_windows(num_steps)
        self.step += num_steps
        self.context += num_steps * self.count
        self.last_run_time = now

    # --- whose last token is how old ---

    def lag(self, since: float) -> None:
        """A step passed that the members did not run in; the last token of those who were up to date came at `since`."""
        behind = self.count - sum(self.laggards.values())
        if behind:
            self.laggards[since] = self.laggards.get(since, 0) + behind

    def fall_behind(self, since: float) -> None:
        """Note that a member's last token came at `since`, before the start of the next step."""
        self.laggards[since] = self.laggards.get(since, 0) + 1

    # --- sliding windows ---

    def enter_window(self, seq: Sequence, context: int, window: int) -> None:
        self.window_context += min(context, window)
        seq.window_step = -1
        if context < window:
            self.window_growth += 1
            seq.window_step = self.step + window - context
            heappush(self.window_heap, (seq.window_step, seq.row, seq))

    def leave_window(self, seq: Sequence, context: int, window: int) -> None:
        self.window_context -= min(context, window)
        if seq.window_step >= 0:
            self.window_growth -= 1
            seq.window_step = -1

    def steps_to_full_window(self) -> int:
        """Steps until the next member has its window full. At least one."""
        return self.window_heap[0][0] - self.step if self.window_heap else maxsize

    def advance_windows(self, num_steps: int) -> None:
        step = self.step + num_steps
        self.window_context += num_steps * self.window_growth
        while self.window_heap and self.window_heap[0][0] <= step:
            full, _, seq = heappop(self.window_heap)
            if seq.window_step == full and seq.home is self:
                self.window_growth -= 1
                seq.window_step = -1
