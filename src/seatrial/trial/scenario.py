"""A scenario file: what it may say, and how it is read and written."""

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from seatrial.catalog.models import find
from seatrial.core.deployment import ALLGATHER
from seatrial.core.door import sentence
from seatrial.core.errors import ScenarioError
from seatrial.trial.yaml_file import read_yaml
from seatrial.workload.spec import ClosedLoopSpec, NonNegative, Number, Positive, Rate, Spec, WorkloadSpec

DEFAULT_ROUTER = "round-robin"
BUILTIN = Path(__file__).parent / "data" / "default.yaml"

Count = Annotated[int, Field(ge=1)]
Share = Annotated[Number, Field(gt=0, le=1)]


class PoolSpec(Spec):
    """Replicas of one kind. The engine's arguments have vLLM's names; those that are absent have the engine's own defaults."""

    name: str = "main"
    accelerator: str
    replicas: Count = 1
    tensor_parallel: Count = 1
    pipeline_parallel: Count = 1
    data_parallel: Count = 1
    expert_parallel: bool = False
    all2all_backend: str = ALLGATHER
    engine: str | None = None
    scheduler: str | None = None
    quantization: str | None = None
    max_num_seqs: Count | None = None
    max_num_batched_tokens: Count | None = None
    max_model_len: Count | None = None
    block_size: Count | None = None
    gpu_memory_utilization: Share | None = None
    enable_chunked_prefill: bool | None = None
    long_prefill_token_threshold: Count | None = None
    scheduler_reserve_full_isl: bool | None = None
    enable_prefix_caching: bool | None = None
    async_scheduling: bool | None = None
    watermark: Annotated[Number, Field(ge=0, le=1)] | None = None
    kv_cache_dtype: str | None = None
    generation_config: str | None = None
    num_gpu_blocks_override: Count | None = None
    cudagraph_mode: str | None = None
    max_cudagraph_capture_size: Count | None = None


class TraceSpec(Spec):
    """The first `limit` requests of a trace, at another pace, end to end again until there are `num_requests`.

    `timeout` is how many seconds a client waits for the whole answer.
    """

    trace: str
    format: str | None = None
    columns: dict[str, str] | None = None
    limit: Count | None = None
    speedup: Positive | None = None
    rate: Rate | None = None
    num_requests: Count | None = None
    closed_loop: ClosedLoopSpec | None = None
    timeout: Positive | None = None

    @model_validator(mode="after")
    def _one_pace(self) -> Self:
        if self.speedup is not None and self.rate is not None:
            raise ValueError("'speedup' and 'rate' both set the pace of the trace; give one")
        if self.closed_loop is not None and (self.speedup is not None or self.rate is not None):
            raise ValueError("a 'closed_loop' sets its own pace; leave out 'speedup' and 'rate'")
        return self


def _kind(workload: object) -> str:
    names_trace = isinstance(workload, TraceSpec) or (isinstance(workload, dict) and "trace" in workload)
    return TraceSpec.__name__ if names_trace else WorkloadSpec.__name__


AnyWorkload = Annotated[
    Annotated[TraceSpec, Tag(TraceSpec.__name__)] | Annotated[WorkloadSpec, Tag(WorkloadSpec.__name__)], Discriminator(_kind)
]
Targets = dict[Literal["ttft", "tpot", "itl", "e2e", "queue"], dict[str, Number]]


class Scenario(Spec):
    """One run: which requests, on what, to hold which promise. `warmup` and `cooldown` are seconds that the figures leave out.

    `router` sends each request to a replica of any pool. What it knows of the engines' own figures is up to `view_delay` seconds old.
    """

    model: str
    pools: Annotated[list[PoolSpec], Field(min_length=1)]
    router: str = DEFAULT_ROUTER
    view_delay: NonNegative = 0.0
    workload: AnyWorkload
    cost: str = "roofline"
    slo: str | Targets | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    warmup: NonNegative = 0.0
    cooldown: NonNegative = 0.0

    @field_validator("pools")
    @classmethod
    def _own_names(cls, pools: list[PoolSpec]) -> list[PoolSpec]:
        names = [pool.name for pool in pools]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two pools are called {twice!r}; give each a name of its own")
        return pools

    @property
    def pool(self) -> PoolSpec:
        """The first of them, which the flags change."""
        return self.pools[0]


def read_scenario(file: Path) -> Scenario:
    """The scenario of a YAML file. Paths in it are relative to the file; in what comes back they are absolute.

    A fragment that holds nothing but a workload, as `workload describe --fit` writes it, runs on the built-in replica.
    """
    content = read_yaml(file)
    if isinstance(content, dict) and content.keys() == {"workload"}:
        builtin = read_yaml(BUILTIN)
        assert isinstance(builtin, dict)
        content = builtin | content
    return parse_scenario(content, str(file), file.parent)


def builtin_scenario() -> Scenario:
    """What runs where nobody says anything else."""
    return read_scenario(BUILTIN)


def parse_scenario(content: object, where: str, folder: Path) -> Scenario:
    """Check what `where` says. Paths in it are relative to `folder`."""
    try:
        scenario = Scenario.model_validate(content)
    except ValidationError as error:
        raise ScenarioError(sentence(error, where, Scenario)) from None
    return _located(scenario, folder)


def scenario_yaml(scenario: Scenario) -> str:
    """The file that says it. Reading it gives an equal scenario."""
    return yaml.safe_dump(scenario.model_dump(exclude_none=True), sort_keys=False, allow_unicode=True)


def _located(scenario: Scenario, folder: Path) -> Scenario:
    """With absolute paths: of the trace, and of a model or accelerator that is a file and no name."""
    changes: dict[str, object] = {}
    if scenario.model.strip() and find(scenario.model) is None and (folder / Path(scenario.model).expanduser()).exists():
        changes["model"] = _absolute(scenario.model, folder)
    changes["pools"] = [
        pool.model_copy(update={"accelerator": _absolute(pool.accelerator, folder)}) if pool.accelerator.endswith(".toml") else pool
        for pool in scenario.pools
    ]
    if isinstance(scenario.workload, TraceSpec):
        changes["workload"] = scenario.workload.model_copy(update={"trace": _absolute(scenario.workload.trace, folder)})
    return scenario.model_copy(update=changes)


def _absolute(path: str, folder: Path) -> str:
    return str((folder / Path(path).expanduser()).resolve())
