"""Models and accelerators written out by hand, so that these tests need no catalogue."""

from dataclasses import replace

from seatrial.core.accelerator import Accelerator, Link
from seatrial.core.batch import Batch
from seatrial.core.curves import (
    AllReduceCurve,
    Curves,
    DecodeCurve,
    ErrorBar,
    ExpertsCurve,
    Fitted,
    GemmCurve,
    PromptCurve,
    TransferCurve,
)
from seatrial.core.deployment import EngineConfig, Parallelism
from seatrial.core.engine_profile import EngineProfile
from seatrial.core.model import FORMATS, Attention, Formats, LatentAttention, Layers, Mlp, ModelSpec, Moe, StateSpace
from seatrial.cost import RooflineCost

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

GEMM = GemmCurve(0.8, 0.88, 3e-6, 0, 16, 0, 0, 8)
TRANSFER = TransferCurve(10e-6, 0, 0.8, 0)


def rough(operator: str, number_format: str, curve: object) -> Fitted:
    return Fitted(operator, number_format, "", curve, "generic", "rules of thumb", {}, {"roofline": ErrorBar(0.3, 0.6)})


ROUGH = Curves(
    "any",
    (
        rough("gemm", "any", GEMM),
        rough("experts", "any", ExpertsCurve(0.8, 0.88, 6e-6, 16, 0.8, 0, 8)),
        *(rough(f"{kind}prompt_attention", "any", PromptCurve(0.6, 0.8, 6e-6, 1)) for kind in ("", "latent_")),
        *(rough(f"{kind}decode_attention", "any", DecodeCurve(0.6, 0.9, 6e-6, 1e-9)) for kind in ("", "latent_")),
        rough("all_reduce", "scale_up", AllReduceCurve(2e-6, 0, 0.8, 0.8, 2e-6, 0)),
        *(rough(each, link, TRANSFER) for each in ("all_gather", "all_to_all", "point_to_point") for link in ("scale_up", "scale_out")),
    ),
)
PROFILE = EngineProfile(
    scheduler="vllm-v1",
    defaults={},
    name="by-hand",
    gemm_scale=1.0,
    experts_scale=1.0,
    attention_scale=1.0,
    attention_memory=None,
    narrow_attention_memory=None,
    unpacking_scale=1.0,
    attention_fixed=6e-6,
    elementwise_memory=0.8,
    small_kernel_fixed=4.3e-6,
    small_kernels_per_mixer=3,
    small_kernels_per_mlp=2,
    small_kernels_per_moe=5,
    small_kernels_per_step=3,
    small_kernels_per_sort=20,
    small_kernels_per_penalty=13,
    all_reduce_fixed=7.4e-6,
    expert_imbalance=1.2,
    expert_skew=0.0,
    sampler_bytes_per_logit=600,
    penalty_bytes_per_logit=90,
    sort_operations_per_logit=0,
    launch=0.0,
    per_step=0.27e-3,
    per_prompt_step=0.2e-3,
    per_sequence=2e-6,
    before_request=7.3e-3,
    after_token=0.5e-3,
    sources={},
)
KERNELS_ALONE = replace(PROFILE, per_step=0, per_prompt_step=0, per_sequence=0, before_request=0, after_token=0)
ENGINE = EngineConfig(max_num_seqs=256, max_num_batched_tokens=8192, max_model_len=32768)
ALONE = Parallelism()


def cost_of(
    model: ModelSpec,
    accelerator: Accelerator = H100,
    layout: Parallelism = ALONE,
    engine: EngineConfig = ENGINE,
    profile: EngineProfile = PROFILE,
    curves: Curves = ROUGH,
) -> RooflineCost:
    return RooflineCost(model, accelerator, layout, engine, curves, profile)


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
