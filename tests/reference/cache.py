"""Prefix caching, block by block: every block an object, the free ones a list, and a dictionary of what is cached."""

from collections.abc import Iterable

from reference.cost import Work
from reference.nouns import Config, Row
from reference.replica import Block, Replica, Sequence, Tokens


def tokens(number: int, row: Row, config: Config) -> Tokens:
    """Prompt and answer, token by token. What its id stands for is shared; the rest is its own."""
    size = config.prefix_block_tokens
    shared = min(row.prompt, len(row.ids) * size)
    own = range(shared, row.prompt + row.output)
    return tuple((row.ids[place // size], place % size) for place in range(shared)) + tuple((number, place, -1) for place in own)


class CachingReplica(Replica):
    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.free = [Block() for _ in range(config.num_blocks)]  # the first goes first
        self.cached: dict[Tokens, list[Block]] = {}  # the first is found

    @property
    def num_free_blocks(self) -> int:
        return len(self.free)

    def content(self, sequence: Sequence, place: int) -> Tokens:
        """What stands in its block at this place, and before it."""
        return sequence.tokens[: (place + 1) * self.config.block_size]

    def find_cached(self, sequence: Sequence) -> list[Block]:
        found = []
        for place in range((sequence.num_tokens - 1) // self.config.block_size):
            if not (blocks := self.cached.get(self.content(sequence, place))):
                break
            found.append(blocks[0])
        return found

    def admit_head(self, num_blocks: int, found: Iterable[Block] = ()) -> Sequence:
        head = self.waiting.popleft()
        self.running.append(head)
        head.blocks = list(found)
        for block in head.blocks:
            if block.num_holders == 0:
                self.free.remove(block)
            block.num_holders += 1
        head.num_blocks = len(head.blocks)
        head.num_computed_tokens = head.num_blocks * self.config.block_size
        if head.queue_time is None:
            head.num_cached_tokens = head.num_computed_tokens
        self.hold(head, num_blocks)
        return head

    def hold(self, sequence: Sequence, num_blocks: int) -> None:
        assert num_blocks == 0 or num_blocks >= sequence.num_blocks
        for _ in range(num_blocks - sequence.num_blocks):
            block = self.free.pop(0)
            self.forget(block)
            block.num_holders = 1
            sequence.blocks.append(block)
        if num_blocks == 0:
            self.release(sequence)
        sequence.num_blocks = num_blocks

    def forget(self, block: Block) -> None:
        if block.content is not None:
            self.cached[block.content].remove(block)
            if not self.cached[block.content]:
                del self.cached[block.content]
        block.content = None

    def release(self, sequence: Sequence) -> None:
        for block in reversed(sequence.blocks):
            block.num_holders -= 1
            if block.num_holders == 0:
                self.free.insert(0 if block.content is None else len(self.free), block)
        sequence.blocks = []

    def compute(self, sequence: Sequence, num_tokens: int) -> tuple[Sequence, Work]:
        computed = super().compute(sequence, num_tokens)
        for place in range(sequence.num_computed_tokens // self.config.block_size):
            block = sequence.blocks[place]
            if block.content is None:
                block.content = self.content(sequence, place)
                self.cached.setdefault(block.content, []).append(block)
        return computed

    def check(self) -> None:
        held = {id(block): block for sequence in self.running for block in sequence.blocks}
        assert len(held) + len(self.free) == self.config.num_blocks
        assert all(block.num_holders == 0 for block in self.free)
        assert sum(block.num_holders for block in held.values()) == sum(len(sequence.blocks) for sequence in self.running)
