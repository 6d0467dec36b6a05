"""How many kernels the host launches one by one in a step that is not captured as a CUDA graph."""

from collections.abc import Iterable

from seatrial.cost.kernels import ACTIVATION_BYTES
from seatrial.cost.operators import Elementwise, Experts, Gemm, Operator, Overhead, VectorWork

# estimates: what a layer of vLLM calls one after the other; `launch`, by which they are multiplied, is fitted with them as they are
KERNELS_PER_NARROW_GEMM = 3  # activations are scaled and quantised first
KERNELS_PER_ATTENTION = 2  # the kernel itself, and the plan or the merging of its splits
KERNELS_PER_EXPERTS = 12  # top-k, sorting by expert, quantising, two grouped products, activation, sum: Triton through much Python


def num_launches(operators: Iterable[Operator]) -> float:
    """Of all operators of a forward pass; one that is no kernel of its own counts nothing, but attention hides behind its overhead."""
    return sum(operator.count * _kernels(operator) for operator in operators)


def _kernels(operator: Operator) -> float:
    match operator:
        case Elementwise() | VectorWork():
            return operator.num_kernels
        case Experts():
            return KERNELS_PER_EXPERTS
        case Gemm():
            return KERNELS_PER_NARROW_GEMM if operator.weights.bytes_per_element < ACTIVATION_BYTES else 1
        case Overhead(name="attention launch"):
            return KERNELS_PER_ATTENTION
        case Overhead():
            return 0
        case _:
            return 1
