"""The state that every scheduler works on: who waits, who runs, and whose the blocks are."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from reference.cost import Work
from reference.nouns import Config

Token = tuple[int, ...]  # equal if it is the same token after the same tokens, whatever it says
Tokens = tuple[Token, ...]


@dataclass(eq=False)
class Block:
    """Of the KV cache. `content` is all tokens up to its end, once it is full."""

    num_holders: int = 0
    content: Tokens | None = None


@dataclass(eq=False)
class Sequence:
    """How far a request has come. `num_computed_tokens` advances when the work is scheduled; the token comes out when its step ends."""

    arrival: float
    prompt: int
    output: int
    tokens: Tokens = ()  # as far as anybody asks, of prompt and answer
    blocks: list[Block] = field(default_factory=list)  # only with a prefix cache
    num_cached_tokens: int = 0  # found at first admission
    generated: int = 0
    num_computed_tokens: int = 0
    num_blocks: int = 0
    num_in_flight: int = 0  # batches that compute something of it and have not come out
    num_preemptions: int = 0
    queue_time: float | None = None
    first_token: float | None = None
    last_token: float | None = None
    has_failed: bool = False

    @property
    def num_tokens(self) -> int:
        return self.prompt + self.generated

    @property
    def missing(self) -> int:
        """Tokens to compute before the next one comes out; none while that one is in flight."""
        return self.num_tokens - self.num_computed_tokens

    @property
    def is_decode(self) -> bool:
        return self.num_computed_tokens >= self.prompt and self.missing == 1

    @property
    def has_ended(self) -> bool:
        return self.generated == self.output


Batch = list[tuple[Sequence, Work]]


class Replica:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []  # in order of admission
        self.num_preemptions = 0
        self.known: list[Sequence] = []  # in order of arrival

    @property
    def num_free_blocks(self) -> int:
        return self.config.num_blocks - sum(sequence.num_blocks for sequence in self.running)

    def compute(self, sequence: Sequence, num_tokens: int) -> tuple[Sequence, Work]:
        """Schedule `num_tokens` of the missing tokens."""
        samples = num_tokens == sequence.missing
        work = Work(sequence.num_computed_tokens, num_tokens, sequence.is_decode, samples)
        sequence.num_computed_tokens += num_tokens
        sequence.num_in_flight += 1
        return sequence, work

    def find_cached(self, sequence: Sequence) -> list[Block]:
        """The blocks that need not be computed; none without a prefix cache."""
        return []

    def check(self) -> None:
        assert self.num_free_blocks >= 0

    def has_room_to_admit(self, num_blocks: int) -> bool:
        """Whether so many blocks are free, beyond the watermark if something runs."""
        watermark = self.config.num_watermark_blocks if self.running else 0
        return num_blocks + watermark <= self.num_free_blocks

    def admit_head(self, num_blocks: int, found: Iterable[Block] = ()) -> Sequence:
        """The first who waits runs from now on, and holds so many blocks, those that were found of it among them."""
        assert not found
        head = self.waiting.popleft()
        self.running.append(head)
        self.hold(head, num_blocks)
        return head

    def hold(self, sequence: Sequence, num_blocks: int) -> None:
        """`sequence` holds so many blocks in all from now on."""
        sequence.num_blocks = num_blocks

    def make_room(self, sequence: Sequence, num_tokens: int) -> bool:
        """Give it the blocks for `num_tokens` in all, preempting the last who can be until they are free.

        False if it was preempted itself, or nobody was left who could be.
        """
        num_blocks = self.config.blocks_for(num_tokens)
        while num_blocks - sequence.num_blocks > self.num_free_blocks:
            idle = [other for other in self.running if other.num_in_flight == 0]
            if not idle:
                return False
            self.preempt(idle[-1])
            if idle[-1] is sequence:
                return False
        self.hold(sequence, num_blocks)
        return True

    def give_up(self, now: float) -> None:
        """Whose client has gone by now is dropped, in order of arrival."""
        if self.config.timeout is None:
            return
        for sequence in self.known:
            if sequence.arrival + self.config.timeout <= now:
                if sequence in self.running:
                    self.running.remove(sequence)
                    self.hold(sequence, 0)
                elif sequence in self.waiting:
                    self.waiting.remove(sequence)
                else:
                    continue
                sequence.has_failed = True

    def preempt(self, sequence: Sequence) -> None:
        self.running.remove(sequence)
        self.waiting.appendleft(sequence)
        self.hold(sequence, 0)
        sequence.num_computed_tokens = 0
        sequence.num_preemptions += 1
        self.num_preemptions += 1
