"""What one should know of a run before believing it: what was left out, what is approximated, what a real engine would refuse."""

from collections.abc import Iterator

from seatrial.cost import AffineCost, crosses_nodes
from seatrial.metrics import Summary
from seatrial.policy.blocks import blocks_for
from seatrial.trial.prepare import Trial
from seatrial.trial.setup import ReplicaSetup


def notes(trial: Trial, summary: Summary) -> list[str]:
    """A sentence each."""
    return [*requests_notes(trial, summary), *trace_notes(trial), *setup_notes(trial.setup)]


def requests_notes(trial: Trial, summary: Summary) -> Iterator[str]:
    if summary.num_rejected:
        which = "every request was" if summary.num_rejected == summary.num_requests else f"{summary.num_rejected:,} requests were"
        if summary.num_rejected == 1:
            which = "1 request was"
        yield f"{which} rejected: prompt and answer together are longer than the {longest_request(trial.setup):,} tokens that fit"
    if not summary.num_requests:
        yield f"a warm-up of {trial.scenario.warmup:g} s and a cool-down of {trial.scenario.cooldown:g} s leave no request to count"


def longest_request(setup: ReplicaSetup) -> int:
    """Tokens of prompt and answer that one request may have; the last token is never stored."""
    return min(setup.engine.max_model_len, setup.capacity.capacity_tokens_per_rank + 1)


def trace_notes(trial: Trial) -> Iterator[str]:
    if trial.trace is not None:
        yield from trial.trace.notes()
    if trial.names_prefixes:
        yield "the trace tells which prompts begin alike, but there is no prefix cache yet: every prompt is computed in full"


def setup_notes(setup: ReplicaSetup) -> Iterator[str]:
    """What holds whatever the requests are."""
    engine, capacity, parallelism = setup.engine, setup.capacity, setup.parallelism
    if setup.scheduler in ("orca", "static"):
        reservation = min(blocks_for(engine.max_model_len, engine.block_size), capacity.num_blocks)
        places = min(capacity.num_blocks // reservation, setup.scheduler_engine.max_num_seqs)
        yield (
            f"{setup.scheduler} reserves max_model_len ({engine.max_model_len:,} tokens) for each sequence, "
            f"so at most {places:,} run at a time; --max-model-len sets it (max_num_batched_tokens only sets the memory for activations)"
        )
    elif engine.max_model_len > capacity.capacity_tokens_per_rank:
        yield (
            f"the KV cache holds less than one request of max_model_len ({engine.max_model_len:,} tokens): "
            f"vLLM would ask for --max-model-len {capacity.capacity_tokens_per_rank} or less"
        )
    if parallelism.data_parallel > 1:
        yield "the data-parallel ranks are one engine here: one scheduler, and the tokens of a step spread evenly over the ranks"
    if crosses_nodes(setup.accelerator, parallelism):
        yield (
            f"tensor_parallel {parallelism.tensor_parallel} is wider than a node of {setup.accelerator.devices_per_node}: "
            "every all-reduce crosses the network between nodes"
        )
    if setup.model.attention_window is not None:
        yield "layers with a sliding window count as full ones in the KV cache: for long sequences there is more room in truth"
    if not isinstance(setup.cost, AffineCost) and setup.accelerator.architecture != "Hopper":
        yield f"the engine's overheads and kernel efficiencies are those of vLLM on H100; for {setup.accelerator.name} they are a guess"
