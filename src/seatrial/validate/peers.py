"""What other simulators predicted for the same points."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from seatrial.core.errors import PointsError
from seatrial.validate.accuracy import Pair
from seatrial.validate.point import Point
from seatrial.validate.points import read_csv, to_number

NEEDED = ("simulator", "experiment", "metric", "predicted")
OF_FIRST = "(first 300 requests)"  # ends the name of a simulator that predicted no more of a run
WHAT = f"a file of predictions is CSV with {', '.join(NEEDED)}, in ms"
METRIC_OF = {"tpot_mean_corrected": "tpot_mean"}
"""Their names for metrics, where they are not ours. In closed loops their `itl_mean` is the mean over requests that we call tpot."""

Peers = dict[str, dict[str, dict[str, Pair]]]  # simulator -> point_id -> metric -> figures


def read_peers(file: Path, points: Iterable[Point]) -> Peers:
    """Predictions for these points. Rows of other points or metrics are passed over: they are not ours to compare."""
    columns, rows = read_csv(file, WHAT)
    for name in NEEDED:
        if name not in columns:
            raise PointsError(f"{file} has no column {name!r}; {WHAT}")
    places = by_place(points)
    peers: Peers = defaultdict(lambda: defaultdict(dict))
    for number, row in enumerate(rows, 1):
        of_first = row["simulator"].endswith(OF_FIRST)
        stage = row.get("stage_index", "-1")
        place = (row["experiment"], "first300" if of_first else "summary" if stage in ("", "-1") else stage)
        for point in places.get(place, ()):
            metric = row["metric"]
            if metric == "itl_mean" and point.kind == "serving_closedloop":
                metric = "tpot_mean"
            metric = METRIC_OF.get(metric, metric)
            if metric not in point.measured:
                continue
            predicted = to_number(file, number, "predicted", row["predicted"]) * 1e-3
            peers[row["simulator"]][point.point_id][metric] = Pair(predicted, point.measured[metric])
    return {simulator: dict(of_points) for simulator, of_points in peers.items()}


def by_place(points: Iterable[Point]) -> Mapping[tuple[str, str], list[Point]]:
    """Points by the experiment's name, whole or without what stands before its first slash, and stage."""
    places: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for point in points:
        for name in {point.exp_id, point.exp_id.partition("/")[2]} - {""}:
            places[name, point.stage].append(point)
    return places
