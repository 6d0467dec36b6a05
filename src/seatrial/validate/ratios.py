"""What a change of configuration does: predicted against measured ratios, over pairs of points that differ in that alone."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations, pairwise, product
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from seatrial.validate.accuracy import Pair
from seatrial.validate.compared import Compared
from seatrial.validate.point import Point, number
from seatrial.validate.system import is_true

NOISE = 0.03
"""A measured change that is smaller has no direction."""
METRICS = ("ttft_mean", "tpot_mean", "e2e_mean", "output_tokens_per_s")


class Change(NamedTuple):
    """One thing differs between two settings, from one value to another; `predicted` and `actual` are the figure's ratios.

    `points` are a point of either setting, of those that were measured more than once the first.
    """

    kind: str
    old: str
    new: str
    metric: str
    predicted: float
    actual: float
    points: tuple[str, str]

    @property
    def has_direction(self) -> bool:
        return abs(self.actual - 1) > NOISE

    @property
    def is_right(self) -> bool:
        """Whether the prediction goes up where the measurement does, and down where it does."""
        return (self.predicted - 1) * (self.actual - 1) > 0

    @property
    def signed_pct(self) -> float:
        return 100 * (self.predicted / self.actual - 1)


class RatioError(NamedTuple):
    """Over some changes. `right_direction` is the share of those `num_directed` whose measured change is more than noise; None of none."""

    median_ape_pct: float
    p90_ape_pct: float
    n: int
    num_directed: int
    right_direction: float | None


KINDS: Mapping[str, Callable[[Point], str]] = {
    "max_num_batched_tokens": lambda point: number(point.max_num_batched_tokens),
    "tensor_parallel": lambda point: number(point.tp),
    "gpu": lambda point: point.gpu,
    "concurrency": lambda point: number(point.concurrency),
    "gpu_memory_utilization": lambda point: point.gpu_mem_util,
}
"""What may differ. The number of requests goes with the concurrency, and the size of the KV cache with all but that."""
SAME = (
    *("source", "kind", "model", "precision", "kv_dtype", "engine", "engine_version", "pp", "dp", "ep", "max_num_seqs", "max_model_len"),
    *("block_size", "prefix_caching", "chunked_prefill", "cpu_kv_offload", "spec_decode", "workload", "arrival"),
    *("stage_rates_rps", "stage_durations_s", "rate_rps", "input_spec", "output_spec", "input_mean", "input_min", "input_max"),
    *("output_mean", "output_min", "output_max", "prefix_structure", "requests_file"),
)
"""What must be the same, beside all other `KINDS`."""


def changes(points: Iterable[Compared]) -> list[Change]:
    """Every pair of neighbouring values (of accelerators: every pair) at otherwise equal settings, in each metric that both have.

    Whole runs alone: their stages and slices are the same evidence again. Saturated points, whose figures are the survivors', and those
    of trust C are left out.
    """
    sound = [compared for compared in points if is_sound(compared.point)]
    return [change for kind in KINDS for change in changes_of(kind, sound)]


def is_sound(point: Point) -> bool:
    return point.stage in ("", "summary") and not is_true(point.saturated) and point.trust != "C"


def changes_of(kind: str, points: Iterable[Compared]) -> Iterator[Change]:
    settings: dict[tuple[object, ...], dict[str, list[Compared]]] = defaultdict(lambda: defaultdict(list))
    for compared in points:
        point = compared.point
        if value := KINDS[kind](point):
            same = [getattr(point, name) for name in SAME] + [key(point) for name, key in KINDS.items() if name != kind]
            settings[tuple(same)][value].append(compared)
    for by_value in settings.values():
        for old, new in neighbours(kind, list(by_value)):
            for metric in METRICS:
                yield from change_in(kind, metric, (old, by_value[old]), (new, by_value[new]))


def neighbours(kind: str, values: list[str]) -> Iterator[tuple[str, str]]:
    """From smaller to larger."""
    if kind == "gpu":
        return combinations(sorted(values), 2)
    return pairwise(sorted(values, key=float_of))


def float_of(text: str) -> float:
    """A setting that is words in a source comes last."""
    try:
        return float(text)
    except ValueError:
        return float("inf")


def change_in(kind: str, metric: str, old: tuple[str, list[Compared]], new: tuple[str, list[Compared]]) -> Iterator[Change]:
    """Nothing where either lacks the metric; what was measured more than once counts with its mean."""
    sides = [[c.pairs[metric] for c in side if metric in c.pairs and c.pairs[metric].actual > 0] for _, side in (old, new)]
    if all(sides):
        before, after = (Pair(fmean(pair.predicted for pair in side), fmean(pair.actual for pair in side)) for side in sides)
        if before.predicted > 0:
            ids = (old[1][0].point.point_id, new[1][0].point.point_id)
            yield Change(kind, old[0], new[0], metric, after.predicted / before.predicted, after.actual / before.actual, ids)


def ratio_errors(found: Iterable[Change]) -> dict[str, dict[str, RatioError]]:
    """By kind of change, then by metric."""
    groups: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in found:
        groups[change.kind, change.metric].append(change)
    errors: dict[str, dict[str, RatioError]] = {}
    for kind, metric in product(KINDS, METRICS):
        if group := groups.get((kind, metric)):
            errors.setdefault(kind, {})[metric] = ratio_error(group)
    return errors


def ratio_error(found: list[Change]) -> RatioError:
    sizes = np.abs([change.signed_pct for change in found])
    directed = [change.is_right for change in found if change.has_direction]
    share = sum(directed) / len(directed) if directed else None
    return RatioError(float(np.median(sizes)), float(np.quantile(sizes, 0.9)), len(found), len(directed), share)


def as_plain(found: list[Change]) -> dict[str, Any]:  # Any: as nested as JSON is
    errors = {kind: {metric: error._asdict() for metric, error in of.items()} for kind, of in ratio_errors(found).items()}
    return {"errors": errors, "changes": [change._asdict() for change in found]}
