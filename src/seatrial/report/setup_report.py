"""A replica in two lines, and a fleet in a few more."""

from rich.console import Group, RenderableType
from rich.text import Text

from seatrial.core.deployment import Parallelism
from seatrial.report.tables import paragraph
from seatrial.trial.prepare import Trial
from seatrial.trial.setup import ReplicaSetup


def fleet_lines(trial: Trial) -> RenderableType:
    """One replica is shown as it is alone."""
    if trial.num_replicas == 1:
        return setup_lines(trial.setup)
    parts: list[RenderableType] = []
    for pool in trial.pools:
        name = f"{pool.name}: " if len(trial.pools) > 1 else ""
        parts.append(setup_lines(pool.setup, before=f"{name}{pool.num_replicas:,} replicas of "))
    delay = f", who hears of the engines every {trial.scenario.view_delay:g} s" if trial.scenario.view_delay else ""
    return Group(*parts, paragraph(f"router {trial.scenario.router}{delay}"))


def setup_lines(setup: ReplicaSetup, before: str = "") -> Group:
    accelerators = f"{setup.parallelism.num_accelerators} x {setup.accelerator.name}"
    title = Text.assemble(before, (setup.model.name, "bold"), " on ", (accelerators, "bold"), f" ({layout_text(setup.parallelism)})")
    per_rank = " per rank" if setup.parallelism.data_parallel > 1 else ""
    limits = f"{setup.engine.max_num_seqs:,} sequences, {setup.engine.max_num_batched_tokens:,} tokens a step{per_rank}"
    return Group(title, paragraph(f"{setup.scheduler}, KV cache {setup.capacity.capacity_tokens:,} tokens, max {limits}"))


def layout_text(parallelism: Parallelism) -> str:
    """TP 4 PP 2 EP, or TP 1 alone."""
    parts = [f"TP {parallelism.tensor_parallel}"]
    if parallelism.pipeline_parallel > 1:
        parts.append(f"PP {parallelism.pipeline_parallel}")
    if parallelism.data_parallel > 1:
        parts.append(f"DP {parallelism.data_parallel}")
    if parallelism.expert_parallel:
        parts.append("EP")
    return " ".join(parts)
