"""What a point ran on: the model, its accelerators and the engine's settings, as a scenario's pool says them."""

import re
from dataclasses import dataclass, replace
from math import isnan
from typing import Any, NamedTuple

from pydantic import ValidationError

from seatrial.catalog import load_engine, profile_name
from seatrial.core.door import sentence
from seatrial.core.errors import CatalogError
from seatrial.policy.schedulers import unused_options
from seatrial.trial.scenario import PoolSpec
from seatrial.validate.assumptions import Answers
from seatrial.validate.names import Names, accelerator_name, model_facts, served_model
from seatrial.validate.point import Point
from seatrial.validate.unsimulated import Unsimulated

WIDEST_GROUP = 16  # more accelerators in one tensor-parallel group than any serving layout has


@dataclass(frozen=True, slots=True)
class System:
    """A replica by the names of the catalogue. `engine` is a name and a version, like vllm-0.15."""

    model: str
    pool: PoolSpec
    engine: str
    scheduler: str

    @property
    def model_text(self) -> str:
        return f"{self.model} in {self.pool.quantization}" if self.pool.quantization else self.model

    def with_prefix_caching(self) -> "System":
        """The same with a prefix cache, where scheduler and layout know one."""
        if "enable_prefix_caching" in unused_options(self.scheduler) or self.pool.pipeline_parallel > 1:
            return self
        return replace(self, pool=self.pool.model_copy(update={"enable_prefix_caching": True}))


class Layout(NamedTuple):
    tensor_parallel: int
    pipeline_parallel: int
    data_parallel: int
    expert_parallel: bool


def system_of(point: Point, names: Names, answers: Answers) -> System:
    """The system of a point. Unsimulated says what cannot be simulated, or is not stated and cannot be decided."""
    refuse_techniques(point, answers)
    accelerator = accelerator_name(names, point.gpu)
    served = served_model(names, point.model, point.precision)
    layout = layout_of(point, model_facts(served.model).has_experts, answers)
    engine = engine_name(point)
    profile = load_engine(profile_for(engine, answers))
    scheduler = answers.get("scheduler", profile.scheduler)
    settings = engine_settings(point, served.kv_cache_dtype, scheduler, answers)
    how = {"accelerator": accelerator, "engine": profile.name, "scheduler": scheduler, "quantization": served.quantization}
    try:
        pool = PoolSpec(**how, **layout._asdict(), **settings)
    except ValidationError as problem:
        raise Unsimulated(sentence(problem, "its system", PoolSpec)) from None
    return System(served.model, pool, engine, scheduler)


def refuse_techniques(point: Point, answers: Answers) -> None:
    if point.duplicate_of:
        raise Unsimulated(f"it is the same measurement as {point.duplicate_of}")
    if is_true(point.disaggregated):
        raise Unsimulated("prefill and decode run on separate replicas (disaggregated), which is not simulated")
    words = point.spec_decode.lower()
    if words.startswith(("unknown", "ambiguous")):
        answers.note("no-speculation")
    elif words and not words.startswith(("none", "off", "false", "no")):
        raise Unsimulated(f"speculative decoding ({point.spec_decode}) is not simulated")
    if point.tp is None and (point.n_gpu or 0) > 1:
        raise Unsimulated(f"how its {point.n_gpu:g} accelerators share the model is not stated")
    if is_true(point.cpu_kv_offload):
        answers.note("no-offload")


def layout_of(point: Point, experts: bool, answers: Answers) -> Layout:
    """Over how many accelerators, and along what."""
    tensor, pipeline, data = (whole(value or None) or 1 for value in (point.tp, point.pp, point.dp))
    num_experts_ranks = int(float(point.ep)) if re.fullmatch(r"\d+(\.0*)?", point.ep) else None
    multiplied = num_experts_ranks is not None and num_experts_ranks > 1 and unmultiplied(tensor, data, num_experts_ranks)
    if multiplied and answers.get("sizes_times_ep", False):
        tensor, data = multiplied
    elif point.n_gpu is not None and tensor * pipeline * data != point.n_gpu:
        raise Unsimulated(f"tp {tensor} x pp {pipeline} x dp {data} are not its {point.n_gpu:g} accelerators")
    if tensor > WIDEST_GROUP:
        raise Unsimulated(f"{tensor} accelerators are stated as one tensor-parallel group, which is not how they shared the model")
    if experts and tensor > 1 and answers.get("attention_data_parallel", False):
        return Layout(1, pipeline, data * tensor, True)
    if not experts or tensor * data == 1:
        return Layout(tensor, pipeline, data, False)
    if num_experts_ranks is not None:
        return Layout(tensor, pipeline, data, num_experts_ranks > 1)
    return Layout(tensor, pipeline, data, answers.get("expert_parallel", point.ep.startswith("tp*dp")))


def unmultiplied(tensor: int, data: int, experts: int) -> tuple[int, int] | None:
    """The sizes, if those that are stated are multiplied by the expert ranks, as in 64, 1 and 8 for 8, 1 and 8; else None."""
    ranks = {n * n: n for n in (2, 4, 8)}.get(tensor * data)
    if ranks is None or experts not in (ranks, ranks * ranks) or (experts == tensor * data and 1 in (tensor, data)):
        return None
    return (1, ranks) if tensor == 1 else (ranks, 1)


def engine_settings(
    point: Point,
    kv_cache_dtype: str | None,
    scheduler: str,
    answers: Answers,
) -> dict[str, Any]:  # Any: as PoolSpec checks them
    """The engine's arguments, under vLLM's names: as stated, or else as assumed; those that are absent have the engine's own."""
    stated = {
        "max_num_seqs": whole(point.max_num_seqs),
        "max_num_batched_tokens": whole(point.max_num_batched_tokens),
        "max_model_len": whole(point.max_model_len),
        "block_size": whole(point.block_size),
        "gpu_memory_utilization": share(point.gpu_mem_util, answers),
        "enable_chunked_prefill": on_or_off(point.chunked_prefill, answers),
        "num_gpu_blocks_override": None if point.kv_blocks_gpu is None else int(point.kv_blocks_gpu) - 1,  # without the null block
        "kv_cache_dtype": stated_dtype(point.kv_dtype) or kv_cache_dtype,
        "generation_config": None,
        "cudagraph_mode": None,
        "max_cudagraph_capture_size": None,
    }
    unused = unused_options(scheduler)
    return {name: answers.get(name) if value is None else value for name, value in stated.items() if name not in unused}


def profile_for(engine: str, answers: Answers) -> str:
    """The name of the profile that stands for a point's engine: its own, or that of vLLM where there is none."""
    try:
        return profile_name(engine)
    except CatalogError:
        answers.note("engine-without-profile")
        return profile_name("vllm")


def engine_name(point: Point) -> str:
    """A short name with the first two numbers of the version: vllm-0.15, tensorrt-llm-1.2, sglang."""
    text = f"{point.engine} {point.engine_version}".lower()
    name = next((name for name in ("tensorrt-llm", "sglang", "vllm") if name in text), text.split(" ")[0] or "unstated")
    version = re.search(r"(\d+\.\d+)", point.engine_version or point.engine)
    return f"{name}-{version.group(1)}" if version else name


ON, OFF = {"on", "true", "yes", "1"}, {"off", "false", "no", "0", "not"}


def is_true(text: str) -> bool:
    """By its first word: `true (later manifest of the same study)`."""
    return bool(ON & set(re.findall(r"\w+", text.lower())[:1]))


def on_or_off(text: str, answers: Answers) -> bool | None:
    """`on (V1 default)`, `default on`, `False` ...; None if it says neither or both, which is noted where it says anything."""
    words = set(re.findall(r"\w+", text.lower()))
    if bool(words & ON) != bool(words & OFF):
        return bool(words & ON)
    if words:
        answers.note("setting-not-understood")
    return None


def stated_dtype(text: str) -> str | None:
    """`fp8 presumably (...)` is fp8; `auto` says nothing."""
    word = text.split(" ")[0].lower()
    return word if word and word != "auto" else None


def whole(value: float | None) -> int | None:
    if value is not None and value != int(value):
        raise Unsimulated(f"{value:g} is stated where only a whole number can be")
    return None if value is None else int(value)


def share(text: str, answers: Answers) -> float | None:
    """Of the memory; None where it is not stated, or in words."""
    try:
        value = float(text or "nan")
    except ValueError:
        answers.note("setting-not-understood")
        return None
    if isnan(value):
        return None
    if not 0 < value <= 1:
        raise Unsimulated(f"gpu_mem_util is {text}, and not a share from 0 to 1")
    return value
