"""`seatrial validate`: measured points simulated as they were, and how far off the predictions are."""

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from seatrial.cli.flags import Json
from seatrial.cli.output import note, print_json, progress, show
from seatrial.cli.scenario_flags import Count, whole
from seatrial.core.errors import PointsError
from seatrial.fit.beside_curves import OperatorValidation, validate_operators
from seatrial.report.accuracy_goals import read_cross_validations
from seatrial.validate.directory import JOURNAL, opened, write_results
from seatrial.validate.experiment import Prepared, prepare
from seatrial.validate.names import read_names
from seatrial.validate.peers import read_peers
from seatrial.validate.points import read_csv, read_points, unknown_columns
from seatrial.validate.predict import Prediction
from seatrial.validate.steps import read_steps, validate_steps
from seatrial.validate.sweep import Journal, sweep
from seatrial.validate.validation import Validation, chosen, compare

Points = Annotated[Path | None, Parameter(help="a CSV file with a row per measured point; docs/validate.md has the columns")]
Steps = Annotated[Path | None, Parameter(help="a CSV file with a row per measured time of a single step, to compare without simulating")]
Requests = Annotated[Path | None, Parameter(help="a directory of recorded requests; without it, they are looked for beside the points")]
Predictions = Annotated[Path | None, Parameter(help="other simulators' predictions; without it, peer_predictions.csv beside the points")]
Mapping = Annotated[Path | None, Parameter(help="a YAML file that says what unknown accelerators and models are in the catalogue's words")]
Where = Annotated[
    tuple[str, ...],
    Parameter(help="COLUMN=VALUE[,VALUE]: only such points; * stands for anything; each further one narrows", show_default=False),
]
Out = Annotated[Path | None, Parameter(help="a directory for the tables and plots; what is finished in it is not run again")]
Page = Annotated[Path | None, Parameter(help="write all of it as a page of Markdown, with pictures in a folder beside it")]
Operators = Annotated[
    Path | None, Parameter(help="a directory of operator times (docs/cost.md has the columns), to compare with the shipped curves")
]
LeftOut = Annotated[
    tuple[Path, ...],
    Parameter(help="for --page: the JSON file that `fit engine` writes of what it left out; may be repeated", show_default=False),
]
Seed = Annotated[int, Parameter(converter=whole(0), help="seed of arrivals and lengths that are drawn")]
RESULTS = ("errors.csv", "points.parquet", "summary.json", "parity.png", "validation.html")


def validate(
    points: Points = None,
    /,
    *,
    steps: Steps = None,
    operators: Operators = None,
    requests: Requests = None,
    predictions: Predictions = None,
    mapping: Mapping = None,
    where: Where = (),
    limit: Annotated[int | None, Count, Parameter(help="only the first so many points")] = None,
    out: Out = None,
    page: Page = None,
    cross_validation: LeftOut = (),
    json: Json = False,
    jobs: Annotated[int | None, Count, Parameter(help="processes; without it, one for each core")] = None,
    seed: Seed = 0,
) -> None:
    if points is None and steps is None and operators is None:
        raise PointsError("there is nothing to validate; give a file of points, --steps FILE or --operators DIR, or several of them")
    if cross_validation and page is None:
        raise PointsError("--cross-validation is for the page; give --page FILE too")
    if page is not None:
        check_page(page, out)
    fits = read_cross_validations(cross_validation)
    if points is None and (where or limit is not None or requests is not None or predictions is not None):
        raise PointsError("--where, --limit, --requests and --predictions are about points; give a file of points too")
    names = read_names(mapping)
    measured_steps = read_steps(steps) if steps is not None else None
    kernels = compared_operators(operators) if operators is not None else None
    asked, prepared, peers = [], Prepared([], [], {}, {}), {}
    if points is not None:
        asked = chosen(read_points(points), where, limit)
        for column in unknown_columns(read_csv(points)[0]):
            note(f"{points} has a column {column!r} that nothing here reads")
        if requests is not None and not requests.is_dir():
            note(f"--requests {requests} is no directory; points with recorded requests are skipped")
        beside = points.parent / "peer_predictions.csv"
        peers_file = predictions if predictions is not None else beside if beside.is_file() else None
        prepared = prepare(asked, names=names, requests=places(points, requests), must_find=requests is not None, seed=seed)
        peers = read_peers(peers_file, asked) if peers_file is not None else {}
    with opened_page(page) if page is not None else nullcontext():
        folder, found = simulated(prepared, out, jobs or os.cpu_count() or 1)
    compared_steps = validate_steps(measured_steps, names=names) if measured_steps is not None else None
    validation = compare(asked, prepared, found, peers, compared_steps)
    written = write_files(validation, folder)
    if page is not None:
        from seatrial.report.accuracy_page import write_page  # draws, which others need not wait for

        given = {"steps": [steps], "operators": [operators], "cross-validation": cross_validation, "page": [page]}
        command = page_command(points, where, given)
        _, *pictures = write_page(validation, page, command=command, fits=fits, kernels=kernels)
        written.append(f"{page} is written, with {len(pictures)} pictures in {page.with_suffix('')}")
    if json:
        print_json({**validation.as_dict(), "operators": kernels and kernels.as_dict()})
        return
    from seatrial.report.validation_report import validation_report  # brings rich, which --json need not wait for

    show(validation_report(validation, kernels))
    for sentence in written:
        note(sentence)


def check_page(page: Path, out: Path | None) -> None:
    if page.suffix != ".md":
        raise PointsError(f"--page cannot be {page}; a page is Markdown, so give a name that ends in .md")
    if out is not None and out.resolve() in page.resolve().parents:
        raise PointsError(f"--page {page} lies in --out {out}, where nothing but the results may be; give a place beside it")


@contextmanager
def opened_page(page: Path) -> Iterator[None]:
    """Its folder is there, before anything is simulated. After an exception nothing is left of that, if it is new."""
    from seatrial.report.accuracy_page import open_folder  # draws, which others need not wait for

    folder = page.with_suffix("")
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    open_folder(page)
    try:
        yield
    except BaseException:
        for each in new:
            each.rmdir()
        raise


def page_command(points: Path | None, where: Where, given: dict[str, Sequence[Path | None]]) -> str:
    """What the page says it was made by, without folders, which are elsewhere for everyone."""
    words = ["seatrial validate", *([points.name] if points is not None else []), *(f"--where {shlex.quote(each)}" for each in where)]
    words += [f"--{flag} {shlex.quote(file.name)}" for flag, files in given.items() for file in files if file is not None]
    return " ".join(words)


def simulated(prepared: Prepared, out: Path | None, jobs: int) -> tuple[Path | None, dict[str, Prediction]]:
    """The directory for the results, if there is to be one, and the predictions: what is finished in that is not run again."""
    with ExitStack() as stack:
        folder = opened(out) if out is not None else None
        journal = stack.enter_context(closing(Journal(folder / JOURNAL))) if folder is not None else None
        bar = stack.enter_context(progress("simulating", sum(experiment.effort for experiment in prepared.experiments)))
        try:
            found = sweep(prepared.experiments, jobs=jobs, journal=journal, progress=bar)
        except KeyboardInterrupt as interrupt:  # Ctrl-C or SIGTERM, as the type says
            raise type(interrupt)(interrupted(journal, len(prepared.experiments))) from None
    return folder, found


def compared_operators(directory: Path) -> OperatorValidation:
    with progress("comparing operators", 1.0) as done:
        found = validate_operators(directory, done)
    for sentence in found.notes:
        note(sentence)
    return found


def write_files(validation: Validation, folder: Path | None) -> list[str]:
    """The directory of `--out`, if there is one; a sentence on it."""
    if folder is None:
        return []
    from seatrial.report.parity import write_html, write_png  # draws, which others need not wait for

    write_results(folder, validation)
    write_png(validation, folder / "parity.png")
    write_html(validation, folder / "validation.html")
    written = [name for name in RESULTS if (folder / name).is_file()]
    return [f"{folder} has {', '.join(written[:-1])} and {written[-1]}"]


def places(points: Path, requests: Path | None) -> list[Path]:
    """Where a requests file may lie: in the directory that is given or else beside the points, or where its own path leads from there."""
    if requests is not None:
        return [requests, requests.parent, requests.parent.parent, requests.parent / "traces", requests.parent.parent / "traces"]
    return [points.parent, points.parent / "requests", points.parent.parent, points.parent.parent / "traces"]


def interrupted(journal: Journal | None, num_experiments: int) -> str:
    if journal is None:
        return "interrupted; without --out DIR nothing is kept, with it the same command goes on where it was"
    return f"interrupted with {len(journal.predictions):,} of {num_experiments:,} runs finished; the same command goes on from there"
