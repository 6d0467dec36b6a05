"""What a fit would have predicted for models and accelerators that it had not seen."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from seatrial.fit.engine import EngineFit, Progress, Row, Runs, without
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
            groups[key(systems[row.point_id])].add(row.point_id)
        found[what] = {}
        for name, left_out in sorted(groups.items()):
            if len(groups) < 2:
                continue
            values = without(fit.rounds[-1], left_out)
            rows = measured.rows(values, progress, lambda each, ids=left_out: any(point_id in ids for point_id, _ in each.windows))  # type: ignore[misc]
            found[what][name] = [row for row in rows if row.point_id in left_out]
    return CrossValidation(found)
