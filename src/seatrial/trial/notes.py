"""What one should know of a run before believing it: what was left out, what is approximated, what a real engine would refuse."""

from collections.abc import Iterator

from seatrial.core.accelerator import Accelerator
from seatrial.cost import AffineCost, RooflineCost, crosses_nodes
from seatrial.metrics import Summary
from seatrial.policy.blocks import blocks_for
from seatrial.trial.prepare import Trial
from seatrial.trial.setup import ReplicaSetup, knows_prefix_caching


def notes(trial: Trial, summary: Summary) -> list[str]:
    """A sentence each."""
    return [*requests_notes(trial, summary), *trace_notes(trial), *pool_notes(trial)]


def pool_notes(trial: Trial) -> Iterator[str]:
    """What holds of each pool, by its name where there are several."""
    for pool in trial.pools:
        for note in (*prefix_notes(trial, pool.setup), *setup_notes(pool.setup)):
            yield note if len(trial.pools) == 1 else f"{pool.name}: {note}"


def requests_notes(trial: Trial, summary: Summary) -> Iterator[str]:
    if summary.num_rejected:
        which = "every request was" if summary.num_rejected == summary.num_requests else f"{summary.num_rejected:,} requests were"
        if summary.num_rejected == 1:
            which = "1 request was"
        fitting = min(longest_request(pool.setup) for pool in trial.pools)
        yield f"{which} rejected: prompt and answer together are longer than the {fitting:,} tokens that fit"
    if not summary.num_requests:
        yield f"a warm-up of {trial.scenario.warmup:g} s and a cool-down of {trial.scenario.cooldown:g} s leave no request to count"


def longest_request(setup: ReplicaSetup) -> int:
    """Tokens of prompt and answer that one request may have; the last token is never stored."""
    return min(setup.engine.max_model_len, setup.capacity.capacity_tokens_per_rank + 1)


def trace_notes(trial: Trial) -> Iterator[str]:
    if trial.trace is not None:
        yield from trial.trace.notes()


def prefix_notes(trial: Trial, setup: ReplicaSetup) -> Iterator[str]:
    told = "the trace tells which prompts begin alike"
    if trial.names_prefixes and setup.engine.enable_prefix_caching:
        yield f"{told}, and what is in the prefix cache is not computed again; --no-enable-prefix-caching computes every prompt in full"
    elif trial.names_prefixes and not knows_prefix_caching(setup):
        yield f"{told}, but only vllm-v1 without a pipeline has a prefix cache here: every prompt is computed in full"
    elif trial.names_prefixes:
        yield f"{told}, but without a prefix cache every prompt is computed in full"
    elif setup.engine.enable_prefix_caching:
        yield "nothing tells which prompts begin alike: of the prefix cache only those have something who come back after a preemption"
    if setup.engine.enable_prefix_caching and setup.parallelism.data_parallel > 1:
        yield "the data-parallel ranks share one prefix cache here; real ones each have their own, and find less"


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
    if not isinstance(setup.cost, AffineCost):
        yield from cost_notes(setup.cost, setup.accelerator)


def cost_notes(cost: RooflineCost, accelerator: Accelerator) -> Iterator[str]:
    """What the step times rest on, where that is not measurements of this very accelerator."""
    if accelerator.architecture != "Hopper":
        yield f"the engine's overheads are those of vLLM on H100; for {accelerator.name} they are a guess"
    if borrowed := cost.lenders:
        yield f"no operator times of {accelerator.name} are known: curves are those of {' and '.join(borrowed)}"
