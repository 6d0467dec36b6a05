"""Cells of matrix products: plain ones, and those of the experts of a mixture."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seatrial.core.accelerator import Accelerator
from seatrial.core.curves import Curve, ExpertsCurve, GemmCurve
from seatrial.core.errors import FitError
from seatrial.core.model import NumberFormat
from seatrial.cost.formats import compute_rate
from seatrial.cost.kernels import ExpertsWork, FloatArray, GemmWork, Peaks, experts_times, gemm_times
from seatrial.fit.cell import Cell, shapes
from seatrial.fit.routing import routed
from seatrial.fit.sift import Points, not_slower_than, possible, typical
from seatrial.fit.table import IMPOSSIBLE, Note, Table, by_accelerator, by_format, passing, without_copies

GEMM_KEYS = ("m", "k", "n")
GEMM_COLUMNS = ("dtype", *GEMM_KEYS)
EXPERT_KEYS = ("num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size", "alpha")
EXPERT_COLUMNS = ("dtype", *EXPERT_KEYS[:-1], "distribution")
SMALLEST = 128  # a matrix that is narrower is all launch


def gemms(table: Table, note: Note) -> Iterator[Cell]:
    for accelerator, own in by_accelerator(without_copies(table, ("dtype", *GEMM_KEYS), note), note):
        plain: Points | None = None
        for weights, rows in by_format(own, "dtype", note):
            points = rows.points(*GEMM_KEYS, note=note)
            plain = plain or points
            yield from _gemm(accelerator, weights, not_slower_than(points, plain), note)


def _gemm(accelerator: Accelerator, weights: NumberFormat, points: Points, note: Note) -> Iterator[Cell]:
    rate = compute_rate(weights, accelerator)
    peaks = Peaks(rate.peak_flops, accelerator.memory_bandwidth)

    def work(points: Points) -> GemmWork:
        m, k, n = points.keys.T
        return GemmWork(m, k, n, weights.bytes_per_element, rate.activation_bytes)

    need = work(points)
    read = need.inputs * need.outputs * need.weight_bytes
    wide = (need.inputs >= SMALLEST) & (need.outputs >= SMALLEST)
    real = possible(points.seconds, need.flops / peaks.flops, need.bytes / peaks.bandwidth, read)
    points = points.where(passing(note, {f"the matrix is narrower than {SMALLEST}": wide, IMPOSSIBLE: real}))
    need = work(points)
    fitted = typical(points.seconds, need.flops / peaks.flops, need.bytes / peaks.bandwidth)

    def law(curve: Curve, chosen: NDArray[np.bool_] | None) -> FloatArray:
        assert isinstance(curve, GemmCurve)
        some = need if chosen is None else need._replace(rows=need.rows[chosen], inputs=need.inputs[chosen], outputs=need.outputs[chosen])
        return gemm_times(curve, some, peaks).seconds

    if len(points.seconds):
        dims, load = {"inputs": need.inputs, "outputs": need.outputs}, {"rows": need.rows}
        shape = shapes(need.inputs, need.outputs)
        yield Cell("gemm", accelerator, weights.name, rate.format, law, points.seconds, fitted, shape, dims, load, points.backends)


def experts(table: Table, note: Note) -> Iterator[Cell]:
    table = table.with_column("alpha", np.array([_alpha(name, table) for name in table["distribution"].tolist()]))
    even, enough = table["num_experts"] % table["moe_ep_size"] == 0, table["topk"] <= table["num_experts"]
    table = table.where(passing(note, {"moe_ep_size does not divide num_experts": even, "topk is above num_experts": enough}))
    for accelerator, own in by_accelerator(without_copies(table, ("dtype", *EXPERT_KEYS), note), note):
        plain: Points | None = None
        for weights, rows in by_format(own, "dtype", note):
            points = rows.points(*EXPERT_KEYS, note=note)
            plain = plain or points
            yield from _experts(accelerator, weights, not_slower_than(points, plain), note)


def _alpha(distribution: str, table: Table) -> float:
    """How skewed the routing is: `balanced` or `power_law_ALPHA`."""
    kind, _, alpha = distribution.rpartition("_")
    if distribution == "balanced":
        return 0.0
    if kind == "power_law" and alpha.replace(".", "", 1).isdigit():
        return float(alpha)
    raise FitError(f"{table.file}: the distribution is {distribution!r}; it may be balanced or power_law_ALPHA, like power_law_1.2")


def _experts(accelerator: Accelerator, weights: NumberFormat, points: Points, note: Note) -> Iterator[Cell]:
    rate = compute_rate(weights, accelerator)
    peaks = Peaks(rate.peak_flops, accelerator.memory_bandwidth)

    def work(points: Points) -> ExpertsWork:
        tokens, hidden, width, chosen, num_experts, tensor, ranks, alpha = points.keys.T
        reached, rows = routed(tokens, chosen, num_experts, ranks, alpha)
        spread = (ranks > 1).astype(float)
        return ExpertsWork(rows, reached, hidden, width / tensor, 3, weights.bytes_per_element, rate.activation_bytes, spread)

    need = work(points)
    read = need.reached * need.size * need.weight_bytes
    real = possible(points.seconds, need.flops / peaks.flops, read / peaks.bandwidth, read)
    points = points.where(passing(note, {IMPOSSIBLE: real}))
    need = work(points)
    fitted = typical(points.seconds, need.flops / peaks.flops, need.reached * need.size * need.weight_bytes / peaks.bandwidth)

    def law(curve: Curve, chosen: NDArray[np.bool_] | None) -> FloatArray:
        assert isinstance(curve, ExpertsCurve)
        some = need
        if chosen is not None:
            arrays = ("rows", "reached", "hidden", "width", "spread")
            some = need._replace(**{name: getattr(need, name)[chosen] for name in arrays})
        return experts_times(curve, some, peaks).seconds

    if len(points.seconds):
        tokens, hidden, width, chosen, num_experts, *_ = points.keys.T
        dims = {"hidden": hidden, "width": width, "experts_per_token": chosen, "experts": num_experts}
        shape, load = shapes(*dims.values()), {"tokens": tokens}
        yield Cell("experts", accelerator, weights.name, rate.format, law, points.seconds, fitted, shape, dims, load, points.backends)
