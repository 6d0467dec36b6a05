"""docs/accuracy.md: how near the predictions are, as a page of Markdown with its pictures beside it, made from a validation alone."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from seatrial.core.errors import PointsError, in_words
from seatrial.fit.beside_curves import OperatorValidation
from seatrial.report.accuracy_goals import CrossValidations, summary
from seatrial.report.accuracy_limits import assumptions, by_provenance, skipped, where_it_is_bad
from seatrial.report.accuracy_pictures import write_pictures
from seatrial.report.accuracy_sections import overloaded, section
from seatrial.report.accuracy_tables import cross_validated, peers, ratios, steps, timed
from seatrial.report.markdown import Lines, paragraph
from seatrial.validate.ratios import ratio_errors
from seatrial.validate.sections import by_section
from seatrial.validate.validation import Validation


def write_page(
    validation: Validation, file: Path, *, command: str, fits: CrossValidations, kernels: OperatorValidation | None = None
) -> list[Path]:
    """Write the page, and its pictures into a folder beside it that is called like it. Gives all files that were written.

    `command` is what the page says it was made by.
    What a person has to say about the figures is taken from a page beside it, accuracy_notes.md for accuracy.md, if there is one.
    """
    notes = file.with_name(f"{file.stem}_notes.md")
    folder = open_folder(file)
    with writing(file):
        told = notes.read_text(encoding="utf-8").strip() if notes.is_file() else ""
        pictures = dict(write_pictures(validation, folder))
        file.write_text("\n".join(page(validation, kernels, pictures, fits, told, command)) + "\n", encoding="utf-8")
    return [file, *(file.parent / name for name in pictures.values())]


def open_folder(file: Path) -> Path:
    """Where the pictures of the page `file` lie, there if it was not; whoever asks before all is simulated is refused in time."""
    folder = file.with_suffix("")
    with writing(file):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise PointsError(f"--page {file} cannot be written ({in_words(problem)}); give another place") from None


def page(
    validation: Validation,
    kernels: OperatorValidation | None,
    pictures: Mapping[str, str],
    fits: CrossValidations,
    notes: str,
    command: str,
) -> Lines:
    judged, changes = by_section(validation.points), ratio_errors(validation.changes())
    yield "# Accuracy: predictions beside measurements"
    yield from paragraph(
        INTRODUCTION.format(
            command=command, points=validation.num_points, simulated=len(validation.points), skipped=len(validation.skipped)
        )
    )
    yield from summary(judged, validation.overloaded(), validation.steps, changes, fits)
    yield from method()
    for one in judged:
        yield from section(one, pictures)
    yield from overloaded(validation.overloaded())
    if validation.steps is not None:
        yield from steps(validation.steps, pictures)
    if kernels is not None:
        yield from timed(kernels)
    yield from ratios(changes, pictures)
    for name, left_out in fits.items():
        yield from cross_validated(name, left_out)
    yield from peers(validation)
    yield from by_provenance(validation.points)
    yield from where_it_is_bad(judged)
    yield from skipped(validation)
    yield from assumptions(validation)
    if notes:
        yield from ("", notes)


INTRODUCTION = """
This page is written by `{command}`; only its last part, if any, is a person's.
{points:,} measured points were given: {simulated:,} are simulated, {skipped:,} skipped for reasons that stand below.
Errors are percentages of what was measured: the median and the 90th percentile of their size over points, and the signed median
(above 0: too much is predicted). A goal in bold is missed.
"""

METHOD = """
Each point is simulated with its own settings and its own traffic: recorded arrivals where there are any, else as many requests of the same
structure. The scheduler, the KV cache and the prefix cache are the engine's, exactly. The time of a step is the sum of its operators, from
curves fitted to operators timed one by one, and of the engine's own overheads, fitted to serving runs: few numbers per engine, none per
model. So there are three kinds of figures: those of points to which the engine's constants were fitted (most tables here), those of models
and accelerators that such a fit left out (cross-validation, where it is given), and step times, which know nothing of queues.
[validate.md](validate.md) says how a point is read, what is assumed where a source is silent, and how to do the same with measurements of
your own; [cost.md](cost.md) has the formulas.
"""


def method() -> Lines:
    yield from ("", "## Method")
    yield from paragraph(METHOD)
