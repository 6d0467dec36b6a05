"""What pydantic refuses is told in one sentence."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seatrial.core.door import sentence


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Trace(Strict):
    trace: str
    speedup: Annotated[float, Field(gt=0)] = 1.0


class Made(Strict):
    rate: float
    num_requests: int


class Round(Strict):
    kind: Literal["round"]


class Sharp(Strict):
    kind: Literal["sharp"]
    edge: float


class Pool(Strict):
    name: str
    replicas: Annotated[int, Field(ge=1)] = 1
    role: Literal["both", "prefill", "decode"] = "both"


class Scenario(Strict):
    workload: Trace | Made
    pools: list[Pool] = []
    router: str | Pool = "least-loaded"
    shape: Annotated[Round | Sharp, Field(discriminator="kind")] | None = None
    slo: dict[str, dict[str, float]] = {}
    tensor_parallel: int | None = Field(None, alias="tensor-parallel")


def told(changes):
    with pytest.raises(ValidationError) as refused:
        Scenario.model_validate({"workload": {"trace": "a.csv"}} | changes)
    return sentence(refused.value, "s.yaml", Scenario)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"pool": 3}, "s.yaml: the top level has no key 'pool'; did you mean pools?"),
        ({"pools": [{"name": "a"}, {"nam": "b"}]}, "s.yaml: pools[1] has no key 'nam'; did you mean name?"),
        ({"pools": [{"name": "a", "replicas": 0}]}, "s.yaml: pools[0].replicas must be at least 1, not 0"),
        ({"pools": [{"name": "a", "role": "prefil"}]}, "s.yaml: pools[0].role cannot be 'prefil'; did you mean prefill?"),
        ({"pools": {"name": "a"}}, "s.yaml: pools must be a list, not {'name': 'a'}"),
        ({"pools": [{}]}, "s.yaml: pools[0] needs 'name', a text"),
        ({"slo": {"ttft": {"p90": "fast"}}}, "s.yaml: slo.ttft.p90 must be a number, not 'fast'"),
        ({"tensor-parallel": 1.5}, "s.yaml: tensor-parallel must be a whole number, not 1.5"),
        ({"tensor_paralel": 1}, "s.yaml: the top level has no key 'tensor_paralel'; did you mean tensor-parallel?"),
        ({"shape": {"kind": "shrap"}}, "s.yaml: shape.kind cannot be 'shrap'; did you mean sharp?"),
        ({"shape": {"kind": "sharp"}}, "s.yaml: shape needs 'edge', a number"),
        ({"shape": "sharp"}, "s.yaml: shape must be a mapping with 'kind', one of round, sharp, not 'sharp'"),
        ({"workload": {"trace": "a.csv", "speed": 2.0}}, "s.yaml: workload has no key 'speed'; did you mean speedup?"),
        ({"workload": {"rate": 2.0, "num_request": 5}}, "s.yaml: workload has no key 'num_request'; did you mean num_requests?"),
        ({"workload": {"rate": "x", "num_requests": 5}}, "s.yaml: workload.rate must be a number, not 'x'"),
        ({"workload": {"trace": "a.csv", "speedup": -1}}, "s.yaml: workload.speedup must be above 0, not -1"),
        ({"router": {"name": "a", "replicas": 0}}, "s.yaml: router.replicas must be at least 1, not 0"),
        ({"workload": 5, 3: 4}, "s.yaml: workload must be a mapping with the keys trace, speedup, not 5 (and 1 more to mend)"),
        ({3: 4}, "s.yaml: the top level has the key 3, which is no text; write it in quotes, or check the indentation"),
        ({"router": 5}, "s.yaml: router must be text, not 5"),
        ({"pools": [{"name": 1}, {"name": 2}]}, "s.yaml: pools[0].name must be text, not 1 (and 1 more to mend)"),
    ],
    ids=str,
)
def test_the_sentence_names_the_place_what_was_given_and_what_is_allowed(changes, text):
    assert told(changes) == text


def test_a_long_value_is_cut():
    assert len(told({"pools": {"name": "a" * 500}})) < 120
