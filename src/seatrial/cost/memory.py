"""How many KV blocks are left once weights and working memory have their place, as vLLM counts them."""

from dataclasses import dataclass, replace
from math import ceil

from seatrial.core.accelerator import Accelerator
from seatrial.core.deployment import EngineConfig, Parallelism
from seatrial.core.errors import CapacityError, ScenarioError
from seatrial.core.model import ModelSpec
from seatrial.core.units import GIB, bytes_text
from seatrial.cost.footprint import activation_bytes, block_bytes, state_bytes, weight_bytes
from seatrial.cost.parallelism import check_parallelism

# CUDA context, NCCL buffers, and what the driver keeps of the total that it shows. Fitted: what four measured block counts of
# vLLM 0.15 on H100 (7B on one, 34B and 8x7B on two, 70B on four) leave unexplained, within 0.1 GiB
NON_TORCH_ALONE = 0.55 * GIB
NON_TORCH_IN_GROUP = 0.90 * GIB
CUDA_GRAPHS = 0.0  # vLLM 0.15 captures them after it has counted, from the share that gpu_memory_utilization leaves alone
USUAL_BLOCK_SIZE = 16
TENSOR_PARALLEL_TO_TRY = (1, 2, 4, 8, 16)


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes on one accelerator of the fullest pipeline stage."""

    total: float
    requested: float
    weights: float
    activations: float
    non_torch: float
    cuda_graphs: float

    @property
    def needed(self) -> float:
        """Before the first block."""
        return self.weights + self.activations + self.non_torch + self.cuda_graphs

    @property
    def available(self) -> float:
        """For cache and recurrent states; below zero where the model does not fit."""
        return self.requested - self.needed


@dataclass(frozen=True, slots=True)
class KvCapacity:
    """The KV cache of a replica, and why it is that large.

    `num_blocks` are usable ones, of all data-parallel ranks (vLLM counts one more per rank, its null block). `block_bytes` is what one
    takes on each accelerator of a rank. `max_num_seqs` is the engine's, per rank, unless fewer recurrent states fit, whose memory is
    `sequence_states`.
    """

    num_blocks: int
    num_blocks_per_rank: int
    block_size: int
    block_bytes: float
    max_num_seqs: int
    sequence_states: float
    memory: MemoryUse

    @property
    def capacity_tokens(self) -> int:
        return self.num_blocks * self.block_size

    @property
    def capacity_tokens_per_rank(self) -> int:
        """What one request must fit in."""
        return self.num_blocks_per_rank * self.block_size


def kv_capacity(model: ModelSpec, accelerator: Accelerator, parallelism: Parallelism, engine: EngineConfig) -> KvCapacity:
    """What `num_gpu_blocks_override` says (per data-parallel rank), or what memory leaves.

    Sliding-window layers count as if they looked back all the way: right for sequences within the window, too little for longer ones.
    """
    check_parallelism(model, accelerator, parallelism)
    memory = memory_use(model, accelerator, parallelism, engine)
    one_block = block_bytes(model, parallelism, engine)
    one_state = state_bytes(model, parallelism)
    if engine.num_gpu_blocks_override is not None:
        num_seqs, blocks = engine.max_num_seqs, engine.num_gpu_blocks_override
    else:
        num_seqs = _num_states(memory, one_state, engine)
        blocks = _num_blocks(memory.available - num_seqs * one_state, one_block, num_seqs, engine)
        if num_seqs < 1 or blocks < 1:
            smaller = replace(engine, block_size=USUAL_BLOCK_SIZE)
            if engine.block_size > USUAL_BLOCK_SIZE and _fits(model, accelerator, parallelism, smaller):
                raise CapacityError(_block_too_large(memory.available - num_seqs * one_state, one_block, engine))
            raise CapacityError(_does_not_fit(memory, model, accelerator, parallelism, engine))
    states = num_seqs * one_state
    return KvCapacity(blocks * parallelism.data_parallel, blocks, engine.block_size, one_block, num_seqs, states, memory)


def memory_use(model: ModelSpec, accelerator: Accelerator, parallelism: Parallelism, engine: EngineConfig) -> MemoryUse:
    return MemoryUse(
        total=accelerator.memory,
        requested=accelerator.memory * engine.gpu_memory_utilization,
        weights=weight_bytes(model, parallelism),
        activations=activation_bytes(model, parallelism, engine),
        non_torch=NON_TORCH_ALONE if parallelism.num_accelerators == 1 else NON_TORCH_IN_GROUP,
        cuda_graphs=CUDA_GRAPHS,
    )


def _num_states(memory: MemoryUse, one_state: float, engine: EngineConfig) -> int:
    """Sequences whose recurrent states find room, taking at most half of what is left: the cache needs the rest."""
    if one_state == 0:
        return engine.max_num_seqs
    return min(engine.max_num_seqs, int(max(memory.available, 0) / 2 / one_state))


def _num_blocks(free: float, one_block: float, num_seqs: int, engine: EngineConfig) -> int:
    if one_block > 0:
        return int(max(free, 0) // one_block) - 1  # the null block
    return num_seqs * ceil(engine.max_model_len / engine.block_size)  # nothing is cached, so blocks never bind


def _block_too_large(free: float, one_block: float, engine: EngineConfig) -> str:
    return (
        f"a block of the KV cache of block_size {engine.block_size} takes {bytes_text(one_block)} on each accelerator, two are the least "
        f"(one is vLLM's null block), and {bytes_text(free)} are left for them; give a smaller block_size, like {USUAL_BLOCK_SIZE}"
    )


def _does_not_fit(memory: MemoryUse, model: ModelSpec, accelerator: Accelerator, parallelism: Parallelism, engine: EngineConfig) -> str:
    fitting = _smallest_tensor_parallel(model, accelerator, parallelism, engine)
    if fitting:
        advice = f"the smallest tensor_parallel that fits is {fitting}"
    else:
        advice = (
            f"no tensor_parallel on one node of {accelerator.devices_per_node} fits; "
            "try fp8 or int4 weights, pipeline_parallel or a larger accelerator"
        )
    return (
        f"{model.name} does not fit {accelerator.name} with tensor_parallel {parallelism.tensor_parallel}: each needs "
        f"{bytes_text(memory.needed)} (weights {bytes_text(memory.weights)}) before any KV cache, and has {bytes_text(memory.requested)} "
        f"({engine.gpu_memory_utilization:g} of {bytes_text(memory.total)}); {advice}"
    )


def _smallest_tensor_parallel(model: ModelSpec, accelerator: Accelerator, parallelism: Parallelism, engine: EngineConfig) -> int | None:
    for degree in TENSOR_PARALLEL_TO_TRY:
        layout = replace(parallelism, tensor_parallel=degree)
        if degree <= accelerator.devices_per_node and _fits(model, accelerator, layout, engine):
            return degree
    return None


def _fits(model: ModelSpec, accelerator: Accelerator, layout: Parallelism, engine: EngineConfig) -> bool:
    try:
        check_parallelism(model, accelerator, layout)
    except ScenarioError:
        return False
    memory = memory_use(model, accelerator, layout, engine)
    one_state = state_bytes(model, layout)
    num_seqs = _num_states(memory, one_state, engine)
    blocks = _num_blocks(memory.available - num_seqs * one_state, block_bytes(model, layout, engine), num_seqs, engine)
    return num_seqs >= 1 and blocks >= 1
