"""`seatrial fit engine`: an engine profile from measured runs."""

import json as json_text
import os
from collections.abc import Callable, Sequence
from math import expm1
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from seatrial.catalog import load_accelerator, load_engine
from seatrial.cli.fit_flags import Date, dated
from seatrial.cli.flags import Json
from seatrial.cli.output import note, print_json, progress, show
from seatrial.cli.scenario_flags import Count, whole
from seatrial.cli.validate import Mapping, Requests, Seed, Steps, Where, places
from seatrial.core.errors import FitError
from seatrial.fit.cross_validation import CrossValidation, cross_validate, left_out_names
from seatrial.fit.engine import MOSTLY_BELIEVED, UNTOLD, EngineFit, fit_engine, runs
from seatrial.fit.engine_file import as_plain, check_writable, write_engine, writing
from seatrial.fit.knobs import Knob, knobs_for, start_values
from seatrial.fit.rows import SPREADS, STEP, Row
from seatrial.fit.toml import write_whole
from seatrial.validate.accuracy import error_of
from seatrial.validate.experiment import prepare
from seatrial.validate.names import read_names
from seatrial.validate.points import read_points
from seatrial.validate.steps import read_steps
from seatrial.validate.validation import chosen


def engine(
    points: Annotated[Path, Parameter(help="a CSV file with a row per measured point; docs/validate.md has the columns")],
    /,
    *,
    base: Annotated[str, Parameter(help="the profile to begin from: what is not fitted is taken from it")] = "vllm",
    steps: Steps = None,
    requests: Requests = None,
    mapping: Mapping = None,
    where: Where = (),
    fit: Annotated[
        tuple[str, ...], Parameter(help="only these numbers, like gemm_scale; without it, all that runs can tell", show_default=False)
    ] = (),
    rounds: Annotated[
        int, Parameter(converter=whole(2), help="how often all runs are simulated: first with the base's numbers, then after each step")
    ] = 6,
    out: Annotated[Path | None, Parameter(help="write the profile here, a .toml file; beside it, its cross-validation as .json")] = None,
    source: Annotated[str | None, Parameter(help="who measured, as the profile will say; without it, the name of the points file")] = None,
    date: Date = None,
    jobs: Annotated[int | None, Count, Parameter(help="processes; without it, one for each core")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    when = dated(date)
    if out is not None and out.suffix != ".toml":
        raise FitError(f"--out cannot be {out}; a profile is a .toml file, like mine.toml")
    if base.endswith(".toml"):
        raise FitError(f"--base cannot be {base}; give a profile that ships (see catalog engines), whose name the new file can say")
    if out is not None:
        check_writable(out)
    named = load_engine(base).name
    asked = chosen(read_points(points), where, None)
    prepared = prepare(asked, names=read_names(mapping), requests=places(points, requests), must_find=requests is not None, seed=seed)
    for name, count in counted([skipped.reason for skipped in prepared.skipped]).items():
        note(f"{count} points are left out: {name}")
    if zeros := sum(point.measured.get(metric, 1) <= 0 for point in asked for metric in SPREADS if point.point_id in prepared.systems):
        note(f"{zeros} measured figures are left out: they are not above 0")
    if not prepared.experiments:
        raise FitError(f"none of the {len(asked)} points of {points} can be simulated; `seatrial validate` says why of each")
    accelerators = {experiment.system.pool.accelerator for experiment in prepared.experiments}
    architectures = sorted({load_accelerator(name).architecture for name in accelerators})
    knobs = knobs_for(architectures, fit or None)
    start = start_values(knobs, {architecture: load_engine(base, architecture) for architecture in architectures})
    effort = sum(experiment.effort for experiment in prepared.experiments)
    known_steps = read_steps(steps) if steps is not None else []
    with runs(prepared.experiments, asked, knobs, base, steps=known_steps, jobs=jobs or os.cpu_count() or 1) as measured:
        with progress("fitting", effort * rounds) as bar:
            found = fit_engine(measured, start, rounds, adding(bar), all_knobs=bool(fit))
        num_left_out = sum(map(len, left_out_names(found.rows).values()))
        with progress("leaving out", effort * num_left_out) as bar:
            validation = cross_validate(found, measured, adding(bar))
    for point_id, reason in found.failed.items():
        note(f"{point_id} is left out: {reason}")
    if found.untold:
        note(f"not told by these runs, left as in {named}: {names_of(found.untold)}")
    if fit and (untold := found.believed(UNTOLD)):
        note(f"hardly told by these runs, but asked for, so these are about what is common among engines: {names_of(untold)}")
    figures = {"base": named, **as_dict(found, validation)}
    if out is not None:
        written = source or f"measured runs in {points.name}"
        write_engine(found, load_engine(base), out, written, when)
        beside = out.with_suffix(".cross_validation.json")
        with writing(beside):
            write_whole(beside, json_text.dumps(figures["left_out"], indent=2) + "\n")
        note(f"the profile is {out}, its cross-validation {beside}")
    if json:
        print_json(figures)
        return
    from seatrial.report.engine_fit_report import engine_fit_report  # brings rich, which --json need not wait for

    show(named, *engine_fit_report(figures))


def adding(bar: Callable[[float], None]) -> Callable[[float], None]:
    """Progress that is told what was done since, for a bar that wants all that was done."""
    done = 0.0

    def add(effort: float) -> None:
        nonlocal done
        done += effort
        bar(done)

    return add


def names_of(knobs: Sequence[Knob]) -> str:
    return ", ".join(knob.place for knob in knobs)


def counted(words: list[str]) -> dict[str, int]:
    return {word: words.count(word) for word in sorted(set(words))}


def as_dict(fit: EngineFit, validation: CrossValidation) -> dict[str, object]:
    return {
        "values": as_plain(fit.values),
        "standard_errors_pct": {place: 100 * error for place, error in as_plain(fit.spreads).items()},
        "mostly_believed": [knob.place for knob in fit.believed(MOSTLY_BELIEVED)],
        "untold": [knob.place for knob in fit.untold],
        "num_points": len({row.point_id for row in fit.rows if row.metric != STEP}),
        "steps": {row.point_id: 100 * expm1(row.error) for row in fit.rows if row.metric == STEP},
        "failed": fit.failed,
        "in_sample": errors([row for row in fit.rows if row.metric != STEP]),
        "left_out": {
            what: {"all": errors(validation.of(what)), **{name: errors(rows) for name, rows in groups.items()}}
            for what, groups in validation.rows.items()
        },
    }


def errors(rows: list[Row]) -> dict[str, dict[str, float]]:
    """By metric, as `seatrial validate` says them."""
    metrics = sorted({row.metric for row in rows})
    return {m: error_of(100 * expm1(row.error) for row in rows if row.metric == m)._asdict() for m in metrics}
