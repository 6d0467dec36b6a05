"""The accuracy page's other evidence: single steps, kernels, ratios, what fits left out, and other simulators."""

from collections.abc import Mapping

from seatrial.fit.beside_curves import ALL, OperatorValidation
from seatrial.report.accuracy_goals import CrossValidation, Ratios, goal_text, ratio_goal
from seatrial.report.accuracy_limits import reasons
from seatrial.report.markdown import Lines, paragraph, table
from seatrial.report.percent import both, pct, signed
from seatrial.validate.point import METRICS
from seatrial.validate.ratios import NOISE, RatioError
from seatrial.validate.sections import read_goals
from seatrial.validate.steps import StepValidation
from seatrial.validate.validation import Validation


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
