"""docs/accuracy.md: how near the predictions are, as a page of Markdown with its pictures beside it, made from a validation alone."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from seatrial.core.curves import PROVENANCES
from seatrial.core.errors import PointsError
from seatrial.fit.beside_curves import ALL, OperatorValidation
from seatrial.report.accuracy_goals import CrossValidation, CrossValidations, Ratios, answered, goal_text, ratio_goal, summary
from seatrial.report.accuracy_pictures import write_pictures
from seatrial.report.markdown import Lines, both, paragraph, pct, signed, table
from seatrial.validate.accuracy import Error, Pair, errors
from seatrial.validate.compared import Compared
from seatrial.validate.point import METRICS
from seatrial.validate.ratios import NOISE, RatioError, ratio_errors
from seatrial.validate.sections import Judged, Section, by_section, read_goals
from seatrial.validate.steps import StepValidation
from seatrial.validate.validation import GROUPINGS, Validation, as_overloaded

ROWS_SHOWN = 15
REASONS_SHOWN = 15
WORST_SHOWN = 10
LEAST_IN_GROUP = 5  # points; fewer make no group that could be called bad


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
        raise PointsError(f"--page {file} cannot be written ({problem}); give another place") from None


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


# Sections


def section(one: Judged, pictures: Mapping[str, str]) -> Lines:
    about = one.section
    yield from ("", f"## {about.title}")
    yield from paragraph(f"{about.what} {len(one.points):,} points.")
    rows = [
        [metric, f"{e.n:,}", pct(e.median_ape_pct), pct(e.p90_ape_pct), signed(e.median_signed_pct), goal_of(about, metric, e)]
        for metric, e in one.errors.items()
    ]
    yield ""
    yield from table(["metric", "points", "median %", "p90 %", "signed %", "goal"], rows)
    if about.each:
        yield from point_by_point(one)
    for grouping in about.by:
        yield from group_table(one, grouping)
    if name := pictures.get(about.name):
        yield from ("", f"![{about.title}: predicted against measured]({name})")


def goal_of(about: Section, metric: str, error: Error) -> str:
    return goal_text(error, about.goals[metric]) if metric in about.goals else ""


def point_by_point(one: Judged) -> Lines:
    """A row for each point, with its signed errors; those beyond what is aimed at in bold."""
    aims = one.section.each
    rows = []
    for compared in one.points:
        cells = [
            signed_cell(compared.pairs[metric], aims.get(metric)) if metric in compared.pairs else "" for metric in one.section.metrics
        ]
        rows.append([compared.point.point_id, *cells])
    said = ", ".join(f"{metric} within {aim:g} %" for metric, aim in aims.items())
    yield from ("", f"Each point, signed error in per cent; aimed at is {said}.", "")
    yield from table(["point", *one.section.metrics], rows)


def signed_cell(pair: Pair, aim: float | None) -> str:
    if not pair.actual:
        return ""
    text = signed(pair.signed_pct)
    return f"**{text}**" if aim is not None and pair.ape_pct > aim else text


def group_table(one: Judged, grouping: str) -> Lines:
    """Those with the most points first."""
    key = key_of(grouping)
    values = Counter(key(compared) for compared in one.points)
    if len(values) < 2:
        return
    order = sorted(values, key=lambda value: (-values[value], value))
    rows = []
    for value in order[:ROWS_SHOWN]:
        found = errors(c.pairs for c in one.points if key(c) == value)
        rows.append([value, f"{values[value]:,}", *(both(found.get(metric)) for metric in one.errors)])
    yield ""
    yield from table([f"by {grouping}", "points", *one.errors], rows)
    if len(order) > ROWS_SHOWN:
        yield from ("", f"And {len(order) - ROWS_SHOWN} more, with {sum(values[value] for value in order[ROWS_SHOWN:]):,} points.")


def key_of(grouping: str) -> Callable[[Compared], str]:
    if grouping == "stage":
        return lambda compared: compared.point.stage
    return GROUPINGS[grouping]


# Requests that were given up


def overloaded(points: Sequence[Compared]) -> Lines:
    if not points:
        return
    yield from ("", "## Overloaded runs: requests answered in time")
    aim = read_goals().overloaded["num_completed"]
    yield from paragraph(f"Where the client gave up on requests, how many it had answers to; aimed at is a difference of {aim:g} %.")
    rows = []
    for compared in points:
        row, pair = as_overloaded(compared), answered(compared)
        rows.append([row["point_id"], f"{row['num_requests']:,}", f"{pair.actual:,}", f"{pair.predicted:,}", signed_cell(pair, aim)])
    yield ""
    yield from table(["run", "sent", "answered", "predicted", "signed %"], rows)


# Steps


def steps(found: StepValidation, pictures: Mapping[str, str]) -> Lines:
    yield from ("", "## Step times")
    yield from paragraph(
        f"{len(found.steps):,} measured times of single steps, of prompts, of decodes, or of both (mixed), beside what the cost says of the"
        " same batch; nothing is simulated. Engines that have no profile of their own stand apart."
        f" {len(found.skipped):,} steps are skipped."
    )
    rows = [
        [value, f"{e.n:,}", pct(e.median_ape_pct), pct(e.p90_ape_pct), signed(e.median_signed_pct)]
        for grouping in ("engine", "system")
        for value, e in found.groups()[grouping].items()
    ]
    yield ""
    yield from table(["engine; system and phase", "steps", "median %", "p90 %", "signed %"], rows)
    yield from reasons(skip.reason for skip in found.skipped)
    if name := pictures.get("steps"):
        yield from ("", f"![Step times: predicted against measured]({name})")


# Kernels


def timed(kernels: OperatorValidation) -> Lines:
    backends = ", ".join(dict.fromkeys(each.backend for each in kernels.operators))
    yield from ("", "## Kernels timed by themselves")
    yield from paragraph(
        f"Kernels timed one by one ({backends}) beside the curves that an estimate would take: the curve alone, without the engine's own"
        " numbers. In classes by how long the kernel took."
    )
    rows = []
    for each in kernels.operators:
        name = f"{each.cell.name} on {each.cell.accelerator.name}"
        for length, e in each.errors.items():
            rows.append([name if length == ALL else "", length, f"{e.n:,}", both(e), signed(e.median_signed_pct)])
    yield ""
    yield from table(["operator", "took", "times", "median / p90 %", "signed %"], rows, words=2)


# Ratios


def ratios(found: Ratios, pictures: Mapping[str, str]) -> Lines:
    if not found:
        return
    yield from ("", "## What a change of configuration does")
    yield from paragraph(
        "Pairs of points that differ in exactly one thing, neighbours in its value (of accelerators, all pairs): the ratio of the two"
        " predictions beside that of the two measurements. The direction counts where the measured change is more than"
        f" {100 * NOISE:g} %. Parts of runs, saturated points and those of trust C are left out."
    )
    rows = [
        [kind, metric, f"{e.n:,}", pct(e.median_ape_pct), pct(e.p90_ape_pct), direction(e), ratio_goal(e, kind)]
        for kind, of in found.items()
        for metric, e in of.items()
    ]
    yield ""
    yield from table(["change", "metric", "pairs", "median %", "p90 %", "right direction", "goal"], rows, words=2)
    if name := pictures.get("ratios"):
        yield from ("", f"![Ratios: predicted against measured]({name})")


def direction(error: RatioError) -> str:
    return "" if error.right_direction is None else f"{pct(100 * error.right_direction)} % of {error.num_directed:,}"


# Cross-validation


def cross_validated(name: str, left_out: CrossValidation) -> Lines:
    """Of the fit `name`. Where there was one model, or accelerator, alone, none could be left out."""
    for what, values in left_out.items():
        metrics = [metric for metric in METRICS if any(metric in found for found in values.values())]
        if not metrics:
            continue
        yield from ("", f"## Leaving one {what} out: {name}")
        yield from paragraph(
            f"Every {what} predicted with constants fitted without it (two Gauss-Newton steps from the fit to all):"
            " what one that nobody measured may meet. Median / p90 %."
        )
        yield ""
        rows = [[value, *(both(found.get(metric)) for metric in metrics)] for value, found in values.items()]
        if (aims := read_goals().left_out.get(name, {}).get(what)) and "all" in values:
            rows.insert(1, ["*goal*", *(goal_text(values["all"][m], aims[m]) if m in aims and m in values["all"] else "" for m in metrics)])
        yield from table([what, *metrics], rows)


# Beside others


def peers(validation: Validation) -> Lines:
    beside = validation.beside_peers()
    if not beside:
        return
    yield from ("", "## Other simulators on the same points")
    yield from paragraph("Their published predictions, and ours on the very same figures: median / p90 %.")
    rows = [
        [simulator, metric, f"{error.n:,}", both(error), both(ours.get(metric))]
        for simulator, theirs, ours in beside
        for metric, error in theirs.items()
    ]
    yield ""
    yield from table(["simulator", "metric", "figures", "theirs", "ours"], rows, words=2)


# Limits


def by_provenance(points: Sequence[Compared]) -> Lines:
    groups = {name: [c.pairs for c in points if GROUPINGS["provenance"](c) == name] for name in PROVENANCES}
    found = {name: (len(pairs), errors(pairs)) for name, pairs in groups.items() if pairs}
    metrics = [metric for metric in ("ttft_mean", "tpot_mean", "output_tokens_per_s") if any(metric in of for _, of in found.values())]
    if not metrics:
        return
    yield from ("", "## By how the times of steps are known")
    yield from paragraph(
        "The least sure provenance of the kernels that make up a tenth of a run's steps or more, from the surest on; median / p90 %."
        " The error bars that go with it are those of kernels ([cost.md](cost.md)): the error of a run holds that of the engine, of the"
        " traffic, and the source's own as well."
    )
    yield ""
    rows = [[name, f"{count:,}", *(both(of.get(metric)) for metric in metrics)] for name, (count, of) in found.items()]
    yield from table(["provenance", "points", *metrics], rows)


def where_it_is_bad(judged: Sequence[Judged]) -> Lines:
    rows: list[tuple[float, list[str]]] = []
    for one in judged:
        if one.section.again:
            continue
        for value, group in model_on_gpu(one.points).items():
            found = errors(compared.pairs for compared in group)
            metric = next((metric for metric in ("tpot_mean", "output_tokens_per_s") if metric in found), None)
            if metric is not None and len(group) >= LEAST_IN_GROUP:
                error = found[metric]
                cells = [one.section.name, value, f"{error.n:,}", metric, both(error), signed(error.median_signed_pct)]
                rows.append((error.median_ape_pct, cells))
    if not rows:
        return
    rows.sort(key=lambda row: (-row[0], row[1]))
    yield from ("", "## Where it is bad")
    yield from paragraph(
        f"The groups of one engine, model and accelerator with the largest median error, of those with {LEAST_IN_GROUP} points or more."
    )
    heads = ["section", "engine, model, accelerator", "points", "metric", "median / p90 %", "signed %"]
    yield ""
    yield from table(heads, [cells for _, cells in rows[:WORST_SHOWN]], words=2)


def model_on_gpu(points: Iterable[Compared]) -> dict[str, list[Compared]]:
    groups: dict[str, list[Compared]] = {}
    for compared in points:
        value = f"{compared.system.engine}, {compared.system.model_text}, {compared.system.pool.accelerator}"
        groups.setdefault(value, []).append(compared)
    return groups


def skipped(validation: Validation) -> Lines:
    if not validation.skipped:
        return
    yield from ("", "## What is not simulated")
    yield from paragraph(f"{len(validation.skipped):,} points are skipped:")
    yield from reasons(skip.reason for skip in validation.skipped)


def reasons(given: Iterable[str]) -> Lines:
    """The most frequent first; those that name a point's own figures are many, and rare."""
    counts = sorted(Counter(given).items(), key=lambda entry: (-entry[1], entry[0]))
    if counts:
        yield ""
    for reason, count in counts[:REASONS_SHOWN]:
        yield f"- {count:,}: {reason}"
    if rest := counts[REASONS_SHOWN:]:
        yield f"- {sum(count for _, count in rest):,}: {len(rest)} other reasons"


def assumptions(validation: Validation) -> Lines:
    if validation.assumed:
        yield from ("", "## Assumed where a source is silent")
        yield from paragraph("[validate.md](validate.md#what-is-assumed) says what and why; of how many points:")
        yield from ("", ", ".join(f"{name} ({count:,})" for name, count in validation.assumed.items()))
