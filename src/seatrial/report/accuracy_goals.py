"""What is aimed at, and what is reached: the first table of the accuracy page, and the goals in its others."""

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

from seatrial.core.errors import PointsError
from seatrial.report.markdown import Lines, both, pct, table
from seatrial.validate.accuracy import Error
from seatrial.validate.ratios import RatioError
from seatrial.validate.sections import Goal, Judged, read_goals
from seatrial.validate.steps import StepValidation

CrossValidation = Mapping[str, Mapping[str, Mapping[str, Error]]]  # what was left out -> its value, or `all` -> metric
Ratios = Mapping[str, Mapping[str, RatioError]]  # kind of change -> metric


def summary(judged: Sequence[Judged], steps: StepValidation | None, ratios: Ratios, left_out: CrossValidation) -> Lines:
    """One row per goal."""
    rows, goals = [], read_goals()
    for one in judged:
        for metric, error in one.errors.items():
            if metric in one.section.goals:
                rows.append([one.section.title, metric, f"{error.n:,}", both(error), goal_text(error, one.section.goals[metric])])
    if steps is not None:
        for engine, error in steps.groups()["engine"].items():
            goal = goals.steps.get(engine, {}).get("step_time")
            rows.append([f"Step times, {engine}", "step_time", f"{error.n:,}", both(error), goal_text(error, goal) if goal else ""])
    for kind, of in ratios.items():
        if kind in goals.ratios:
            rows += [[f"Ratios, {kind}", metric, f"{e.n:,}", both(ratio_error(e)), ratio_goal(e, kind)] for metric, e in of.items()]
    for what, aims in goals.left_out.items():
        found = left_out.get(what, {}).get("all", {})
        for metric in (metric for metric in aims if metric in found):
            error = found[metric]
            rows.append([f"Leaving one {what} out", metric, f"{error.n:,}", both(error), goal_text(error, aims[metric])])
    if rows:
        yield ""
        yield from table(["what", "metric", "n", "median / p90 %", "goal"], rows, words=2)


def goal_text(error: Error, goal: Goal) -> str:
    """`2 / **6**`: those in bold are missed."""
    found = (error.median_ape_pct, error.p90_ape_pct)
    return " / ".join(f"**{aim:g}**" if value > aim else f"{aim:g}" for value, aim in zip(found, goal) if aim is not None)


def ratio_error(error: RatioError) -> Error:
    return Error(error.median_ape_pct, error.p90_ape_pct, 0.0, error.n)


def ratio_goal(error: RatioError, kind: str) -> str:
    """`10, always right`: those in bold are missed."""
    goal = read_goals().ratios.get(kind)
    if goal is None:
        return ""
    right = error.right_direction
    always = [] if right is None else ["always right" if right == 1 else f"**always right** ({pct(100 * right)} %)"]
    return ", ".join([goal_text(ratio_error(error), goal), *always])


def read_cross_validation(file: Path) -> CrossValidation:
    """What was left out -> its value, or `all` -> metric -> error, as the groups of a validation are written."""
    form = "it holds what was left out, its value, metric and error, as `groups` of summary.json does"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {
            what: {value: {metric: checked(Error(**error)) for metric, error in of.items()} for value, of in values.items()}
            for what, values in content.items()
        }
    except (OSError, ValueError) as problem:
        raise PointsError(f"--cross-validation {file} cannot be read ({problem}); {form}") from None
    except (AttributeError, TypeError):
        raise PointsError(f"--cross-validation {file} is JSON of another form; {form}") from None


def checked(error: Error) -> Error:
    if not all(isinstance(value, int | float) and isfinite(value) for value in error):
        raise TypeError("a number is missing")
    return error
