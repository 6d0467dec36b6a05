"""Cells of what accelerators tell each other."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from seatrial.core.accelerator import Accelerator
from seatrial.core.curves import AllReduceCurve, Curve, TransferCurve
from seatrial.cost.kernels import FloatArray, all_reduce_time, transfer_time
from seatrial.fit.cell import Cell, shapes
from seatrial.fit.sift import Points
from seatrial.fit.table import SIXTEEN_BITS, Note, Table, by_accelerator, chosen_points, passing, without_copies

COLLECTIVE_COLUMNS = ("op", "dtype", "num_gpus", "message_elements")
SEND_COLUMNS = ("op", "num_nodes", "gpus_per_node", "size_kb")
COLLECTIVES, SENDS, EXCHANGES = ("all_reduce", "all_gather"), ("sendrecv",), ("deepep_normal", "deepep_low_latency")
EXCHANGE_KEYS = ("op", "nodes", "hidden_size", "tokens", "topk")
EXCHANGE_COLUMNS = (*EXCHANGE_KEYS, "dispatch_us", "combine_us")
SHORTEST, LONGEST = 1024, 2**28  # bytes of a message
MOST_TOKENS = 16384  # that a rank sends in a step
TRAY, BOARD = 4, 8  # devices of one host: in an NVL72 rack, and elsewhere


def collectives(table: Table, note: Note) -> Iterator[Cell]:
    """Inside a node. `message_elements` counts 16-bit numbers; of an all-gather those that a rank has in the end."""
    table = table.where(_of_op(table, COLLECTIVES, note))
    table = table.where(passing(note, {"the dtype is not one of 16 bits": np.isin(table["dtype"], SIXTEEN_BITS)}))
    table = without_copies(table.with_column("message", 2 * table["message_elements"]), COLLECTIVE_COLUMNS, note)
    for operator in COLLECTIVES:
        for accelerator, own in by_accelerator(table.where(table["op"] == operator), note):
            points = _least(own.numbers("message", "num_gpus"), own["seconds"], note)
            usual = (points.keys[:, 0] >= SHORTEST) & (points.keys[:, 0] <= LONGEST)
            points = points.where(passing(note, {f"messages have fewer than {SHORTEST:,} or more than {LONGEST:,} bytes": usual}))
            message, ranks = points.keys.T
            if operator == "all_gather":
                yield from _transfer(operator, accelerator, "scale_up", points, (ranks - 1) / ranks * message, ranks, ranks)
            elif len(points.seconds):
                yield _all_reduce(accelerator, points, message, ranks)


def _all_reduce(accelerator: Accelerator, points: Points, message: FloatArray, ranks: FloatArray) -> Cell:
    bandwidth = accelerator.scale_up.bandwidth

    def law(curve: Curve, chosen: NDArray[np.bool_] | None) -> FloatArray:
        assert isinstance(curve, AllReduceCurve)
        at = slice(None) if chosen is None else chosen
        return all_reduce_time(curve, message[at], ranks[at], bandwidth)

    every, dims, load = np.ones(len(ranks), bool), {"ranks": ranks}, {"message": message}
    return Cell("all_reduce", accelerator, "scale_up", "", law, points.seconds, every, shapes(ranks), dims, load, points.backends)


def exchanges(table: Table, note: Note) -> Iterator[Cell]:
    """DeepEP: experts' inputs are sent in one byte per number, their outputs in two; across nodes once to each node."""
    table = table.where(_of_op(table, EXCHANGES, note))
    table = table.with_column("nodes", np.where(table["nodes"] > 0, table["nodes"], 1.0))
    table = table.with_column("seconds", 1e-6 * (table["dispatch_us"] + table["combine_us"]))  # by which a copy is known
    for link, of_link in (("scale_up", table["nodes"] == 1), ("scale_out", table["nodes"] > 1)):
        for accelerator, rows in by_accelerator(without_copies(table.where(of_link), EXCHANGE_KEYS, note), note):
            ranks = min(accelerator.devices_per_node, BOARD) if accelerator.devices_per_node <= BOARD else TRAY
            points = _ways(rows, note)
            points = points.where(passing(note, {f"a rank sends more than {MOST_TOKENS:,} tokens": points.keys[:, 0] <= MOST_TOKENS}))
            tokens, hidden, chosen, num_nodes, size = points.keys.T
            places = num_nodes if link == "scale_out" else np.full_like(num_nodes, ranks)
            copies = (places - 1) * (1 - (1 - 1 / places) ** chosen)
            yield from _transfer("all_to_all", accelerator, link, points, tokens * copies * hidden * size, places, shapes(hidden, chosen))


def sends(table: Table, note: Note) -> Iterator[Cell]:
    """From one device to its neighbour in the node."""
    table = table.where(_of_op(table, SENDS, note))
    neighbours = (table["num_nodes"] == 1) & (table["gpus_per_node"] == 2)
    table = table.where(passing(note, {"they are not between two devices of one node": neighbours}))
    table = without_copies(table, SEND_COLUMNS, note)
    for accelerator, own in by_accelerator(table, note):
        points = _least(own.numbers("size_kb"), own["seconds"], note)
        size = 1024 * points.keys[:, 0]
        yield from _transfer("point_to_point", accelerator, "scale_up", points, size, np.full_like(size, 2.0), size)


def _of_op(table: Table, known: Sequence[str], note: Note) -> NDArray[np.bool_]:
    return passing(note, {f"the op is not {' or '.join(known)}": np.isin(table["op"], known)})


def _ways(rows: Table, note: Note) -> Points:
    """There and back again, as two points; with as many multiprocessors as make it quickest."""
    there, back = (
        (np.column_stack([rows.numbers("tokens", "hidden_size", "topk", "nodes"), np.full(len(rows), size)]), rows[column])
        for column, size in (("dispatch_us", 1.0), ("combine_us", 2.0))
    )
    seconds = np.concatenate([there[1], back[1]]).astype(np.float64) * 1e-6
    timed = passing(note, {"dispatch_us or combine_us is missing or not above 0": np.isfinite(seconds) & (seconds > 0)})
    return _least(np.concatenate([there[0], back[0]])[timed], seconds[timed], note)


def _transfer(
    operator: str,
    accelerator: Accelerator,
    link: str,
    points: Points,
    sent: FloatArray,
    ranks: FloatArray,
    shape: NDArray[np.generic],
) -> Iterator[Cell]:
    bandwidth = (accelerator.scale_up if link == "scale_up" else accelerator.scale_out).bandwidth

    def law(curve: Curve, chosen: NDArray[np.bool_] | None) -> FloatArray:
        assert isinstance(curve, TransferCurve)
        at = slice(None) if chosen is None else chosen
        return transfer_time(curve, sent[at], ranks[at], bandwidth)

    if len(points.seconds):
        numbers, every = shapes(shape.astype(np.float64)), np.ones(len(ranks), bool)
        dims, load = {"ranks": ranks}, {"sent": sent}
        yield Cell(operator, accelerator, link, "", law, points.seconds, every, numbers, dims, load, points.backends)


def _least(keys: FloatArray, seconds: FloatArray, note: Note) -> Points:
    """Whichever library is quickest: an engine takes another one for long messages than for short ones."""
    return chosen_points(keys, np.full(len(keys), "the quickest library"), seconds, note)
