"""The flags that change a scenario, for the commands that take one. A flag that is not given is None, and changes nothing."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter, Token

from seatrial.cli.flags import TraceColumns, TraceFormat, column_map


def whole(least: int) -> Callable[[Any, Sequence[Token]], int]:  # Any: a type, as cyclopts hands it over
    """Reads a whole number; what is raised says what is allowed. (Cyclopts' own `int` would round 3.5.)"""

    def read(kind: Any, tokens: Sequence[Token]) -> int:
        word = tokens[0].value.strip()
        if not word.isdecimal() or int(word) < least:
            raise ValueError(f"a whole number, {least} or more")
        return int(word)

    return read


def number(*, above: float = -inf, least: float = -inf, most: float = inf) -> Callable[[Any, Sequence[Token]], float]:
    """Reads a finite number within these bounds."""
    bounds = {f" above {above:g}": above > -inf, f", {least:g} or more": least > -inf, f", at most {most:g}": most < inf}
    allowed = "a number" + "".join(words for words, given in bounds.items() if given)

    def read(kind: Any, tokens: Sequence[Token]) -> float:
        try:
            value = float(tokens[0].value)
        except ValueError:
            raise ValueError(allowed) from None
        if not (above < value < inf and least <= value <= most):  # nan is never within
            raise ValueError(allowed)
        return value

    return read


Count = Parameter(converter=whole(1))
Positive = Parameter(converter=number(above=0))
Seconds = Parameter(converter=number(least=0))
Share = Parameter(converter=number(above=0, most=1))

ScenarioFile = Annotated[Path | None, Parameter(help="a YAML file; without one, the built-in scenario")]


@Parameter(name="*", group=Group("Replica", sort_key=2))
@dataclass(frozen=True, kw_only=True)
class ReplicaFlags:
    """Which model runs on what, and how its engine is set: the arguments have vLLM's names and defaults."""

    model: Annotated[str | None, Parameter(help="a name of the catalogue, a config.json, or a directory that holds one")] = None
    accelerator: Annotated[str | None, Parameter(help="a name of the catalogue, or a .toml file like those of it")] = None
    tensor_parallel: Annotated[int | None, Count, Parameter(help="accelerators that share each layer")] = None
    pipeline_parallel: Annotated[int | None, Count, Parameter(help="stages that the layers are split into")] = None
    data_parallel: Annotated[int | None, Count, Parameter(help="ranks that each take a part of the sequences")] = None
    expert_parallel: Annotated[bool | None, Parameter(help="spread whole experts over the ranks", negative="--no-expert-parallel")] = None
    all2all_backend: Annotated[
        str | None,
        Parameter(help="how tokens get to experts of other data-parallel ranks: allgather_reducescatter, deepep_high_throughput ..."),
    ] = None
    engine: Annotated[str | None, Parameter(help="vllm, vllm-0.10, sglang ... (see catalog engines), or a .toml file")] = None
    scheduler: Annotated[str | None, Parameter(help="the engine's own, or vllm-v1, vllm-v0, sarathi, sglang, orca or static")] = None
    quantization: Annotated[str | None, Parameter(help="weights in another format: fp8, fp8_block, nvfp4, mxfp4, int8, int4, bf16")] = None
    cost: Annotated[str | None, Parameter(help="roofline, or seconds by name, like affine:base=0.005,per_decode=1e-5")] = None
    max_num_seqs: Annotated[int | None, Count, Parameter(help="sequences that run at a time")] = None
    max_num_batched_tokens: Annotated[int | None, Count, Parameter(help="tokens in a step")] = None
    max_model_len: Annotated[int | None, Count, Parameter(help="tokens of prompt and answer together")] = None
    block_size: Annotated[int | None, Count, Parameter(help="tokens in a block of the KV cache")] = None
    gpu_memory_utilization: Annotated[float | None, Share, Parameter(help="share of the memory that the engine may use")] = None
    num_gpu_blocks_override: Annotated[int | None, Count, Parameter(help="blocks of the KV cache, whatever memory says")] = None
    kv_cache_dtype: Annotated[str | None, Parameter(help="format of the KV cache: auto, fp8 ...")] = None
    generation_config: Annotated[str | None, Parameter(help="auto: requests sample as the model's own file says; vllm: plainly")] = None
    cudagraph_mode: Annotated[
        str | None, Parameter(help="which steps run as CUDA graphs: FULL_AND_PIECEWISE, FULL, PIECEWISE, FULL_DECODE_ONLY or NONE")
    ] = None
    max_cudagraph_capture_size: Annotated[int | None, Count, Parameter(help="tokens of the largest captured step")] = None
    enable_chunked_prefill: Annotated[
        bool | None, Parameter(help="long prompts may take several steps", negative="--no-enable-chunked-prefill")
    ] = None
    long_prefill_token_threshold: Annotated[int | None, Count, Parameter(help="most prompt tokens of one request in a step")] = None
    scheduler_reserve_full_isl: Annotated[
        bool | None,
        Parameter(help="admit a request only when its whole prompt would fit", negative="--no-scheduler-reserve-full-isl"),
    ] = None
    enable_prefix_caching: Annotated[
        bool | None,
        Parameter(help="compute once what prompts begin with alike; on where the trace tells", negative="--no-enable-prefix-caching"),
    ] = None
    async_scheduling: Annotated[
        bool | None, Parameter(help="plan each step while the one before it runs", negative="--no-async-scheduling")
    ] = None
    watermark: Annotated[
        float | None, Parameter(converter=number(least=0, most=1), help="share of the blocks that admission leaves free")
    ] = None

    def top(self) -> dict[str, Any]:  # Any: values of many types, here and below
        """What changes at the top level of a scenario."""
        return {"model": self.model, "cost": self.cost}

    def pool(self) -> dict[str, Any]:
        """What changes in its pool."""
        return {name: value for name, value in asdict(self).items() if name not in self.top()}


@Parameter(name="*", group=Group("Fleet", sort_key=3))
@dataclass(frozen=True, kw_only=True)
class FleetFlags:
    """How many replicas there are, and who answers which request."""

    replicas: Annotated[int | None, Count, Parameter(help="replicas of the first pool")] = None
    router: Annotated[
        str | None, Parameter(help="who gets a request: round-robin, least-outstanding ... (docs/routers.md), like NAME:option=value,...")
    ] = None
    view_delay: Annotated[float | None, Seconds, Parameter(help="seconds between reports of the engines to the router")] = None

    def top(self) -> dict[str, Any]:
        return {"router": self.router, "view_delay": self.view_delay}

    def pool(self) -> dict[str, Any]:
        return {"replicas": self.replicas}


@Parameter(name="*", group=Group("Workload", sort_key=1))
@dataclass(frozen=True, kw_only=True)
class WorkloadFlags:
    """Which requests come, and when."""

    trace: Annotated[str | None, Parameter(help="a file with requests, in place of the scenario's workload")] = None
    format: TraceFormat = None
    column: TraceColumns = ()
    limit: Annotated[int | None, Count, Parameter(help="take the first so many requests")] = None
    speedup: Annotated[float | None, Positive, Parameter(help="divide the arrival times of the trace by this")] = None
    rate: Annotated[float | None, Positive, Parameter(help="requests per second: rescales a trace, sets a generator")] = None
    num_requests: Annotated[int | None, Count, Parameter(help="requests in all; a trace is repeated until there are as many")] = None
    concurrency: Annotated[int | None, Count, Parameter(help="a closed loop: so many users, who each ask again after an answer")] = None
    think_time: Annotated[float | None, Seconds, Parameter(help="seconds from an answer to the next request of a closed loop")] = None
    request_timeout: Annotated[float | None, Positive, Parameter(help="seconds after which a client gives up on its request")] = None
    seed: Annotated[int | None, Parameter(converter=whole(0), help="seed of everything that is drawn")] = None

    def top(self) -> dict[str, Any]:
        return {"seed": self.seed}

    def workload(self) -> dict[str, Any]:
        said = {name: value for name, value in asdict(self).items() if name not in ("seed", "column", "request_timeout")}
        return said | {"columns": column_map(self.column), "timeout": self.request_timeout}


@Parameter(name="*", group=Group("Figures", sort_key=4))
@dataclass(frozen=True, kw_only=True)
class FigureFlags:
    """What is promised, and which requests count."""

    slo: Annotated[str | None, Parameter(help="targets in seconds, like ttft:p90=0.5,itl:p99=0.1 (ttft, tpot, itl, e2e, queue)")] = None
    warmup: Annotated[float | None, Seconds, Parameter(help="seconds at the start whose requests do not count")] = None
    cooldown: Annotated[float | None, Seconds, Parameter(help="seconds before the last arrival whose requests do not count")] = None

    def top(self) -> dict[str, Any]:
        return asdict(self)
