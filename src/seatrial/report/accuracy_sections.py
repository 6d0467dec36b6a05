"""The accuracy page's kinds of points: each with its errors, whole and in groups, and the runs that were overloaded."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from seatrial.report.accuracy_goals import answered, goal_text
from seatrial.report.markdown import Lines, paragraph, table
from seatrial.report.percent import both, pct, signed
from seatrial.validate.accuracy import Error, Pair, errors
from seatrial.validate.compared import Compared
from seatrial.validate.sections import Judged, Section, read_goals
from seatrial.validate.validation import GROUPINGS, as_overloaded

ROWS_SHOWN = 15


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
