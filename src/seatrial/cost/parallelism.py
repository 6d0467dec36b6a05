"""Which layouts of a model over accelerators can be, and what one accelerator holds of each layer."""

from math import ceil

from seatrial.core.accelerator import Accelerator
from seatrial.core.deployment import ALL2ALL_BACKENDS, Parallelism
from seatrial.core.errors import ScenarioError, nearest
from seatrial.core.model import Attention, LatentAttention, ModelSpec, Moe


def check_parallelism(model: ModelSpec, accelerator: Accelerator, parallelism: Parallelism) -> None:
    """Refuse what no engine would start. A tensor-parallel group wider than a node is allowed: see `crosses_nodes`."""
    tensor = parallelism.tensor_parallel
    for name in ("tensor_parallel", "pipeline_parallel", "data_parallel"):
        degree = getattr(parallelism, name)
        if not isinstance(degree, int) or isinstance(degree, bool) or degree < 1:
            raise ScenarioError(f"{name} is {degree!r}; it must be a whole number, 1 or more")
    for heads, kv_heads in sorted(_heads(model)):
        if heads % tensor:
            raise ScenarioError(
                f"tensor_parallel {tensor} does not divide the {heads} attention heads of {model.name}; try {_divisors(heads)}"
            )
        if kv_heads % tensor and tensor % kv_heads:
            raise ScenarioError(
                f"tensor_parallel {tensor} neither divides the {kv_heads} KV heads of {model.name} nor is a multiple of them"
            )
    if parallelism.pipeline_parallel > model.num_layers:
        raise ScenarioError(
            f"pipeline_parallel {parallelism.pipeline_parallel} is more than the {model.num_layers} layers of {model.name}; "
            f"use {model.num_layers} or less"
        )
    experts = max((group.feed_forward.num_experts for group in model.layers if isinstance(group.feed_forward, Moe)), default=0)
    if parallelism.expert_parallel and not experts:
        raise ScenarioError(f"expert_parallel needs a mixture of experts, and {model.name} has none; leave it out")
    if parallelism.expert_parallel and tensor * parallelism.data_parallel > experts:
        raise ScenarioError(
            f"expert_parallel spreads the {experts} experts of {model.name} over tensor_parallel * data_parallel = "
            f"{tensor * parallelism.data_parallel} ranks; use {experts} ranks or fewer"
        )
    if parallelism.all2all_backend not in ALL2ALL_BACKENDS:
        raise ScenarioError(f"no all2all_backend {parallelism.all2all_backend!r}; {nearest(parallelism.all2all_backend, ALL2ALL_BACKENDS)}")
    _check_links(accelerator, parallelism.num_accelerators)


def crosses_nodes(accelerator: Accelerator, parallelism: Parallelism) -> bool:
    """Whether the tensor-parallel group is wider than a node, so that every all-reduce leaves it: possible, and slow."""
    return parallelism.tensor_parallel > accelerator.devices_per_node


def kv_heads_per_rank(num_kv_heads: int, tensor_parallel: int) -> float:
    """KV heads that one rank computes and caches: with fewer heads than ranks each is held several times."""
    return max(1.0, num_kv_heads / tensor_parallel)


def expert_ranks(parallelism: Parallelism) -> int:
    """Over how many ranks whole experts are spread; 1 without expert parallelism."""
    return parallelism.tensor_parallel * parallelism.data_parallel if parallelism.expert_parallel else 1


def fullest_stage(model: ModelSpec, parallelism: Parallelism) -> float:
    """The share of all layers that the fullest pipeline stage holds."""
    return ceil(model.num_layers / parallelism.pipeline_parallel) / model.num_layers


def _check_links(accelerator: Accelerator, num_accelerators: int) -> None:
    if min(num_accelerators, accelerator.devices_per_node) > 1 and accelerator.scale_up.bandwidth <= 0:
        raise ScenarioError(
            f"{accelerator.name} has no link to its neighbours, so {num_accelerators} of them cannot share a model; use one"
        )
    if num_accelerators > accelerator.devices_per_node and accelerator.scale_out.bandwidth <= 0:
        raise ScenarioError(
            f"{accelerator.name} has no link out of its node, so a replica has at most {accelerator.devices_per_node} of them, "
            f"not {num_accelerators}"
        )


def _heads(model: ModelSpec) -> set[tuple[int, int]]:
    """(heads, KV heads) of every kind of attention; the latent cache has no heads to split."""
    heads = set()
    for group in model.layers:
        match group.mixer:
            case Attention(num_heads=num_heads, num_kv_heads=num_kv_heads):
                heads.add((num_heads, num_kv_heads))
            case LatentAttention(num_heads=num_heads):
                heads.add((num_heads, num_heads))
    return heads


def _divisors(heads: int) -> str:
    return ", ".join(str(degree) for degree in (1, 2, 4, 8, 16, 32) if heads % degree == 0)
