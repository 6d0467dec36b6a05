"""What a scheduler may know, and what it may answer. True output lengths are not in here, on purpose."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol


class SequenceView(Protocol):
    """How far a request has come.

    `num_tokens` is prompt plus generated so far; `num_computed_tokens` those whose KV exists.
    Of a decoding sequence both are as of its last step outside steady decode: ask the view for the current `num_computed_tokens`.
    """

    @property
    def row(self) -> int: ...
    @property
    def arrival_time(self) -> float: ...
    @property
    def num_prompt_tokens(self) -> int: ...
    @property
    def num_tokens(self) -> int: ...
    @property
    def num_computed_tokens(self) -> int: ...
    @property
    def num_blocks(self) -> int:
        """KV blocks held, as of the same moment."""


class SchedulerView(Protocol):
    """All that a scheduler may know when a step can start.

    A running sequence is either in steady decode or in `prefills`; those whose next token is in flight in a pipeline are in neither
    and only count in `num_running`.
    """

    @property
    def waiting(self) -> Sequence[SequenceView]:
        """First come first, preempted ones in front."""

    @property
    def prefills(self) -> Sequence[SequenceView]:
        """Running sequences with prompt tokens left to compute, in order of admission.

        One that computes itself anew after a preemption may come to lack just its last token: it is then a decode, but still in here.
        """

    @property
    def num_running(self) -> int: ...
    @property
    def num_decodes(self) -> int: ...
    @property
    def num_blocks(self) -> int: ...
    @property
    def num_free_blocks(self) -> int: ...
    @property
    def block_size(self) -> int: ...

    @property
    def num_free_blocks_after_decodes(self) -> int:
        """Free blocks if every decode took one more token now; below zero if they would not suffice."""

    def last_running(self) -> SequenceView:
        """The sequence that was admitted last."""

    def running(self) -> Iterable[SequenceView]:
        """Schedulable running sequences in order of admission. Walking them costs time in proportion to their number."""

    def is_decode(self, sequence: SequenceView) -> bool:
        """Whether it is in steady decode."""

    def num_blocks_freed(self, sequence: SequenceView, others: Sequence[SequenceView]) -> int:
        """Blocks that become free if `sequence` is preempted, after `others` were."""

    def can_preempt(self, sequence: SequenceView) -> bool:
        """Whether nothing of it is in flight."""

    def num_computed_tokens(self, sequence: SequenceView) -> int:
        """The current figure, for decoding sequences too."""


class Found(NamedTuple):
    """Leading full blocks of a sequence that are cached; the idle among them are held by nobody, and count as free until they are taken."""

    num_blocks: int
    num_idle_blocks: int


class Chunk(NamedTuple):
    """Prompt work: compute `num_tokens` more of `sequence`, which then holds `num_blocks` blocks in all."""

    sequence: SequenceView
    num_tokens: int
    num_blocks: int


class StepPlan(NamedTuple):
    """What the next step does.

    `preempted` leave first, each to the front of the waiting queue in turn; then `num_admitted` heads of the waiting queue start
    running: their chunks are the last of `chunks`, in the same order. Then the chunks run, and with `run_decodes` every decode
    that is neither preempted nor `stalled` takes one token.
    A plan with decodes and nothing else holds until something arrives, finishes, or memory runs out.
    The last `num_in_vain` of `preempted` made room for nobody: they leave when all others have been given their blocks.
    With prefix caching the plan admits nobody: `budget` is what it leaves for those who are then admitted one by one.
    """

    chunks: Sequence[Chunk] = ()
    num_admitted: int = 0
    run_decodes: bool = True
    preempted: Sequence[SequenceView] = ()
    stalled: Sequence[SequenceView] = ()
    num_in_vain: int = 0
    budget: int = 0
