"""A scenario's replica: its model, accelerators and engine looked up, its memory counted, its cost made."""

from dataclasses import dataclass, fields, replace

from seatrial.catalog import load_accelerator, load_curves, load_engine, load_model
from seatrial.catalog.requantize import quantized
from seatrial.core.accelerator import Accelerator
from seatrial.core.deployment import EngineConfig, Parallelism
from seatrial.core.engine_profile import EngineProfile, Setting
from seatrial.core.errors import ScenarioError, nearest
from seatrial.core.model import ModelSpec
from seatrial.cost import AffineCost, KvCapacity, RooflineCost, check_parallelism, engine_config, kv_capacity
from seatrial.policy.schedulers import make_scheduler, unused_options
from seatrial.sim.pipeline import make_replica
from seatrial.sim.replica import Replica
from seatrial.trial.scenario import PoolSpec, Scenario

COSTS = ("roofline", "affine")
DEFAULT_ENGINE = "vllm"
DEFAULT_SCHEDULER = "vllm-v1"
ReplicaCost = RooflineCost | AffineCost


@dataclass(frozen=True, slots=True)
class ReplicaSetup:
    """All that a replica is made from. `engine` is per data-parallel rank, as vLLM's arguments are; an affine cost has no profile."""

    model: ModelSpec
    accelerator: Accelerator
    parallelism: Parallelism
    profile: EngineProfile | None
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
    """Of the first pool."""
    return resolve_pool(scenario.model, scenario.pool, scenario.cost)


def resolve_pool(model_name: str, pool: PoolSpec, cost_text: str = "roofline") -> ReplicaSetup:
    """Look everything up. What does not exist, cannot be or does not fit is refused here."""
    model, accelerator = load_model(model_name), load_accelerator(pool.accelerator)
    if pool.quantization is not None:
        model = quantized(model, pool.quantization)
    parallelism = Parallelism(**{field.name: getattr(pool, field.name) for field in fields(Parallelism)})
    check_parallelism(model, accelerator, parallelism)
    profile = chosen_profile(pool, cost_text, accelerator)
    scheduler = pool.scheduler
    if scheduler is None:
        scheduler = profile.scheduler if profile else DEFAULT_SCHEDULER
    check_options(pool, scheduler)
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
    engine = engine_config(model, accelerator, parallelism, **arguments(pool, profile, scheduler))
    capacity = kv_capacity(model, accelerator, parallelism, engine)
    if capacity.max_num_seqs < engine.max_num_seqs:
        # counted again, since fewer sequences also need less working memory: so the same comes out where this number is asked for
        engine = replace(engine, max_num_seqs=capacity.max_num_seqs)
        capacity = kv_capacity(model, accelerator, parallelism, engine)
    if parallelism.data_parallel > 1:
        # the blocks of all ranks are one number to the engine, but a sequence lives on one rank
        engine = replace(engine, max_model_len=min(engine.max_model_len, capacity.capacity_tokens_per_rank))
    cost: ReplicaCost
    if profile is None:
        cost = AffineCost.parse(cost_text.partition(":")[2])
    else:
        cost = RooflineCost(model, accelerator, parallelism, engine, load_curves(accelerator), profile)
    return ReplicaSetup(model, accelerator, parallelism, profile, engine, scheduler, capacity, cost)


def chosen_profile(pool: PoolSpec, cost_text: str, accelerator: Accelerator) -> EngineProfile | None:
    """Of the pool's engine. None for an affine cost, which is a whole engine in five numbers."""
    kind, colon, _ = cost_text.partition(":")
    if kind == "affine" and colon:
        if pool.engine is not None:
            raise ScenarioError(f"an affine cost has no use for the engine {pool.engine!r}; leave out one of the two")
        return None
    if cost_text == "roofline":
        return load_engine(DEFAULT_ENGINE if pool.engine is None else pool.engine, accelerator.architecture)
    if kind in COSTS:
        raise ScenarioError(
            f"no cost {cost_text!r}; write roofline, or affine:TERM=SECONDS,... like affine:base=0.005,per_prompt_token=2e-5"
        )
    raise ScenarioError(f"no cost {cost_text!r}; {nearest(kind, COSTS)}")


def arguments(pool: PoolSpec, profile: EngineProfile | None, scheduler: str) -> dict[str, Setting | str | None]:
    """The engine's arguments: what the pool gives, else what this engine has by itself and the scheduler reads; None for vLLM's own."""
    own = dict(profile.defaults) if profile else {}
    for name in unused_options(scheduler):
        own.pop(name, None)
    if pool.pipeline_parallel > 1:
        own.pop("async_scheduling", None)
    given = {field.name: getattr(pool, field.name) for field in fields(EngineConfig)}
    return {name: own.get(name) if value is None else value for name, value in given.items()}


def with_prefix_caching(setup: ReplicaSetup) -> ReplicaSetup:
    """The same with a prefix cache, where scheduler and layout know one."""
    if not knows_prefix_caching(setup):
        return setup
    return replace(setup, engine=replace(setup.engine, enable_prefix_caching=True))


def knows_prefix_caching(setup: ReplicaSetup) -> bool:
    return "enable_prefix_caching" not in unused_options(setup.scheduler) and setup.parallelism.pipeline_parallel == 1


def knows_timeouts(setup: ReplicaSetup) -> bool:
    """Whether its engine can drop a request: none is in flight between two steps, and none stays as padding."""
    return setup.parallelism.pipeline_parallel == 1 and setup.scheduler != "static"


def check_options(pool: PoolSpec, scheduler: str) -> None:
    """Refuse a scheduler that nobody knows, and an argument that it would ignore."""
    unused = unused_options(scheduler)
    for name in sorted(unused):
        if getattr(pool, name) is not None:
            known = ", ".join(field.name for field in fields(EngineConfig) if field.name not in unused)
            raise ScenarioError(f"scheduler {scheduler!r} has no use for {name}; leave it out, it knows {known}")


def resolved_pool(setup: ReplicaSetup, pool: PoolSpec) -> PoolSpec:
    """With the engine, its scheduler and every argument written out that the scheduler reads.

    But `max_model_len`, where nobody gave it: the model's own may be more than the cache holds, which is refused to those who ask for it.
    """
    unused = unused_options(setup.scheduler)
    engine = {field.name: getattr(setup.engine, field.name) for field in fields(EngineConfig) if field.name not in unused}
    if pool.max_model_len is None:
        del engine["max_model_len"]
    chosen = {"engine": setup.profile.name if setup.profile else None, "scheduler": setup.scheduler}
    if pool.engine is not None and pool.engine.endswith(".toml"):
        del chosen["engine"]
    return pool.model_copy(update=engine | chosen)
