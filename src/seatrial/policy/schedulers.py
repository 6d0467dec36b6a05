"""The built-in schedulers by the names that a scenario and the command line use."""

from seatrial.core.deployment import EngineConfig
from seatrial.core.errors import PolicyError, nearest
from seatrial.policy.orca import Orca
from seatrial.policy.sarathi import Sarathi
from seatrial.policy.scheduler import Scheduler
from seatrial.policy.sglang import Sglang
from seatrial.policy.static import Static
from seatrial.policy.vllm_v0 import VllmV0
from seatrial.policy.vllm_v1 import VllmV1

SCHEDULERS: dict[str, type[Scheduler]] = {
    "vllm-v1": VllmV1,
    "vllm-v0": VllmV0,
    "sarathi": Sarathi,
    "sglang": Sglang,
    "orca": Orca,
    "static": Static,
}


def make_scheduler(name: str, engine: EngineConfig) -> Scheduler:
    return scheduler_class(name)(engine)


def scheduler_class(name: str) -> type[Scheduler]:
    if name not in SCHEDULERS:
        raise PolicyError(f"no scheduler {name!r}; {nearest(name, SCHEDULERS)}")
    return SCHEDULERS[name]


def unused_options(name: str) -> frozenset[str]:
    """The engine's arguments that other schedulers read and this one does not."""
    of_all = frozenset[str]().union(*(scheduler.options for scheduler in SCHEDULERS.values()))
    return of_all - scheduler_class(name).options
