"""Models and accelerators written out by hand, so that these tests need no catalogue."""

from dataclasses import replace

from seatrial.core.accelerator import Accelerator, Link
from seatrial.core.batch import Batch
from seatrial.core.deployment import EngineConfig, Parallelism
from seatrial.core.model import FORMATS, Attention, Formats, LatentAttention, Layers, Mlp, ModelSpec, Moe, StateSpace

H100 = Accelerator(
    name="h100-sxm",
    vendor="NVIDIA",
    architecture="Hopper",
    peak_flops={"bf16": 989e12, "fp16": 989e12, "fp8": 1979e12, "int8": 1979e12, "fp32": 67e12},
    memory=81559 * 1024**2,
    memory_bandwidth=3.35e12,
    scale_up=Link("NVLink 4", 450e9, 3e-6),
    scale_out=Link("InfiniBand NDR", 50e9, 10e-6),
    host=Link("PCIe 5", 64e9, 5e-6),
    devices_per_node=8,
    tdp=700,
    idle_power=70,
    price_per_hour=3.0,
    sources={},
)
A100 = replace(
    H100,
    name="a100-80gb-sxm",
    architecture="Ampere",
    peak_flops={"bf16": 312e12, "fp16": 312e12, "int8": 624e12, "fp32": 19.5e12},
    memory_bandwidth=2.039e12,
    scale_up=Link("NVLink 3", 300e9, 3e-6),
)
B200 = replace(
    H100, name="b200", peak_flops={"bf16": 2250e12, "fp8": 4500e12, "fp4": 9000e12}, memory_bandwidth=7.7e12, memory=180 * 1024**3
)


def dense(
    name: str, hidden: int, layers: int, heads: int, kv_heads: int, width: int, vocab: int, dim: int = 128, length: int = 131072
) -> ModelSpec:
    group = Layers(layers, Attention(heads, kv_heads, dim), Mlp(width), num_norm_parameters=2 * hidden)
    return ModelSpec(name, hidden, vocab, length, (group,), num_other_parameters=hidden)


LLAMA_8B = dense("llama-3.1-8b", 4096, 32, 32, 8, 14336, 128256)
LLAMA_70B = dense("llama-3.1-70b", 8192, 80, 64, 8, 28672, 128256)
LLAMA_2_7B = dense("llama-2-7b", 4096, 32, 32, 32, 11008, 32000, length=4096)
LLAMA_2_70B = dense("llama-2-70b", 8192, 80, 64, 8, 28672, 32000, length=4096)
CODELLAMA_34B = dense("codellama-34b", 8192, 48, 64, 8, 22016, 32000, length=16384)
MIXTRAL = ModelSpec("mixtral-8x7b", 4096, 32000, 32768, (Layers(32, Attention(32, 8, 128), Moe(8, 2, 14336), 2 * 4096),))
DEEPSEEK_V3 = ModelSpec(
    "deepseek-v3",
    7168,
    129280,
    163840,
    (
        Layers(3, LatentAttention(128, 1536, 512, 128, 64, 128), Mlp(18432)),
        Layers(58, LatentAttention(128, 1536, 512, 128, 64, 128), Moe(256, 8, 2048, shared_intermediate_size=2048)),
    ),
    formats=Formats(attention=FORMATS["fp8_block"], mlp=FORMATS["fp8_block"], experts=FORMATS["fp8_block"]),
)
WINDOWED = ModelSpec(
    "windowed",
    4096,
    128256,
    131072,
    (Layers(16, Attention(32, 8, 128), Mlp(14336)), Layers(16, Attention(32, 8, 128, window=1024), Mlp(14336))),
)
HYBRID = ModelSpec(
    "hybrid",
    4096,
    128256,
    131072,
    (Layers(4, Attention(32, 8, 128), Mlp(14336)), Layers(28, StateSpace(70_000_000, 1_100_000, 6e6), Mlp(14336))),
)
RECURRENT = ModelSpec("recurrent", 4096, 128256, 131072, (Layers(64, StateSpace(100_000_000, 1_100_000, 6e6), None),))
MODELS = (LLAMA_8B, LLAMA_70B, MIXTRAL, DEEPSEEK_V3, WINDOWED, HYBRID, RECURRENT)

ENGINE = EngineConfig(max_num_seqs=256, max_num_batched_tokens=8192, max_model_len=32768)
ALONE = Parallelism()


def chunk(offset: int, length: int, window: int | None = None) -> Batch:
    """A step with one prompt chunk that emits a token."""
    near = window or 0
    return Batch(
        num_prompts=1,
        num_prompt_tokens=length,
        prompt_pairs=length * offset + length * (length + 1) / 2,
        prompt_context=offset + length,
        num_sampled=1,
        window_pairs=float(sum(min(offset + i + 1, near) for i in range(length))) if window else 0.0,
        window_prompt_context=min(offset + length, near + length) if window else 0,
    )


def decode(*contexts: int, window: int | None = None) -> Batch:
    """A step with a decode of each context."""
    near = sum(min(context, window) for context in contexts) if window else 0
    return Batch(num_decodes=len(contexts), decode_context=sum(contexts), num_sampled=len(contexts), window_decode_context=near)


def together(*batches: Batch) -> Batch:
    return Batch(*(sum(column) for column in zip(*batches)))
