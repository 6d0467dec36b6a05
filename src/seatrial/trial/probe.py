"""One step of a replica taken apart, and its KV cache: what `explain` tells."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from seatrial.core.batch import Batch
from seatrial.core.curves import Confidence
from seatrial.core.errors import ScenarioError
from seatrial.cost import AffineCost, OperatorTime
from seatrial.policy.blocks import blocks_for
from seatrial.sim.windows import pairs_within
from seatrial.trial.setup import ReplicaSetup


class Step(NamedTuple):
    """`operators` is empty and `confidence` None where the cost knows none."""

    name: str
    batch: Batch
    seconds: float
    operators: tuple[OperatorTime, ...]
    confidence: Confidence | None


class Peaks(NamedTuple):
    """Of all accelerators together. `ridge` is the FLOPs per byte above which compute binds and below which memory does."""

    flops: float
    bandwidth: float

    @property
    def ridge(self) -> float:
        return self.flops / self.bandwidth


class KvFacts(NamedTuple):
    """`bytes_per_token` are those on one accelerator. `num_sequences` of `context` tokens fit in the cache."""

    bytes_per_token: float
    context: int
    num_sequences: int
    most_sequences: int


def step_notes(setup: ReplicaSetup, steps: Iterable[Step]) -> Iterator[str]:
    """What is odd about these steps on this replica."""
    most = setup.scheduler_engine.max_num_batched_tokens
    for step in steps:
        if step.batch.num_prompt_tokens + step.batch.num_decodes > most:
            yield f"{step.name}: more than the {most:,} tokens of max_num_batched_tokens, so the engine would take several steps"
        if step.batch.decode_context > setup.capacity.capacity_tokens:
            yield f"{step.name}: more than the {setup.capacity.capacity_tokens:,} tokens that the KV cache holds"
    if setup.parallelism.pipeline_parallel > 1:
        yield f"the time of a step is that of its {setup.parallelism.pipeline_parallel} pipeline stages one after the other"


def probe(setup: ReplicaSetup, num_decodes: int, context: int, num_prompt_tokens: int, prompt_offset: int) -> Step:
    """A step with decodes of `context` tokens each (the new one included), and one prompt chunk after `prompt_offset` computed tokens."""
    if not (num_decodes or num_prompt_tokens):
        raise ScenarioError("a step without decodes and without a prompt computes nothing; give --decodes or --prompt-tokens")
    window = setup.cost.attention_window
    batch = Batch(
        num_prompts=1 if num_prompt_tokens else 0,
        num_prompt_tokens=num_prompt_tokens,
        prompt_pairs=num_prompt_tokens * prompt_offset + num_prompt_tokens * (num_prompt_tokens + 1) // 2,
        prompt_context=prompt_offset + num_prompt_tokens if num_prompt_tokens else 0,
        num_decodes=num_decodes,
        decode_context=num_decodes * context,
        num_sampled=num_decodes + (1 if num_prompt_tokens else 0),
    )
    if window is not None:
        batch = batch._replace(
            window_pairs=pairs_within(window, prompt_offset, num_prompt_tokens),
            window_prompt_context=min(batch.prompt_context, window - 1 + num_prompt_tokens) if num_prompt_tokens else 0,
            window_decode_context=num_decodes * min(context, window),
        )
    name, seconds = step_name(num_decodes, context, num_prompt_tokens, prompt_offset), setup.cost.step_time(batch)
    if isinstance(setup.cost, AffineCost):
        return Step(name, batch, seconds, (), None)
    return Step(name, batch, seconds, setup.cost.explain(batch), setup.cost.provenance(batch))


def step_name(num_decodes: int, context: int, num_prompt_tokens: int, prompt_offset: int) -> str:
    decodes = f"{num_decodes:,} decodes at {context:,} tokens" if num_decodes else ""
    prompt = f"a prompt of {num_prompt_tokens:,} tokens" if num_prompt_tokens else ""
    after = f" after {prompt_offset:,} others" if num_prompt_tokens and prompt_offset else ""
    return " and ".join(filter(None, (decodes, prompt + after)))


def peaks(setup: ReplicaSetup) -> Peaks | None:
    """None where the cost knows none."""
    return None if isinstance(setup.cost, AffineCost) else Peaks(setup.cost.peak_flops, setup.cost.peak_bandwidth)


def kv_facts(setup: ReplicaSetup, context: int) -> KvFacts:
    capacity, ranks = setup.capacity, setup.parallelism.data_parallel
    fitting = capacity.num_blocks_per_rank // blocks_for(context, capacity.block_size) * ranks
    return KvFacts(capacity.block_bytes / capacity.block_size, context, fitting, setup.scheduler_engine.max_num_seqs)
