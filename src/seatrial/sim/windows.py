"""What sliding-window attention sees of a step."""

from collections.abc import Mapping

from seatrial.core.scheduling import StepPlan
from seatrial.policy.blocks import lacks_last_token
from seatrial.sim.decodes import DecodeSet
from seatrial.sim.sequence import Sequence

NO_WINDOW = (0.0, 0, 0)


def window_work(window: int, plan: StepPlan, members: Mapping[int, Sequence], decodes: DecodeSet) -> tuple[float, int, int]:
    """The window sums of a step about to be taken: pairs, prompt context, decode context."""
    pairs, prompt_context, context = 0, 0, decodes.window_context if plan.run_decodes else 0
    for view, num_tokens, _ in plan.chunks:
        seq = members[view.row]
        offset = seq.num_computed_tokens
        if lacks_last_token(seq):
            context += min(offset + 1, window)
        else:
            pairs += pairs_within(window, offset, num_tokens)
            prompt_context += min(offset + num_tokens, window - 1 + num_tokens)
    return pairs, prompt_context, context


def pairs_within(window: int, offset: int, num_tokens: int) -> int:
    """Query-key products of `num_tokens` tokens after `offset`, each looking back at most `window` tokens, itself included."""
    short = min(max(window - offset, 0), num_tokens)  # those that still see everything
    return short * offset + short * (short + 1) // 2 + (num_tokens - short) * window
