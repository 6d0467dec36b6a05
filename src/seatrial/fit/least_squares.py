"""Fits a curve to times: least squares of the logarithm, which a few odd points do not sway."""

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from seatrial.core.curves import (
    AllReduceCurve,
    Curve,
    DecodeCurve,
    ErrorBar,
    ExpertsCurve,
    GemmCurve,
    PromptCurve,
    TransferCurve,
)
from seatrial.cost.kernels import FloatArray
from seatrial.fit.cell import Cell

ODD = 0.1  # errors beyond this count less and less
NUM_FOLDS = 5
FEW_OF = 4  # of so many sizes one is among the largest
SHARE, SECONDS = (0.01, 1.0), (1e-8, 1e-3)


class Search(NamedTuple):
    """Where a curve's search begins and between what its numbers lie. A number that ends at a lower bound named in `zero` is none.

    What is `arithmetic` belongs to the die: accelerators that differ in their memory alone have these numbers in common. (Not where
    engines tune a kernel for each accelerator by its name, as they do for experts, nor where memory decides.)
    """

    start: Curve
    bounds: dict[str, tuple[float, float]]
    zero: tuple[str, ...] = ()
    arithmetic: tuple[str, ...] = ()


SEARCHES: dict[type[Any], Search] = {
    GemmCurve: Search(
        GemmCurve(0.75, 0.85, 3e-6, 2e-10, 10, 100, 10, 4),
        {
            "compute": SHARE,
            "memory": SHARE,
            "fixed": (1e-7, 1e-4),
            "per_input": (1e-13, 1e-7),
            "half_rows": (0.1, 1000),
            "half_inputs": (0.1, 10_000),
            "half_outputs": (0.1, 10_000),
            "blend": (1, 8),
        },
        ("per_input", "half_rows", "half_inputs", "half_outputs"),
        ("compute", "half_rows", "half_inputs", "half_outputs", "blend"),
    ),
    ExpertsCurve: Search(
        ExpertsCurve(0.5, 0.8, 3e-5, 32, 0.7, 1e-6, 2),
        {
            "compute": SHARE,
            "memory": SHARE,
            "fixed": SECONDS,
            "half_rows": (0.1, 1000),
            "rows_memory": SHARE,
            "spread": (1e-7, 1e-4),
            "blend": (1, 8),
        },
        ("half_rows", "spread"),
    ),
    PromptCurve: Search(
        PromptCurve(0.6, 0.5, 1e-5, 1),
        {"compute": SHARE, "memory": SHARE, "fixed": SECONDS, "half_heads": (0.01, 100)},
        ("half_heads",),
        ("compute", "half_heads"),
    ),
    DecodeCurve: Search(
        DecodeCurve(0.3, 0.9, 1e-5, 1e-9),
        {"compute": SHARE, "memory": SHARE, "fixed": SECONDS, "per_row": (1e-12, 1e-6)},
        ("per_row",),
    ),
    AllReduceCurve: Search(
        AllReduceCurve(4e-6, 1e-7, 0.5, 0.7, 1e-5, 0.1),
        {
            "latency": SECONDS,
            "per_rank": (1e-9, 1e-4),
            "one_shot": SHARE,
            "two_shots": (0.01, 2.0),  # a switch that adds up on the way halves the traffic
            "second_latency": SECONDS,
            "crowding": (0.01, 3.0),
        },
        ("per_rank", "second_latency", "crowding"),
    ),
    TransferCurve: Search(
        TransferCurve(5e-6, 1e-6, 0.7, 0.1),
        {"latency": SECONDS, "per_rank": (1e-9, 1e-4), "bandwidth": SHARE, "crowding": (0.01, 3.0)},
        ("per_rank", "crowding"),
    ),
}


class Fit(NamedTuple):
    """A curve, its error on the shapes that it was fitted to, on shapes that it had not seen (None if there is one shape only), and on
    sizes beyond those that it had seen (None if there is one size of everything)."""

    curve: Curve
    seen: ErrorBar
    left_out: ErrorBar | None
    beyond: ErrorBar | None


def fit_die(cells: Sequence[Cell], kind: type[Curve]) -> list[Fit]:
    """Of accelerators with the same die, or of one. What a shape that was left out costs is each cell's own, as if it stood alone."""
    search = SEARCHES[kind]
    curves = [rounded(curve, search) for curve in best_curves(cells, search, [cell.typical for cell in cells], search.start)]
    return [
        Fit(curve, bar(cell.errors(curve)), left_out(cell, search, curve), beyond(cell, search, curve))
        for cell, curve in zip(cells, curves)
    ]


def best_curves(cells: Sequence[Cell], search: Search, chosen: Sequence[NDArray[np.bool_]], start: Curve) -> list[Curve]:
    """One for each cell, alike in what is arithmetic."""
    kind, names = type(start), tuple(search.bounds)
    shared = [name in search.arithmetic for name in names]
    # where each cell's numbers lie among all that are searched: the shared ones are the first cell's
    places = np.where(shared, 0, len(names) * np.arange(len(cells))[:, None]) + np.arange(len(names))
    searched, places = np.unique(places, return_inverse=True)
    places = places.reshape(len(cells), len(names))
    lower, upper = (np.log([search.bounds[names[place % len(names)]][side] for place in searched]) for side in (0, 1))
    log_seconds = [np.log(cell.seconds[mine]) for cell, mine in zip(cells, chosen)]

    def miss(logs: FloatArray) -> FloatArray:
        numbers = np.exp(logs)[places]
        laws = (np.log(cell.law(kind(*own), mine)) for cell, mine, own in zip(cells, chosen, numbers))
        return np.concatenate([ours - measured for ours, measured in zip(laws, log_seconds)])

    first = np.log(np.maximum(astuple(start), 1e-30))[searched % len(names)]
    begin = np.clip(first, lower + 1e-6, upper - 1e-6)
    found = least_squares(miss, begin, bounds=(lower, upper), loss="soft_l1", f_scale=ODD, max_nfev=100)
    return [kind(*own) for own in np.exp(found.x)[places].tolist()]


def left_out(cell: Cell, search: Search, start: Curve) -> ErrorBar | None:
    """Every shape is predicted by a curve that was fitted without it. What nothing is left to be predicted from is not judged."""
    numbers = np.unique(cell.shape)
    if len(numbers) < 2:
        return None
    folds = min(NUM_FOLDS, len(numbers))
    fold = (numbers * 7919 % 104729) % folds if len(numbers) > 3 * NUM_FOLDS else np.arange(len(numbers)) % folds
    fold_of = dict(zip(numbers.tolist(), fold.tolist()))
    mine = np.array([fold_of[number] for number in cell.shape.tolist()])
    errors = np.full(len(cell.seconds), np.nan)
    for out in range(folds):
        if ((mine != out) & cell.typical).any():
            (curve,) = best_curves([cell], search, [(mine != out) & cell.typical], start)
            errors[mine == out] = cell.errors(curve, mine == out)
    judged = np.isfinite(errors)
    return bar(errors[judged]) if judged.any() else None


def beyond(cell: Cell, search: Search, start: Curve) -> ErrorBar | None:
    """The largest sizes of each dimension, of shapes and of loads, are predicted by a curve that was fitted to the smaller ones."""
    errors = []
    for column in (*cell.dims.values(), *cell.load.values()):
        sizes = np.unique(column)
        large = column >= sizes[-max(1, len(sizes) // FEW_OF)]
        if (cell.typical & ~large).sum() >= len(search.bounds):
            (curve,) = best_curves([cell], search, [cell.typical & ~large], start)
            errors.append(cell.errors(curve, large))
    return bar(np.concatenate(errors)) if errors else None


def bar(errors: FloatArray) -> ErrorBar:
    return ErrorBar(significant(float(np.median(errors)), 2), significant(float(np.quantile(errors, 0.9)), 2))


def rounded(curve: Curve, search: Search) -> Curve:
    """To three figures, as it is written; a number at its lower bound that may be none is none."""

    def value(name: str) -> float:
        number, lower = float(getattr(curve, name)), search.bounds[name][0]
        return 0.0 if name in search.zero and number < 1.05 * lower else min(significant(number, 3), search.bounds[name][1])

    return type(curve)(*(value(name) for name in search.bounds))


def significant(number: float, figures: int) -> float:
    return float(f"{number:.{figures}g}")
