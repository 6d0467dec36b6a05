"""Measured times of single steps, beside what the cost says of the same step."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from seatrial.core.batch import Batch
from seatrial.core.errors import PointsError, SeatrialError
from seatrial.sim.windows import pairs_within
from seatrial.trial.setup import ReplicaCost, ReplicaSetup, resolve_pool
from seatrial.validate.accuracy import Error, Pair, error_of
from seatrial.validate.assumptions import Answers, read_assumptions
from seatrial.validate.experiment import Skipped
from seatrial.validate.names import Names, read_names
from seatrial.validate.point import Point
from seatrial.validate.points import read_csv, to_number, to_point
from seatrial.validate.system import System, is_true, system_of
from seatrial.validate.unsimulated import Unsimulated

CostOf = Callable[[ReplicaSetup, System], ReplicaCost]


@dataclass(frozen=True, slots=True)
class MeasuredStep:
    """A row of a file of steps. `point` says what it ran on; `step_time` is in seconds.

    `prefill_tokens` are the prompt tokens that the step computed, over `prefill_seqs` prompts; each of its sequences has
    `mean_context_tokens` of context, those tokens included.
    """

    point: Point
    phase: str
    step_time: float
    prefill_seqs: int = 0
    prefill_tokens: int = 0
    decode_seqs: int = 0
    mean_context_tokens: float = 0.0
    power_cap: str = ""


COUNTS = ("prefill_seqs", "prefill_tokens", "decode_seqs", "mean_context_tokens")
NEEDED = ("model", "gpu", "phase", "time_ms")
WHAT = f"a file of steps is CSV with {', '.join(NEEDED)} and the columns of the batch ({', '.join(COUNTS)})"


def read_steps(file: Path) -> list[MeasuredStep]:
    """All steps of a file, in its order."""
    columns, rows = read_csv(file, WHAT)
    for name in NEEDED:
        if name not in columns:
            raise PointsError(f"{file} has no column {name!r}; {WHAT}")
    if not rows:
        raise PointsError(f"{file} has a header and no row; {WHAT}")
    return [to_step(file, number, row) for number, row in enumerate(rows, 1)]


def to_step(file: Path, number: int, row: dict[str, str]) -> MeasuredStep:
    """What a step ran on is said as a point says it; it needs no `point_id`."""
    name = row.get("point_id", "").strip() or f"row {number}"
    point = to_point(file, number, row | {"point_id": name})
    if point.fault:
        raise PointsError(f"{file}, row {number}: {point.fault}")
    counts = {column: to_number(file, number, column, row[column]) for column in COUNTS if row.get(column, "").strip()}
    context = counts.pop("mean_context_tokens", 0.0)
    seconds = to_number(file, number, "time_ms", row["time_ms"]) * 1e-3
    whole = {column: int(value) for column, value in counts.items()}
    return MeasuredStep(
        point, row["phase"].strip(), seconds, **whole, mean_context_tokens=context, power_cap=row.get("power_cap", "").strip()
    )


def batch_of(step: MeasuredStep, window: int | None) -> Batch:
    """The step's sums: prompts are alike, and what their context has beyond the new tokens was computed or cached before."""
    prompts, decodes, context = step.prefill_seqs, step.decode_seqs, round(step.mean_context_tokens)
    if not prompts and not decodes:
        raise Unsimulated("the step computes nothing: neither prefill_seqs nor decode_seqs is above 0")
    chunk = step.prefill_tokens / prompts if prompts else 0.0
    offset = max(0.0, context - chunk) if prompts else 0.0
    batch = Batch(
        num_prompts=prompts,
        num_prompt_tokens=step.prefill_tokens,
        prompt_pairs=prompts * (chunk * offset + chunk * (chunk + 1) / 2),
        prompt_context=round(prompts * (offset + chunk)),
        num_decodes=decodes,
        decode_context=decodes * context,
        num_sampled=prompts + decodes,
    )
    if window is None:
        return batch
    return batch._replace(
        window_pairs=prompts * pairs_within(window, round(offset), round(chunk)),
        window_prompt_context=round(prompts * min(offset + chunk, window - 1 + chunk)),
        window_decode_context=decodes * min(context, window),
    )


# Compared


class ComparedStep(NamedTuple):
    """`step_time` in seconds."""

    step: MeasuredStep
    system: System
    step_time: Pair


@dataclass(frozen=True, slots=True)
class StepValidation:
    steps: tuple[ComparedStep, ...]
    skipped: tuple[Skipped, ...]

    @property
    def num_steps(self) -> int:
        return len(self.steps) + len(self.skipped)

    def groups(self) -> dict[str, dict[str, Error]]:
        """Errors by engine, and by what the steps of an engine are alike in: grouping -> value -> error."""
        return {name: step_errors(self.steps, key) for name, key in GROUPINGS.items()}

    def as_dict(self) -> dict[str, Any]:  # Any: as nested as JSON is
        groups = {name: {value: error._asdict() for value, error in found.items()} for name, found in self.groups().items()}
        return {
            "num_steps": self.num_steps,
            "num_compared": len(self.steps),
            "skipped": [skipped._asdict() for skipped in self.skipped],
            "groups": groups,
        }


GROUPINGS: Mapping[str, Callable[[ComparedStep], str]] = {
    "engine": lambda compared: compared.system.engine,
    "phase": lambda compared: f"{compared.system.engine}, {compared.step.phase}",
    "system": lambda compared: f"{compared.system.engine}, {system_text(compared.system)}, {compared.step.phase}",
}


def system_text(system: System) -> str:
    return f"{system.model_text} on {system.pool.tensor_parallel} x {system.pool.accelerator}"


def step_errors(steps: Iterable[ComparedStep], key: Callable[[ComparedStep], str]) -> dict[str, Error]:
    """By value, those with the most steps first."""
    signed: dict[str, list[float]] = defaultdict(list)
    for compared in steps:
        if compared.step_time.actual > 0:
            signed[key(compared)].append(compared.step_time.signed_pct)
    return {value: error_of(signed[value]) for value in sorted(signed, key=lambda value: (-len(signed[value]), value))}


def validate_steps(steps: Iterable[MeasuredStep], *, names: Names | None = None, cost: CostOf | None = None) -> StepValidation:
    """Put the cost's time beside each measured one; a step whose system cannot be simulated is listed with the reason.

    Another `cost` takes the place of each replica's own.
    """
    names = read_names() if names is None else names

    replicas: dict[tuple[object, ...], tuple[System, ReplicaCost]] = {}

    def replica(point: Point) -> tuple[System, ReplicaCost]:
        key = tuple(getattr(point, field.name) for field in fields(point) if field.name not in OF_ONE_STEP)
        if key not in replicas:
            system = system_of(point, names, Answers(point, read_assumptions()))
            setup = resolve_pool(system.model, system.pool)
            replicas[key] = system, setup.cost if cost is None else cost(setup, system)
        return replicas[key]

    found: list[ComparedStep] = []
    skipped: list[Skipped] = []
    for step in steps:
        try:
            if is_true(step.power_cap):
                raise Unsimulated("its accelerators ran under a power cap, which is not simulated")
            if not step.step_time:
                raise Unsimulated("its time_ms is 0")
            if step.prefill_tokens and not step.prefill_seqs:
                raise Unsimulated("it has prefill_tokens above 0 and no prefill_seqs")
            system, step_cost = replica(step.point)
            seconds = step_cost.step_time(batch_of(step, step_cost.attention_window))
        except SeatrialError as reason:
            skipped.append(Skipped(step.point.point_id, str(reason)))
            continue
        found.append(ComparedStep(step, system, Pair(seconds, step.step_time)))
    return StepValidation(tuple(found), tuple(skipped))


OF_ONE_STEP = ("point_id", "measured", "notes")
"""Columns that say nothing of what a step runs on."""
