"""What a fit would have predicted for models and accelerators that it had not seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from seatrial.fit.engine import EngineFit, Progress, Round, Runs, without
from seatrial.fit.rows import STEP, Row
from seatrial.validate.experiment import Experiment

Key = Callable[[Row], str]

LEFT_OUT: Mapping[str, Key] = {"model": lambda row: row.of.model, "gpu": lambda row: row.of.gpu}
"""What is left out, one at a time."""


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """Rows of points by what was left out and which one: predicted from the others alone."""

    rows: Mapping[str, Mapping[str, list[Row]]]

    def of(self, key: str) -> list[Row]:
        return [row for rows in self.rows[key].values() for row in rows]


def cross_validate(fit: EngineFit, measured: Runs, progress: Progress) -> CrossValidation:
    """For each model, and each accelerator: the values from the rows of all others, and the left-out runs simulated under them."""
    return CrossValidation(
        {
            what: {name: left_out_rows(fit, measured, what, name, progress) for name in names}
            for what, names in left_out_names(fit.rows).items()
        }
    )


def left_out_names(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The models and the accelerators of the points, each of which is left out once. One that is alone is not: nothing would remain."""
    found = {what: sorted({key(row) for row in rows if row.metric != STEP}) for what, key in LEFT_OUT.items()}
    return {what: names if len(names) > 1 else [] for what, names in found.items()}


def left_out_rows(fit: EngineFit, measured: Runs, what: str, name: str, progress: Progress) -> list[Row]:
    """The rows of the points of this model or accelerator, under values to which neither they nor its steps have led."""
    silent = {row.point_id for row in fit.rows if LEFT_OUT[what](row) == name}
    ids = {row.point_id for row in fit.rows if row.metric != STEP} & silent
    values = without(fit.rounds[-1], silent)
    kept = Round(values, measured.rows(values, progress, lambda each: not points_of(each) & ids))
    rows = measured.rows(without(kept, silent), progress, lambda each: bool(points_of(each) & ids))
    return [row for row in rows if row.point_id in ids]


def points_of(experiment: Experiment) -> set[str]:
    return {point_id for point_id, _ in experiment.windows}
