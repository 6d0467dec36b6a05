"""A model with its weights in another number format: what an engine's `quantization` argument, or another checkpoint, makes of it."""

from dataclasses import replace

from seatrial.core.errors import ScenarioError, nearest
from seatrial.core.model import FORMATS, Formats, ModelSpec, Moe, NumberFormat

QUANTIZATIONS = ("bf16", "fp8", "fp8_block", "int8", "int4", "nvfp4", "mxfp4")


def quantized(model: ModelSpec, quantization: str) -> ModelSpec:
    """The model with its linear layers in that format.

    Embedding, head, norms and router stay in bf16, as quantisers leave them, and the cache as it is. `mxfp4` is for experts alone
    where there are any, as in gpt-oss; `bf16` undoes what the checkpoint has.
    """
    if quantization not in QUANTIZATIONS:
        raise ScenarioError(f"no quantization {quantization!r}; {nearest(quantization, QUANTIZATIONS)}")
    weights, plain = FORMATS[quantization], FORMATS["bf16"]
    dense = plain if quantization == "mxfp4" and has_experts(model) else weights
    return replace(model, formats=Formats(dense, dense, weights, plain, plain, model.formats.kv_cache))


def weight_format(model: ModelSpec) -> NumberFormat:
    """The format of most of the weights."""
    share: dict[NumberFormat, int] = {}
    for part in model.parts():
        share[part.format] = share.get(part.format, 0) + part.num_parameters
    return max(share, key=lambda weights: share[weights])


def has_experts(model: ModelSpec) -> bool:
    return any(isinstance(group.feed_forward, Moe) for group in model.layers)
