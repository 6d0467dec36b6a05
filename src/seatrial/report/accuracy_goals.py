"""What is aimed at, and what is reached: the first table of the accuracy page, and the goals in its others."""

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path

from seatrial.core.errors import PointsError, in_words
from seatrial.report.markdown import Lines, table
from seatrial.report.percent import both, pct
from seatrial.validate.accuracy import Error, Pair, error_of
from seatrial.validate.compared import Compared
from seatrial.validate.ratios import RatioError
from seatrial.validate.sections import Goal, Judged, read_goals
from seatrial.validate.steps import StepValidation

CrossValidation = Mapping[str, Mapping[str, Mapping[str, Error]]]  # what was left out -> its value, or `all` -> metric
CrossValidations = Mapping[str, CrossValidation]  # by the name of its file
Ratios = Mapping[str, Mapping[str, RatioError]]  # kind of change -> metric
Rows = Iterator[list[str]]


def summary(
    judged: Sequence[Judged], overloaded: Sequence[Compared], steps: StepValidation | None, ratios: Ratios, fits: CrossValidations
) -> Lines:
    """One row per goal."""
    rows = [*of_sections(judged), *of_overloaded(overloaded), *of_steps(steps), *of_ratios(ratios), *of_fits(fits)]
    if rows:
        yield ""
        yield from table(["what", "metric", "n", "median / p90 %", "goal"], rows, words=2)


def of_sections(judged: Sequence[Judged]) -> Rows:
    for section, points in judged:
        for metric, error in Judged(section, points).errors.items():
            if metric in section.goals:
                yield row(section.title, metric, error, goal_text(error, section.goals[metric]))
            elif metric in section.each:
                pairs = [compared.pairs[metric] for compared in points if metric in compared.pairs]
                yield row(section.title, metric, error, each_text(pairs, section.each[metric]))


def of_overloaded(points: Sequence[Compared]) -> Rows:
    pairs = [pair for compared in points if (pair := answered(compared)).actual]
    if pairs:
        error = error_of(pair.signed_pct for pair in pairs)
        yield row("Overloaded runs, answers in time", "num_completed", error, each_text(pairs, read_goals().overloaded["num_completed"]))


def of_steps(steps: StepValidation | None) -> Rows:
    for engine, error in steps.groups()["engine"].items() if steps is not None else ():
        goal = read_goals().steps.get(engine, {}).get("step_time")
        yield row(f"Step times, {engine}", "step_time", error, goal_text(error, goal) if goal else "")


def of_ratios(ratios: Ratios) -> Rows:
    for kind, of in ratios.items():
        if kind in read_goals().ratios:
            for metric, error in of.items():
                yield row(f"Ratios, {kind}", metric, ratio_error(error), ratio_goal(error, kind))


def of_fits(fits: CrossValidations) -> Rows:
    for name, aims_of in read_goals().left_out.items():
        for what, aims in aims_of.items():
            found = fits.get(name, {}).get(what, {}).get("all", {})
            for metric in (metric for metric in aims if metric in found):
                yield row(f"Leaving one {what} out, {name}", metric, found[metric], goal_text(found[metric], aims[metric]))


def row(what: str, metric: str, error: Error, goal: str) -> list[str]:
    return [what, metric, f"{error.n:,}", both(error), goal]


def answered(compared: Compared) -> Pair:
    """How many requests had an answer before the client gave up."""
    predicted, actual = compared.num_completed
    return Pair(predicted, actual or 0)


def each_text(pairs: Sequence[Pair], aim: float) -> str:
    """`each within 5`, in bold with how many are where not all of them are."""
    near = sum(pair.ape_pct <= aim for pair in pairs)
    return f"each within {aim:g}" if near == len(pairs) else f"**each within {aim:g}** ({near} of {len(pairs)})"


def goal_text(error: Error, goal: Goal) -> str:
    """`2 / **6**`: those in bold are missed."""
    found = (error.median_ape_pct, error.p90_ape_pct)
    return " / ".join(f"**{aim:g}**" if value > aim else f"{aim:g}" for value, aim in zip(found, goal) if aim is not None)


def ratio_error(error: RatioError) -> Error:
    return Error(error.median_ape_pct, error.p90_ape_pct, 0.0, error.n)


def ratio_goal(error: RatioError, kind: str) -> str:
    """`10, always right`: those in bold are missed. Without a pair whose measurement moved, nothing is known of the direction."""
    goal = read_goals().ratios.get(kind)
    if goal is None:
        return ""
    right = error.right_direction
    always = "**always right**" if right is not None and right < 1 else "always right"
    shown = " (none moved)" if right is None else f" ({pct(100 * right)} %)" if right < 1 else ""
    return f"{goal_text(ratio_error(error), goal)}, {always}{shown}"


def read_cross_validations(files: Sequence[Path]) -> CrossValidations:
    """By the name of the file, of which the ending is left out that `seatrial fit engine` gives it."""
    found: dict[str, CrossValidation] = {}
    for file in files:
        name = file.name.removesuffix(".json").removesuffix(".cross_validation")
        if name in found:
            raise PointsError(f"--cross-validation {file}: there is one of the name {name} already; give each file a name of its own")
        found[name] = read_cross_validation(file)
    return found


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
        raise PointsError(f"--cross-validation {file} cannot be read ({in_words(problem)}); {form}") from None
    except (AttributeError, TypeError):
        raise PointsError(f"--cross-validation {file} is JSON of another form; {form}") from None


def checked(error: Error) -> Error:
    if not all(isinstance(value, int | float) and isfinite(value) for value in error):
        raise TypeError("a number is missing")
    return error
