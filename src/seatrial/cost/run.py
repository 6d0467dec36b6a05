"""A whole run as a few typical steps, so that what can be said of a step can be said of a run."""

from typing import NamedTuple

from seatrial.core.batch import Batch
from seatrial.core.record import EngineTotals


class TypicalStep(NamedTuple):
    """A step that stands for so many of a run."""

    batch: Batch
    num_steps: int


def typical_steps(totals: EngineTotals) -> list[TypicalStep]:
    """The mean step of decodes alone and the mean step with prompt work; in both the mean number of decodes runs.

    Times are so nearly linear in a step's sums that the means have the shares of the operators right, which is all that is asked of them.
    """
    with_prompts, decodes = totals.num_prompt_steps, _decodes(totals)
    found = [TypicalStep(decodes, totals.num_steps - with_prompts), TypicalStep(_with_prompts(totals, decodes), with_prompts)]
    return [step for step in found if step.num_steps]


def _decodes(totals: EngineTotals) -> Batch:
    if not totals.num_decodes:
        return Batch()
    rows = max(1, round(totals.num_decodes / totals.num_steps))
    share = rows / totals.num_decodes
    return Batch(
        num_decodes=rows,
        decode_context=round(share * totals.decode_context),
        num_sampled=rows,
        window_decode_context=round(share * totals.window_decode_context),
    )


def _with_prompts(totals: EngineTotals, decodes: Batch) -> Batch:
    steps = max(1, totals.num_prompt_steps)
    return decodes._replace(
        num_prompts=round(totals.num_prompt_chunks / steps),
        num_prompt_tokens=round(totals.num_prompt_tokens / steps),
        prompt_pairs=totals.prompt_pairs / steps,
        prompt_context=round(totals.prompt_context / steps),
        num_sampled=decodes.num_sampled + round((totals.num_sampled - totals.num_decodes) / steps),
        window_pairs=totals.window_pairs / steps,
        window_prompt_context=round(totals.window_prompt_context / steps),
    )
