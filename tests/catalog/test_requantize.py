"""A model's linear layers take another format; what quantisers leave alone stays as it is."""

import pytest

from seatrial.catalog import load_model
from seatrial.catalog.requantize import QUANTIZATIONS, quantized, weight_format
from seatrial.core.errors import ScenarioError


@pytest.mark.parametrize("name", ["llama-3.1-8b", "mixtral-8x7b", "deepseek-v2-lite"])
@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_embedding_head_norms_and_router_stay_in_bf16(name, quantization):
    model = quantized(load_model(name), quantization)
    left = {part.format.name for part in model.parts() if part.name in ("embedding", "lm_head", "norm", "router", "other")}
    assert left == {"bf16"}
    assert model.num_parameters == load_model(name).num_parameters


def test_fp8_weights_are_what_the_checkpoint_in_fp8_weighs():
    assert quantized(load_model("llama-3.1-70b"), "fp8").weight_bytes == pytest.approx(load_model("llama-3.1-70b-fp8").weight_bytes)


def test_mxfp4_is_for_experts_alone_where_there_are_any():
    mixture, dense = quantized(load_model("mixtral-8x7b"), "mxfp4"), quantized(load_model("llama-3.1-8b"), "mxfp4")
    assert (mixture.formats.experts.name, mixture.formats.attention.name) == ("mxfp4", "bf16")
    assert dense.formats.attention.name == "mxfp4"


def test_bf16_undoes_a_quantised_checkpoint():
    assert weight_format(quantized(load_model("deepseek-r1"), "bf16")).name == "bf16"


def test_an_unknown_quantization_is_answered_with_the_nearest():
    with pytest.raises(ScenarioError, match="no quantization 'fp9'; did you mean fp8"):
        quantized(load_model("llama-3.1-8b"), "fp9")
