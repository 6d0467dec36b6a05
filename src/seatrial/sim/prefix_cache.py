"""The prefix cache: which full blocks of which prompts are in memory, who holds them, and which goes first when room is needed.

Blocks come in spans, not one by one. A span is some consecutive blocks of a content that all share one fate; where fates part it is
split. Spans form a tree: a path from the root spells a prompt. Each copy of a span in memory is either held by running sequences, or idle
in a ring, the least recently used first; of an idle copy the last block goes first.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from seatrial.core.request import Prefix


class Span:
    """Blocks `start` up to `end` of a content. Alive.

    `hash_ids` are the leading ids of a prompt that has it, at least as far as the span reaches; `key` those of them that its first block
    adds to the blocks before. What is known of one copy holds for all of them: they have the span's blocks, all of them, in memory.
    A sequence's own blocks, which nobody else can find, are a span without a parent.
    """

    __slots__ = ("block_tokens", "children", "copies", "end", "hash_ids", "key", "parent", "start")

    def __init__(
        self, parent: "Span | None", block_tokens: int, hash_ids: tuple[int, ...], key: tuple[int, ...], start: int, end: int
    ) -> None:
        self.parent = parent
        self.block_tokens = block_tokens
        self.hash_ids = hash_ids
        self.key = key
        self.start = start
        self.end = end
        self.children: dict[tuple[int, ...], Span] = {}
        self.copies: list[Copy] = []  # the one cached first is the one that is found


class Copy:
    """A span in memory. Alive. `rest` is the copy of the blocks before it that was cut off from this one, if any."""

    __slots__ = ("newer", "num_holders", "older", "rest", "span")

    def __init__(self, span: Span, num_holders: int, rest: "Copy | None" = None) -> None:
        self.span = span
        self.num_holders = num_holders
        self.rest = rest
        self.older: Copy | None = None  # the neighbours in the ring, while idle
        self.newer: Copy | None = None


class Holding:
    """What of the cache a sequence can find and holds. Alive.

    `copies` cover the blocks from 0 up to `num_filled`, in order. They are those of its prompt that others can find; of the full blocks
    behind the first `num_shareable` nobody keeps a list, until it lets go of them: then `own` has them.
    """

    __slots__ = ("admission", "block_tokens", "copies", "found", "hash_ids", "num_cached_tokens", "num_filled", "num_shareable", "own")

    def __init__(self, prefix: Prefix | None, num_prompt_tokens: int, block_size: int) -> None:
        self.block_tokens, self.hash_ids = prefix or NO_PREFIX
        self.num_shareable = min(num_prompt_tokens, len(self.hash_ids) * self.block_tokens) // block_size
        self.copies: list[Copy] = []
        self.num_filled = 0
        self.own: Span | None = None
        self.found: list[Span] = []  # by the last look
        self.num_cached_tokens = 0  # at its first admission
        self.admission = 0  # the how-manieth


NO_PREFIX = Prefix(1, ())


class PrefixCache:
    """Alive. It counts blocks that are idle; how many blocks there are, and how many are held, is the replica's to know.

    `num_shared` are the blocks that would be held beyond those that are if no two sequences held the same.
    """

    def __init__(self, block_size: int) -> None:
        self.block_size = block_size
        self.roots: dict[int, Span] = {}  # by the tokens that an id stands for: ids of different sizes never mean the same
        self.num_idle = 0
        self.num_shared = 0
        self.ring = Copy(Span(None, 1, (), (), 0, 0), 0)  # no copy: its newer neighbour is the oldest copy, its older one the newest
        self.ring.newer = self.ring.older = self.ring

    # --- what is found ---

    def find(self, held: Holding, max_blocks: int) -> tuple[int, int]:
        """The longest run of leading blocks that are cached, `max_blocks` at most; and how many of them are idle."""
        ids, block_size, block_tokens = held.hash_ids, self.block_size, held.block_tokens
        most = min(max_blocks, held.num_shareable)
        found = held.found = []
        at = num_idle = 0
        span = self.roots.get(block_tokens)
        while span is not None and at < most:
            span = span.children.get(ids[-(-at * block_size // block_tokens) : -(-(at + 1) * block_size // block_tokens)])
            if span is None:
                break
            end = self.alike(span, ids, most)
            found.append(span)
            if not span.copies[0].num_holders:
                num_idle += end - at
            at = end
            if end < span.end:
                break
        own = held.own
        if own is not None and at == held.num_shareable and own.end > at:
            assert own.end <= max_blocks
            num_idle += own.end - at
            at = own.end
        return at, num_idle

    def alike(self, span: Span, ids: tuple[int, ...], most: int) -> int:
        """The block, `most` at most, up to which a prompt with these ids has the span's content, of which it has the first block."""
        block_size, block_tokens = self.block_size, span.block_tokens
        end = min(span.end, most)
        known, upto = -(-span.start * block_size // block_tokens), -(-end * block_size // block_tokens)
        if ids[known:upto] == span.hash_ids[known:upto]:
            return end
        differing = next(place for place in range(known, upto) if ids[place] != span.hash_ids[place])
        return differing * block_tokens // block_size

    def take(self, held: Holding, num_blocks: int) -> None:
        """Hold the first `num_blocks` of what the last look has found."""
        for span in held.found:
            if span.end > num_blocks:
                span = self.split(span, num_blocks)
            copy = span.copies[0]
            if copy.num_holders:
                self.num_shared += span.end - span.start
            else:
                self.leave_ring(copy)
            copy.num_holders += 1
            held.copies.append(copy)
            held.num_filled = span.end
        held.found = []
        if num_blocks > held.num_shareable:
            assert held.own is not None
            own = held.own.copies[0]
            self.leave_ring(own)
            own.num_holders = 1

    # --- what is cached ---

    def fill(self, held: Holding, num_full_blocks: int) -> None:
        """Its leading blocks are full, so many: they can be found from now on, by others too where they are not its own alone."""
        at, end = held.num_filled, min(num_full_blocks, held.num_shareable)
        if at >= end:
            return
        ids, block_size, block_tokens = held.hash_ids, self.block_size, held.block_tokens
        held.num_filled = end
        parent = held.copies[-1].span if held.copies else self.root(block_tokens)
        while at < end:
            key = ids[-(-at * block_size // block_tokens) : -(-(at + 1) * block_size // block_tokens)]
            span = parent.children.get(key)
            if span is None:
                if at and not parent.children and len(parent.copies) == 1 and parent.copies[0].num_holders == 1:
                    parent.hash_ids, parent.end = ids, end  # nobody else has to do with it: it grows
                    return
                span = parent.children[key] = Span(parent, block_tokens, ids, key, at, end)
            elif (same := self.alike(span, ids, end)) < span.end:
                span = self.split(span, same)
            copy = Copy(span, 1)
            span.copies.append(copy)
            held.copies.append(copy)
            parent, at = span, span.end

    def root(self, block_tokens: int) -> Span:
        if block_tokens not in self.roots:
            self.roots[block_tokens] = Span(None, block_tokens, (), (), 0, 0)
        return self.roots[block_tokens]

    def split(self, span: Span, at: int) -> Span:
        """Part a span in two at block `at`. Gives the new span of the first part; who held the whole holds both."""
        assert span.parent is not None
        block_size, block_tokens = self.block_size, span.block_tokens
        first = Span(span.parent, block_tokens, span.hash_ids, span.key, span.start, at)
        span.parent.children[span.key] = first
        span.parent, span.start = first, at
        span.key = span.hash_ids[-(-at * block_size // block_tokens) : -(-(at + 1) * block_size // block_tokens)]
        first.children[span.key] = span
        for copy in span.copies:
            copy.rest = part = Copy(first, copy.num_holders, copy.rest)
            first.copies.append(part)
            if not copy.num_holders:  # the last blocks stay in front
                link(copy, part, copy.newer)
        return first

    # --- what is let go ---

    def release(self, held: Holding, num_full_blocks: int) -> None:
        """Let go of everything, last block first. What nobody holds any more is idle."""
        if num_full_blocks > held.num_shareable:
            own = held.own
            if own is None:
                own = held.own = Span(None, 1, (), (), held.num_shareable, held.num_shareable)
            if not own.copies:
                own.copies.append(Copy(own, 1))
            own.end = num_full_blocks
            own.copies[0].num_holders = 0
            self.join_ring(own.copies[0])
        for copy in self.copies_of(held):
            copy.num_holders -= 1
            if copy.num_holders:
                self.num_shared -= copy.span.end - copy.span.start
            else:
                self.join_ring(copy)
        held.copies = []
        held.num_filled = 0

    def num_freed(self, held: Holding, num_blocks: int, others: Iterable[Holding]) -> int:
        """How many of the `num_blocks` blocks that it holds would be idle or empty if `others` let go of theirs, and then it."""
        gone = Counter(copy for other in others for copy in self.copies_of(other))
        kept = [copy.span for copy in self.copies_of(held) if copy.num_holders - gone[copy] > 1]
        return num_blocks - sum(span.end - span.start for span in kept)

    def copies_of(self, held: Holding) -> Iterator[Copy]:
        """All copies that it holds, the last first; also what was cut off from one since."""
        for place in range(len(held.copies) - 1, -1, -1):
            start = held.copies[place - 1].span.end if place else 0
            copy: Copy | None = held.copies[place]
            while copy is not None and copy.span.end > start:
                yield copy
                copy = copy.rest

    def evict(self, num_blocks: int) -> None:
        """Forget so many idle blocks, the least recently used first."""
        ring = self.ring
        while num_blocks > 0:
            copy = ring.newer
            assert copy is not None
            assert copy is not ring
            span = copy.span
            size = span.end - span.start
            if size <= num_blocks:
                self.leave_ring(copy)
                num_blocks -= size
                self.forget(copy)
            elif len(span.copies) == 1:
                assert not span.children
                span.end -= num_blocks
                self.num_idle -= num_blocks
                return
            else:
                self.split(span, span.end - num_blocks)

    def forget(self, copy: Copy) -> None:
        span = copy.span
        span.copies.remove(copy)
        if span.copies:
            return
        if span.parent is None:
            span.end = span.start
            return
        assert not span.children
        del span.parent.children[span.key]

    def join_ring(self, copy: Copy) -> None:
        self.num_idle += copy.span.end - copy.span.start
        link(self.ring.older, copy, self.ring)

    def leave_ring(self, copy: Copy) -> None:
        self.num_idle -= copy.span.end - copy.span.start
        older, newer = copy.older, copy.newer
        assert older is not None
        assert newer is not None
        older.newer, newer.older = newer, older
        copy.older = copy.newer = None


def link(older: Copy | None, copy: Copy, newer: Copy | None) -> None:
    """Put it between two neighbours of the ring."""
    assert older is not None
    assert newer is not None
    older.newer = newer.older = copy
    copy.older, copy.newer = older, newer
