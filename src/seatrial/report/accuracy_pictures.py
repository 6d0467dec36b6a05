"""The pictures of the accuracy page: predicted against measured, by accelerator, system or kind of change."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from seatrial.report.parity_plot import MOST_GROUPS, Panel, write_panels
from seatrial.report.percent import both
from seatrial.validate.accuracy import Pair
from seatrial.validate.ratios import Change
from seatrial.validate.sections import Judged, by_section
from seatrial.validate.steps import StepValidation, system_text
from seatrial.validate.validation import Validation


def write_pictures(validation: Validation, folder: Path) -> Iterator[tuple[str, str]]:
    """Each by the name of its section, with its place as the page sees it."""
    for one in by_section(validation.points):
        if panels := list(section_panels(one)):
            yield picture(folder, one.section.name, panels)
    if validation.steps is not None and (panels := list(step_panels(validation.steps))):
        yield picture(folder, "steps", panels)
    if panels := list(ratio_panels(validation.changes())):
        yield picture(folder, "ratios", panels)


def picture(folder: Path, name: str, panels: Sequence[Panel]) -> tuple[str, str]:
    write_panels(folder / f"{name}.png", panels, size=4.2, dpi=90)
    return name, f"{folder.name}/{name}.png"


def section_panels(one: Judged) -> Iterator[Panel]:
    """Of the first two metrics that have goals, or simply the first two."""
    found = one.errors
    for metric in [*(m for m in found if m in one.section.goals), *(m for m in found if m not in one.section.goals)][:2]:
        groups: dict[str, list[Pair]] = {}
        for compared in one.points:
            pair = compared.pairs.get(metric)
            if pair is not None and min(pair) > 0:
                groups.setdefault(compared.system.pool.accelerator, []).append(pair)
        if groups:
            unit = "" if metric.endswith("_per_s") else " (s)"
            yield Panel(f"{metric}: {both(found[metric])} %", metric + unit, most_frequent(groups))


def step_panels(found: StepValidation) -> Iterator[Panel]:
    """One for each engine."""
    for engine, error in found.groups()["engine"].items():
        groups: dict[str, list[Pair]] = {}
        for compared in found.steps:
            if compared.system.engine == engine:
                groups.setdefault(system_text(compared.system), []).append(compared.step_time)
        yield Panel(f"{engine}: {both(error)} %", "step time (s)", most_frequent(groups))


def ratio_panels(found: Sequence[Change]) -> Iterator[Panel]:
    for metric in ("tpot_mean", "ttft_mean"):
        groups: dict[str, list[Pair]] = {}
        for change in found:
            if change.metric == metric:
                groups.setdefault(change.kind, []).append(Pair(change.predicted, change.actual))
        if groups:
            yield Panel(f"{metric}: ratios", "ratio", most_frequent(groups))


def most_frequent(groups: Mapping[str, Sequence[Pair]]) -> dict[str, Sequence[Pair]]:
    """As many as there are colours, the rest together."""
    order = sorted(groups, key=lambda name: (-len(groups[name]), name))
    if len(order) <= MOST_GROUPS:
        return {name: groups[name] for name in order}
    kept = {name: groups[name] for name in order[: MOST_GROUPS - 1]}
    return kept | {"others": [pair for name in order[MOST_GROUPS - 1 :] for pair in groups[name]]}
