"""What a run amounts to, for programs: its figures, what was resolved, what it would cost, and what one should know of it."""

from dataclasses import asdict
from typing import Any

from seatrial.metrics import Summary
from seatrial.trial.notes import notes
from seatrial.trial.prepare import Trial
from seatrial.trial.setup import ReplicaSetup


def outcome(trial: Trial, summary: Summary) -> dict[str, Any]:  # Any: as nested as JSON is
    """One object, ready for `json.dumps`: `--json` prints it and `summary.json` holds it."""
    return summary.as_dict() | {
        "price": {
            "dollars_per_hour": trial.price_per_hour,
            "dollars_per_million_output_tokens": price_per_million_tokens(trial, summary),
        },
        "scenario": described(trial),
        "notes": notes(trial, summary),
    }


def described(trial: Trial) -> dict[str, Any]:
    """What was resolved, by name: the first pool at the top level, for the many who have one, and then all of them."""
    scenario = trial.scenario
    return described_replica(trial.setup, scenario.cost) | {
        "pools": [
            {"name": pool.name, "replicas": pool.num_replicas} | described_replica(pool.setup, scenario.cost) for pool in trial.pools
        ],
        "router": scenario.router,
        "view_delay": scenario.view_delay,
        "workload": scenario.workload.model_dump(exclude_none=True),
        "slo": scenario.slo,
        "seed": scenario.seed,
        "warmup": scenario.warmup,
        "cooldown": scenario.cooldown,
    }


def described_replica(setup: ReplicaSetup, cost: str) -> dict[str, Any]:
    """`engine` is per data-parallel rank, `num_gpu_blocks` of all ranks."""
    return {
        "model": setup.model.name,
        "accelerator": setup.accelerator.name,
        "num_accelerators": setup.parallelism.num_accelerators,
        "parallelism": asdict(setup.parallelism),
        "scheduler": setup.scheduler,
        "engine": asdict(setup.engine),
        "num_gpu_blocks": setup.capacity.num_blocks,
        "cost": cost,
    }


def price_per_million_tokens(trial: Trial, summary: Summary) -> float | None:
    """Dollars for a million output tokens at the rate at which this run made them; None if it made none."""
    if not summary.output_tokens_per_s:
        return None
    return trial.price_per_hour / 3600 / summary.output_tokens_per_s * 1e6
