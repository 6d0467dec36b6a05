"""What one engine step computes, as the few sums that its time depends on."""

from typing import NamedTuple, Protocol


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


class DecodeRun(NamedTuple):
    """Step `i` (from 0) of a steady decode takes `first + i * increment` seconds, for `i < valid_steps`."""

    first: float
    increment: float
    valid_steps: float


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

    def decode_run(self, batch: Batch, growth: int, window_growth: int) -> DecodeRun:
        """The affine law of a run of decode-only steps.

        `batch` is the first step's; with each further step its `decode_context` grows by `growth` and its
        `window_decode_context` by `window_growth`; all else stays. `valid_steps` is at least 1, and may be infinite.
        """
