"""A scenario's replica: its model, accelerators and engine looked up, its memory counted, its cost made."""

from dataclasses import dataclass, fields, replace

from seatrial.catalog import load_accelerator, load_curves, load_engine, load_model
from seatrial.catalog.requantize import quantized
from seatrial.core.accelerator import Accelerator
from seatrial.core.deployment import EngineConfig, Parallelism
from seatrial.core.errors import ScenarioError, nearest
from seatrial.core.model import ModelSpec
from seatrial.cost import AffineCost, KvCapacity, RooflineCost, check_parallelism, engine_config, kv_capacity
from seatrial.policy.schedulers import make_scheduler, unused_options
from seatrial.sim.pipeline import make_replica
from seatrial.sim.replica import Replica
from seatrial.trial.scenario import PoolSpec, Scenario

COSTS = ("roofline", "affine")
ReplicaCost = RooflineCost | AffineCost


@dataclass(frozen=True, slots=True)
class ReplicaSetup:
    """All that a replica is made from. `engine` is per data-parallel rank, as vLLM's arguments are."""

    model: ModelSpec
    accelerator: Accelerator
    parallelism: Parallelism
    engine: EngineConfig
    scheduler: str
    capacity: KvCapacity
    cost: ReplicaCost

    @property
    def scheduler_engine(self) -> EngineConfig:
        """The engine as the one scheduler sees it that stands for those of all data-parallel ranks."""
        ranks = self.parallelism.data_parallel
        return replace(
            self.engine,
            max_num_seqs=self.engine.max_num_seqs * ranks,
            max_num_batched_tokens=self.engine.max_num_batched_tokens * ranks,
        )

    @property
    def price_per_hour(self) -> float:
        """Dollars, of all accelerators together."""
        return self.accelerator.price_per_hour * self.parallelism.num_accelerators

    def make(self) -> Replica:
        """A fresh replica at time zero."""
        engine = self.scheduler_engine
        scheduler = make_scheduler(self.scheduler, engine)
        return make_replica(self.cost, scheduler, engine, self.capacity.num_blocks, self.parallelism.pipeline_parallel)


def resolve_replica(scenario: Scenario) -> ReplicaSetup:
    """Look everything up. What does not exist, cannot be or does not fit is refused here."""
    return resolve_pool(scenario.model, scenario.pool, scenario.cost)


def resolve_pool(model_name: str, pool: PoolSpec, cost_text: str = "roofline") -> ReplicaSetup:
    """The same, of a scenario's parts."""
    check_options(pool)
    model, accelerator = load_model(model_name), load_accelerator(pool.accelerator)
    if pool.quantization is not None:
        model = quantized(model, pool.quantization)
    parallelism = Parallelism(pool.tensor_parallel, pool.pipeline_parallel, pool.data_parallel, pool.expert_parallel)
    check_parallelism(model, accelerator, parallelism)
    if pool.enable_prefix_caching and pool.pipeline_parallel > 1:
        raise ScenarioError(
            f"this version has a prefix cache for one stage, and pipeline_parallel is {pool.pipeline_parallel};"
            " leave enable_prefix_caching out, or split the model by tensor"
        )
    if pool.async_scheduling and pool.pipeline_parallel > 1:
        raise ScenarioError(
            f"async_scheduling is for one stage, and pipeline_parallel is {pool.pipeline_parallel}: several batches are in flight"
            " then, each scheduled before the last has ended; leave async_scheduling out"
        )
    engine = engine_config(model, accelerator, parallelism, **{field.name: getattr(pool, field.name) for field in fields(EngineConfig)})
    capacity = kv_capacity(model, accelerator, parallelism, engine)
    if capacity.max_num_seqs < engine.max_num_seqs:
        # counted again, since fewer sequences also need less working memory: so the same comes out where this number is asked for
        engine = replace(engine, max_num_seqs=capacity.max_num_seqs)
        capacity = kv_capacity(model, accelerator, parallelism, engine)
    if parallelism.data_parallel > 1:
        # the blocks of all ranks are one number to the engine, but a sequence lives on one rank
        engine = replace(engine, max_model_len=min(engine.max_model_len, capacity.capacity_tokens_per_rank))
    cost = _cost(cost_text, model, accelerator, parallelism, engine)
    return ReplicaSetup(model, accelerator, parallelism, engine, pool.scheduler, capacity, cost)


def with_prefix_caching(setup: ReplicaSetup) -> ReplicaSetup:
    """The same with a prefix cache, where scheduler and layout know one."""
    if not knows_prefix_caching(setup):
        return setup
    return replace(setup, engine=replace(setup.engine, enable_prefix_caching=True))


def knows_prefix_caching(setup: ReplicaSetup) -> bool:
    return "enable_prefix_caching" not in unused_options(setup.scheduler) and setup.parallelism.pipeline_parallel == 1


def check_options(pool: PoolSpec) -> None:
    """Refuse a scheduler that nobody knows, and an argument that it would ignore."""
    unused = unused_options(pool.scheduler)
    for name in sorted(unused):
        if getattr(pool, name) is not None:
            known = ", ".join(field.name for field in fields(EngineConfig) if field.name not in unused)
            raise ScenarioError(f"scheduler {pool.scheduler!r} has no use for {name}; leave it out, it knows {known}")


def resolved_pool(setup: ReplicaSetup, pool: PoolSpec) -> PoolSpec:
    """With every argument of the engine written out that the scheduler reads.

    But `max_model_len`, where nobody gave it: the model's own may be more than the cache holds, which is refused to those who ask for it.
    """
    unused = unused_options(setup.scheduler)
    engine = {field.name: getattr(setup.engine, field.name) for field in fields(EngineConfig) if field.name not in unused}
    if pool.max_model_len is None:
        del engine["max_model_len"]
    return pool.model_copy(update=engine)


def _cost(text: str, model: ModelSpec, accelerator: Accelerator, parallelism: Parallelism, engine: EngineConfig) -> ReplicaCost:
    kind, colon, terms = text.partition(":")
    if kind == "affine" and colon:
        return AffineCost.parse(terms)
    if text == "roofline":
        curves, profile = load_curves(accelerator), load_engine("vllm", accelerator.architecture)
        return RooflineCost(model, accelerator, parallelism, engine, curves, profile)
    if kind in COSTS:
        raise ScenarioError(f"no cost {text!r}; write roofline, or affine:TERM=SECONDS,... like affine:base=0.005,per_prompt_token=2e-5")
    raise ScenarioError(f"no cost {text!r}; {nearest(kind, COSTS)}")
