"""Both costs keep the contract."""

import pytest

from seatrial.catalog import load_accelerator, load_curves, load_engine, load_model
from seatrial.core.deployment import Parallelism
from seatrial.cost import AffineCost, RooflineCost, engine_config
from seatrial.testing import StepCostContract


class TestAffine(StepCostContract):
    @pytest.fixture
    def cost(self):
        return AffineCost.parse("base=0.01,per_prompt_token=2e-5,per_prompt_pair=1e-9,per_decode=1e-4,per_context_token=1e-7")


class TestRoofline(StepCostContract):
    @pytest.fixture(params=["llama-3.1-8b", "gpt-oss-20b", "deepseek-v2-lite", "qwen3-30b-a3b"])
    def cost(self, request):
        model, accelerator = load_model(request.param), load_accelerator("h100_sxm")
        engine = engine_config(model, accelerator, Parallelism())
        return RooflineCost(model, accelerator, Parallelism(), engine, load_curves(accelerator), load_engine("vllm", "Hopper"))
