"""At which rate numbers of a format are multiplied, and how many bytes they move."""

from typing import NamedTuple

from seatrial.core.accelerator import Accelerator
from seatrial.core.deployment import EngineConfig
from seatrial.core.errors import ScenarioError, nearest
from seatrial.core.model import FORMATS, ModelSpec, NumberFormat

# The matrix unit's own formats that a weight format can use, best first. int4 has none: it is unpacked to bf16 (AWQ, GPTQ).
_NATIVE = {
    "fp8": ("fp8",),
    "fp8_block": ("fp8",),
    "int8": ("int8",),
    "nvfp4": ("fp4",),
    "mxfp4": ("fp4",),
    "fp32": ("fp32",),
    "fp16": ("fp16",),
}
_PLAIN = ("bf16", "fp16", "fp32")
_ACTIVATION_BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5 + 1 / 16}
_KV_CACHE_DTYPES = {
    "fp8": "fp8",
    "fp8_e4m3": "fp8",
    "fp8_e5m2": "fp8",
    "int8": "int8",
    "bf16": "bf16",
    "bfloat16": "bf16",
    "fp16": "fp16",
    "float16": "fp16",
}


class ComputeRate(NamedTuple):
    """How a GEMM over some weights runs. `weight_only`: the weights are stored smaller than they are multiplied."""

    format: str
    peak_flops: float
    activation_bytes: float
    weight_only: bool


def compute_rate(weights: NumberFormat, accelerator: Accelerator) -> ComputeRate:
    """fp8 multiplies at the fp8 rate where there is one; what the matrix units lack is unpacked to bf16 and reads fewer bytes."""
    native = _NATIVE.get(weights.name, ())
    for name in (*native, *_PLAIN):
        if name in accelerator.peak_flops:
            size = _ACTIVATION_BYTES[name]
            return ComputeRate(name, accelerator.peak_flops[name], size, name in _PLAIN and weights.bytes_per_element < size)
    raise ScenarioError(
        f"{accelerator.name} has no peak rate for {weights.name} weights, nor for {', '.join(_PLAIN)}; "
        f"it has {', '.join(accelerator.peak_flops)}"
    )


def plain_peak(accelerator: Accelerator) -> float:
    """FLOP/s in the format that unquantised numbers are multiplied in."""
    return compute_rate(FORMATS["bf16"], accelerator).peak_flops


def vector_peak(accelerator: Accelerator) -> float:
    """Operations per second of the vector units, in fp32; where nobody says, a sixteenth of the matrix units' in 16 bits."""
    return accelerator.peak_flops.get("fp32") or plain_peak(accelerator) / 16


def main_compute_rate(model: ModelSpec, accelerator: Accelerator) -> ComputeRate:
    """The rate of the format that holds most of the model's parameters: what MFU is measured against."""
    share: dict[NumberFormat, int] = {}
    for part in model.parts():
        share[part.format] = share.get(part.format, 0) + part.num_parameters
    return compute_rate(max(share, key=lambda weights: share[weights]), accelerator)


def kv_cache_format(model: ModelSpec, engine: EngineConfig) -> NumberFormat:
    """What the cache holds: the engine's `kv_cache_dtype`, or the model's own where that is `auto`."""
    if engine.kv_cache_dtype == "auto":
        return model.formats.kv_cache
    if engine.kv_cache_dtype not in _KV_CACHE_DTYPES:
        raise ScenarioError(f"no kv_cache_dtype {engine.kv_cache_dtype!r}; {nearest(engine.kv_cache_dtype, ('auto', *_KV_CACHE_DTYPES))}")
    return FORMATS[_KV_CACHE_DTYPES[engine.kv_cache_dtype]]
