"""What one engine step computes, as the few sums that its time depends on."""

from math import inf
from typing import NamedTuple, Protocol


# `sim.cruise`, `sim.replica`, `sim.log` and `RooflineCost.step_time` take the fields by position: what changes here changes there, too.
class Batch(NamedTuple):
    """The work of one step of one replica.

    A prompt chunk of `c` tokens at offset `o` adds `c` prompt tokens, `c*o + c*(c+1)/2` pairs (query-key products, causal) and
    `o + c` prompt context (KV entries that it reads). A decode's context is its computed tokens + 1.
    The `window_` sums are the same with every attention span cut to the model's sliding window; zero where it has none.
    """

    num_prompts: int = 0
    num_prompt_tokens: int = 0
    prompt_pairs: float = 0
    prompt_context: int = 0
    num_decodes: int = 0
    decode_context: int = 0
    num_sampled: int = 0
    window_pairs: float = 0
    window_prompt_context: int = 0
    window_decode_context: int = 0


class DecodeLaw(NamedTuple):
    """The time of decode-only steps of a fixed number of rows, as long as `min_context <= decode_context <= max_context`:

        base + per_context * decode_context + per_window_context * window_decode_context

    With each step the contexts grow by the number of growing sequences, so a run of steps is an arithmetic progression.
    """

    base: float
    per_context: float
    per_window_context: float = 0.0
    min_context: float = 0.0
    max_context: float = inf


class RequestOverhead(NamedTuple):
    """Seconds outside the engine's steps: before a request reaches the scheduler, and after a token leaves it."""

    before: float
    after: float


class StepCost(Protocol):
    """How long a step takes. Whoever answers these can drive the engine."""

    @property
    def attention_window(self) -> int | None:
        """Tokens that sliding-window layers look back; None without such layers, and the `window_` sums stay zero."""

    @property
    def request_overhead(self) -> RequestOverhead: ...

    def step_time(self, batch: Batch) -> float:
        """Seconds that one step of this batch takes. Always above zero."""

    def decode_law(self, num_decodes: int, context: int) -> DecodeLaw:
        """The law of decode-only steps of `num_decodes` rows (all of them sampled) that holds at `context`.

        Where it holds it equals `step_time`, up to rounding. Piecewise laws cover every context without gaps.
        """
