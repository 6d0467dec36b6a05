"""A validation: points, what was predicted for them, and how far off that is."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from seatrial.core.errors import PointsError, nearest
from seatrial.validate.accuracy import Error, Pair, Pairs, errors
from seatrial.validate.assumptions import texts
from seatrial.validate.compared import Compared
from seatrial.validate.experiment import Prepared, Skipped
from seatrial.validate.peers import Peers
from seatrial.validate.point import METRICS, NUMBERS, TEXTS, Point, number
from seatrial.validate.predict import Prediction
from seatrial.validate.ratios import Change, changes
from seatrial.validate.ratios import as_plain as plain_ratios
from seatrial.validate.steps import StepValidation
from seatrial.version import __version__


@dataclass(frozen=True, slots=True)
class Validation:
    points: Sequence[Compared]
    skipped: Sequence[Skipped]
    assumed: Mapping[str, int]
    peers: Peers
    steps: StepValidation | None = None

    @property
    def num_points(self) -> int:
        return len(self.points) + len(self.skipped)

    @property
    def errors(self) -> dict[str, Error]:
        return errors(compared.pairs for compared in self.points)

    def groups(self) -> dict[str, dict[str, dict[str, Error]]]:
        """The errors of the points that are alike in something: grouping -> value -> metric."""
        return {name: grouped(self.points, key) for name, key in GROUPINGS.items()}

    def changes(self) -> list[Change]:
        """What changes of configuration do, predicted against measured."""
        return changes(self.points)

    def overloaded(self) -> list[Compared]:
        """The points of which the client gave up on requests, and it is known on how many."""
        return [c for c in self.points if c.point.n_fail and c.num_completed[1] is not None and c.point.stage in ("", "summary")]

    def as_dict(self) -> dict[str, Any]:  # Any: as nested as JSON is
        """Ready for `json.dumps`: `summary.json` holds it, and `--json` prints it with the operators, if any. Times are in seconds."""
        why = texts()
        return {
            "num_points": self.num_points,
            "num_simulated": len(self.points),
            "skipped": [skipped._asdict() for skipped in self.skipped],
            "errors": as_plain(self.errors),
            "points": [as_row(compared) for compared in self.points],
            "groups": {name: {value: as_plain(found) for value, found in of.items()} for name, of in self.groups().items()},
            "ratios": plain_ratios(self.changes()),
            "overloaded": [as_overloaded(compared) for compared in self.overloaded()],
            "steps": self.steps and self.steps.as_dict(),
            "assumptions": {name: {"why": why.get(name, ""), "num_points": count} for name, count in self.assumed.items()},
            "peers": {name: {"errors": as_plain(theirs), "ours": as_plain(ours)} for name, theirs, ours in self.beside_peers()},
            "seatrial_version": __version__,
        }

    def beside_peers(self) -> list[tuple[str, dict[str, Error], dict[str, Error]]]:
        """Each other simulator's errors, and ours on the very figures that it predicts."""
        ours = {compared.point.point_id: compared.pairs for compared in self.points}
        found = []
        for simulator, theirs in sorted(self.peers.items()):
            both = {point_id: theirs[point_id].keys() & ours[point_id].keys() for point_id in theirs if point_id in ours}
            if any(both.values()):
                of_theirs = errors({m: theirs[p][m] for m in metrics} for p, metrics in both.items())
                found.append((simulator, of_theirs, errors({m: ours[p][m] for m in metrics} for p, metrics in both.items())))
        return found


GROUPINGS: Mapping[str, Callable[[Compared], str]] = {
    "gpu": lambda compared: compared.system.pool.accelerator,
    "model": lambda compared: compared.system.model_text,
    "engine": lambda compared: compared.system.engine,
    "workload": lambda compared: compared.point.workload or "unstated",
    "trust": lambda compared: compared.point.trust or "unstated",
    "kind": lambda compared: compared.point.kind or "unstated",
    "source": lambda compared: compared.point.source or "unstated",
    "provenance": lambda compared: compared.provenance,
    "saturated": lambda compared: compared.point.saturated or "unstated",
}


def grouped(points: Sequence[Compared], key: Callable[[Compared], str]) -> dict[str, dict[str, Error]]:
    """By value, those with the most points first."""
    groups: dict[str, list[Pairs]] = defaultdict(list)
    for compared in points:
        groups[key(compared)].append(compared.pairs)
    return {value: errors(groups[value]) for value in sorted(groups, key=lambda value: (-len(groups[value]), value))}


def compare(
    points: Sequence[Point],
    prepared: Prepared,
    predictions: Mapping[str, Prediction],
    peers: Peers,
    steps: StepValidation | None = None,
) -> Validation:
    """Put predictions beside what was measured, in the order of the points."""
    reasons = {skipped.point_id: skipped.reason for skipped in prepared.skipped}
    found: list[Compared] = []
    for point in points:
        if point.point_id in reasons:
            continue
        prediction = predictions[point.point_id]
        pairs = {m: Pair(prediction.figures[m], point.measured[m]) for m in METRICS if m in prediction.figures and m in point.measured}
        if prediction.reason or not pairs:
            reasons[point.point_id] = prediction.reason or "the simulated run has none of its measured figures"
            continue
        completed = (prediction.num_completed, None if point.n_ok is None else int(point.n_ok))
        found.append(Compared(point, prepared.systems[point.point_id], pairs, completed, prediction.provenance))
    skipped = [Skipped(point.point_id, reasons[point.point_id]) for point in points if point.point_id in reasons]
    used = Counter(name for compared in found for name in prepared.assumed[compared.point.point_id])
    return Validation(found, skipped, dict(used.most_common()), peers, steps)


def as_plain(found: Mapping[str, Error]) -> dict[str, dict[str, float]]:
    return {metric: error._asdict() for metric, error in found.items()}


def as_row(compared: Compared) -> dict[str, Any]:
    ours, theirs = compared.num_completed
    return {
        "point_id": compared.point.point_id,
        "metrics": {metric: pair._asdict() for metric, pair in compared.pairs.items()},
        "num_completed": {"predicted": ours, "actual": theirs},
        **{name: key(compared) for name, key in GROUPINGS.items()},
    }


def as_overloaded(compared: Compared) -> dict[str, Any]:
    ours, theirs = compared.num_completed
    sent = int((compared.point.n_ok or 0) + (compared.point.n_fail or 0))
    return {"point_id": compared.point.point_id, "num_requests": sent, "num_completed": {"predicted": ours, "actual": theirs}}


# Which points


def chosen(points: Sequence[Point], where: Sequence[str], limit: int | None) -> list[Point]:
    """The first `limit` of those that fit every `COLUMN=VALUE[,VALUE]`; a value may have `*`, and case does not matter."""
    for text in where:
        column, equals, values = text.partition("=")
        if not equals or column not in {*TEXTS, *NUMBERS}:
            known = [*TEXTS, *NUMBERS]
            hint = nearest(column, known, few=len(known)) if equals else "write COLUMN=VALUE or COLUMN=VALUE,VALUE"
            raise PointsError(f"--where {text} names no column of a point to choose by; {hint}")
        wanted = [value.strip().lower() for value in values.split(",")]
        points = [point for point in points if any(fnmatchcase(cell(point, column), value) for value in wanted)]
        if not points:
            raise PointsError(f"--where {text} leaves no point; ask for another value, or use * as in source=*InferenceX*")
    return list(points[:limit])


def cell(point: Point, column: str) -> str:
    """What the point has there, as one would write it: 2 and not 2.0."""
    value = getattr(point, column)
    return number(value) if value is None or isinstance(value, float) else str(value).lower()
