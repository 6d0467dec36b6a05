"""What a fit would have predicted for models and accelerators that it had not seen."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from seatrial.fit.engine import EngineFit, Progress, Round, Runs, without
from seatrial.fit.rows import STEP, Row
from seatrial.validate.experiment import Experiment
from seatrial.validate.system import System

Key = Callable[[System], str]

LEFT_OUT: Mapping[str, Key] = {
    "model": lambda system: system.model_text,
    "gpu": lambda system: system.pool.accelerator,
}
"""What is left out, one at a time."""


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """Rows of points by what was left out and which one: predicted from the others alone."""

    rows: Mapping[str, Mapping[str, list[Row]]]

    def of(self, key: str) -> list[Row]:
        return [row for rows in self.rows[key].values() for row in rows]


def cross_validate(fit: EngineFit, measured: Runs, systems: Mapping[str, System], progress: Progress) -> CrossValidation:
    """For each model, and each accelerator: the values from the rows of all others, and the left-out runs simulated under them."""
    found: dict[str, dict[str, list[Row]]] = {}
    for what, key in LEFT_OUT.items():
        groups = defaultdict(set)
        for row in fit.rows:
            if row.metric != STEP:
                groups[key(systems[row.point_id])].add(row.point_id)
        found[what] = {name: left_out_rows(fit, measured, name, ids, progress) for name, ids in sorted(groups.items()) if len(groups) > 1}
    return CrossValidation(found)


def left_out_rows(fit: EngineFit, measured: Runs, name: str, ids: set[str], progress: Progress) -> list[Row]:
    """The rows of the points `ids`, under values to which neither they nor steps of the same `name` have led."""
    silent = ids | {row.point_id for row in fit.rows if row.metric == STEP and is_of(row.kind, name)}
    values = without(fit.rounds[-1], silent)
    kept = Round(values, measured.rows(values, progress, lambda each: not points_of(each) & ids))
    rows = measured.rows(without(kept, silent), progress, lambda each: bool(points_of(each) & ids))
    return [row for row in rows if row.point_id in ids]


def is_of(kind: str, name: str) -> bool:
    """Whether a kind of steps, as `system_text` says it, is of that model or on that accelerator."""
    return f" of {name} on " in kind or kind.endswith(f" x {name}")


def points_of(experiment: Experiment) -> set[str]:
    return {point_id for point_id, _ in experiment.windows}
