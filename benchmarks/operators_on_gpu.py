"""Times the kernels of a forward pass on the NVIDIA GPU at hand, with PyTorch: matrix products, attention of prompts and of decodes.

    python benchmarks/operators_on_gpu.py --gpu h100_sxm --out times
    seatrial validate --operators times

The tables have the columns of docs/cost.md, so `seatrial fit operators` reads them too. Of several kernels for the same work the
quickest counts. Each is timed inside a CUDA graph, and over as many copies of its operands as the L2 cache cannot hold: a layer's
weights are not there when its turn comes.
"""

import argparse
import csv
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import linear, scaled_dot_product_attention

BACKEND = f"torch {torch.__version__}"
NUM_REPLAYS = 7
LEAST_LAUNCHES = 16
COLD = 4  # so many times the L2 cache is read before an operand's turn comes again
MOST_CACHE = 16e9  # bytes of keys and values in one launch

TOKENS = (1, 4, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192)
MATRICES = (  # inputs, outputs
    (4096, 6144),  # Llama-3.1-8B: queries, keys and values
    (4096, 4096),
    (4096, 28672),
    (14336, 4096),
    (8192, 2560),  # Llama-3.1-70B on four
    (2048, 8192),
    (8192, 14336),
    (7168, 8192),
    (5120, 7168),  # Qwen3-14B
    (5120, 5120),
    (5120, 34816),
    (17408, 5120),
    (2880, 5120),  # gpt-oss-120b
    (4096, 2880),
    (3584, 4608),  # Qwen2.5-7B
    (4096, 128256),  # a language-model head
)
HEADS = ((32, 8), (8, 1), (16, 2), (40, 8), (64, 8), (32, 32))  # of queries, of keys and values
HEAD_DIM = 128
PROMPTS = tuple((batch, length) for batch in (1, 4) for length in (128, 256, 512, 1024, 2048, 4096, 8192, 16384) if batch * length <= 16384)
DECODES = tuple((batch, context) for batch in (1, 8, 32, 128, 256) for context in (128, 512, 1024, 2048, 4096, 16384))


def seconds_of(kernel: Callable[[int], Any], num_copies: int) -> float:
    """Of one run of `kernel`, which is told which copy of its operands to take: the median over replays of a graph of many."""
    num_launches = max(LEAST_LAUNCHES, num_copies)
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        kernel(0)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for launch in range(num_launches):
            kernel(launch % num_copies)
    graph.replay()
    found = []
    for _ in range(NUM_REPLAYS):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        found.append(start.elapsed_time(end) * 1e-3 / num_launches)
    return sorted(found)[NUM_REPLAYS // 2]


def quickest(kernels: Sequence[Callable[[int], Any]], num_copies: int) -> float:
    """A kernel that does not take these shapes is passed over."""
    found = []
    for kernel in kernels:
        try:
            found.append(seconds_of(kernel, num_copies))
        except RuntimeError:
            torch.cuda.synchronize()
    return min(found, default=math.nan)


def copies_of(num_bytes: float) -> int:
    """How many operands of that size it takes for none to be found in the cache again."""
    cache = torch.cuda.get_device_properties(0).L2_cache_size
    return max(1, min(256, math.ceil(COLD * cache / num_bytes)))


@cache
def one() -> torch.Tensor:
    return torch.ones((), device="cuda")


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, device="cuda", dtype=torch.bfloat16) * 0.05


def gemms() -> Iterator[dict[str, Any]]:
    for inputs, outputs in MATRICES:
        yield from gemms_of("bfloat16", inputs, outputs, torch.bfloat16, linear)
        if torch.cuda.get_device_capability() >= (8, 9):
            yield from gemms_of("fp8", inputs, outputs, torch.float8_e4m3fn, eight_bit_linear)


def gemms_of(name: str, inputs: int, outputs: int, dtype: torch.dtype, product: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    num_copies = copies_of(dtype.itemsize * inputs * outputs)
    weights = [noise(outputs, inputs).to(dtype) for _ in range(num_copies)]
    for tokens in TOKENS:
        rows = noise(tokens, inputs).to(dtype)
        seconds = quickest([lambda copy, rows=rows: product(rows, weights[copy])], num_copies)
        yield {"dtype": name, "m": tokens, "k": inputs, "n": outputs, "latency_us": seconds * 1e6}


def eight_bit_linear(rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """With one scale for each operand, as a checkpoint in fp8 has it."""
    return torch._scaled_mm(rows, weights.t(), one(), one(), out_dtype=torch.bfloat16, use_fast_accum=True)


def attend(backend: SDPBackend, queries: torch.Tensor, keys: Sequence[Any], values: Sequence[Any], **how: Any) -> Callable[[int], Any]:
    def kernel(copy: int) -> torch.Tensor:
        with sdpa_kernel(backend):
            return scaled_dot_product_attention(queries, keys[copy], values[copy], **how)

    return kernel


def prompts() -> Iterator[dict[str, Any]]:
    for heads, kv_heads in HEADS:
        for batch, length in PROMPTS:
            yield prompt_row(batch, length, heads, kv_heads)


def prompt_row(batch: int, length: int, heads: int, kv_heads: int) -> dict[str, Any]:
    queries = noise(batch, heads, length, HEAD_DIM)
    # each group's keys and values stand there for every head: no difference to what is computed, and it computes what takes the time
    num_copies = copies_of(4 * batch * heads * length * HEAD_DIM)
    keys, values = ([noise(batch, heads, length, HEAD_DIM) for _ in range(num_copies)] for _ in range(2))
    backends = (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION)
    seconds = quickest([attend(backend, queries, keys, values, is_causal=True) for backend in backends], num_copies)
    shape = {"batch_size": batch, "isl": length, "step": 0, **of_heads(heads, kv_heads), "attn_dtype": "bfloat16"}
    return {**shape, "latency_us": seconds * 1e6}


def decodes() -> Iterator[dict[str, Any]]:
    for heads, kv_heads in HEADS:
        for batch, context in DECODES:
            num_bytes = 4 * batch * context * kv_heads * HEAD_DIM
            if num_bytes <= MOST_CACHE:
                yield decode_row(batch, context, heads, kv_heads, copies_of(num_bytes))


def decode_row(batch: int, context: int, heads: int, kv_heads: int, num_copies: int) -> dict[str, Any]:
    # the queries that share keys stand one after the other, as a short sequence that sees all of the context
    queries = noise(batch, kv_heads, heads // kv_heads, HEAD_DIM)
    keys, values = ([noise(batch, kv_heads, context, HEAD_DIM) for _ in range(num_copies)] for _ in range(2))
    backends = (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION)
    seconds = quickest([attend(backend, queries, keys, values) for backend in backends], num_copies)
    return {"batch_size": batch, "context_tokens": context, **of_heads(heads, kv_heads), "latency_us": seconds * 1e6}


def of_heads(heads: int, kv_heads: int) -> dict[str, Any]:
    return {"num_heads": heads, "num_key_value_heads": kv_heads, "head_dim": HEAD_DIM, "kv_cache_dtype": "bfloat16"}


TABLES = {"gemm": gemms, "attention_context": prompts, "attention_generation": decodes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", required=True, help="what it is called in `seatrial catalog accelerators`, like h100_sxm")
    parser.add_argument("--out", type=Path, required=True, help="a directory for the tables")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("PyTorch finds no NVIDIA GPU here; run this where it does")
    given.out.mkdir(parents=True, exist_ok=True)
    for name, measure in TABLES.items():
        rows = [{"gpu": given.gpu, "backend": BACKEND, **row} for row in measure()]
        good = [row for row in rows if row["latency_us"] == row["latency_us"]]
        with open(given.out / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows({**row, "latency_us": f"{row['latency_us']:.2f}"} for row in good)
        print(f"{name}: {len(good)} times, {len(rows) - len(good)} shapes that no kernel takes", flush=True)


if __name__ == "__main__":
    main()
