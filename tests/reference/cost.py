"""What a step computes, as sums; and the affine cost over them."""

from collections.abc import Iterable
from typing import NamedTuple


class Work(NamedTuple):
    """What a step computes of one sequence: `num_tokens` tokens after the `offset` that are computed already.

    Work that `samples` puts out a token at the end of the step. Padding is a decode of no tokens.
    """

    offset: int
    num_tokens: int
    is_decode: bool
    samples: bool


class Sums(NamedTuple):
    num_prompts: int = 0
    num_prompt_tokens: int = 0
    prompt_pairs: int = 0
    prompt_context: int = 0
    num_decodes: int = 0
    decode_context: int = 0
    num_sampled: int = 0
    window_pairs: int = 0
    window_prompt_context: int = 0
    window_decode_context: int = 0


class Cost(NamedTuple):
    """Seconds. Any other callable from `Sums` to seconds serves as well."""

    base: float
    per_prompt_token: float = 0.0
    per_prompt_pair: float = 0.0
    per_decode: float = 0.0
    per_context_token: float = 0.0

    def __call__(self, sums: Sums) -> float:
        return (
            self.base
            + self.per_prompt_token * sums.num_prompt_tokens
            + self.per_prompt_pair * sums.prompt_pairs
            + self.per_decode * sums.num_decodes
            + self.per_context_token * sums.decode_context
        )


def sums_of(batch: Iterable[Work], window: int | None) -> Sums:
    """The sums of one step. Without a window, the window's sums are zero."""
    batch = list(batch)
    chunks = [(work.offset, work.num_tokens) for work in batch if not work.is_decode]
    contexts = [work.offset + work.num_tokens for work in batch if work.is_decode]
    sums = Sums(
        num_prompts=len(chunks),
        num_prompt_tokens=sum(c for _, c in chunks),
        prompt_pairs=sum(c * o + c * (c + 1) // 2 for o, c in chunks),
        prompt_context=sum(o + c for o, c in chunks),
        num_decodes=len(contexts),
        decode_context=sum(contexts),
        num_sampled=sum(work.samples for work in batch),
    )
    if window is None:
        return sums
    return sums._replace(
        # the j-th token of a sequence attends to itself and those before it, `window` at most
        window_pairs=sum(min(j, window) for o, c in chunks for j in range(o + 1, o + c + 1)),
        # the chunk's first token looks back at `window - 1` others
        window_prompt_context=sum(min(o, window - 1) + c for o, c in chunks),
        window_decode_context=sum(min(context, window) for context in contexts),
    )
