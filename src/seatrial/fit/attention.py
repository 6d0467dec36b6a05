"""Cells of attention: prompts and decodes, over keys and values or over a latent cache."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from seatrial.core.accelerator import Accelerator
from seatrial.core.curves import Curve, DecodeCurve, PromptCurve
from seatrial.core.model import NumberFormat
from seatrial.cost.formats import plain_peak
from seatrial.cost.kernels import FloatArray, Peaks, decode_rate, pair_rate, query_bytes
from seatrial.fit.cell import Cell, Law, shapes
from seatrial.fit.sift import Points, possible, typical
from seatrial.fit.table import (
    BFLOAT16,
    IMPOSSIBLE,
    Note,
    Table,
    by_accelerator,
    by_format,
    copied_from,
    passing,
    with_siblings,
    without_copies,
)

PROMPT_KEYS = ("batch_size", "isl", "num_heads", "num_key_value_heads", "head_dim")
PROMPT_COLUMNS = (*PROMPT_KEYS, "attn_dtype", "kv_cache_dtype", "step")
DECODE_KEYS = ("batch_size", "context_tokens", "num_heads", "num_key_value_heads", "head_dim")
DECODE_COLUMNS = (*DECODE_KEYS, "kv_cache_dtype")
LATENT_PROMPT_COLUMNS = ("batch_size", "isl", "num_heads", "mla_dtype", "kv_cache_dtype", "step")
LATENT_DECODE_COLUMNS = ("batch_size", "isl", "step", "num_heads", "kv_cache_dtype")
SHORTEST = 16  # tokens; shorter sequences are all launch
MOST_PROMPT_TOKENS = 32768  # no step computes more
QUERY_KEY, VALUE, RANK, ENTRY = 192, 128, 512, 576  # DeepSeek-V3, whose latent attention the tables time
PLAIN: Mapping[str, int] = {}


def prompts(table: Table, note: Note) -> Iterator[Cell]:
    table = table.where(_plain(table, "attn_dtype", note))
    copied = copied_from(table, PROMPT_KEYS)
    for accelerator, own in by_accelerator(table, note):
        points = own.points(*PROMPT_KEYS, note=note)
        dim = points.keys[:, 4]
        for cell in _prompt("prompt_attention", accelerator, points, dim, dim, note):
            yield with_siblings(cell, own, copied)


def latent_prompts(table: Table, note: Note) -> Iterator[Cell]:
    table = without_copies(table.where(_plain(table, "mla_dtype", note)), LATENT_PROMPT_COLUMNS, note)
    for accelerator, own in by_accelerator(table, note):
        points = own.points("batch_size", "isl", "num_heads", note=note)
        same = np.ones(len(points.seconds))
        yield from _prompt(
            "latent_prompt_attention",
            accelerator,
            points,
            QUERY_KEY * same,
            VALUE * same,
            note,
            {"head_dim": QUERY_KEY, "value_dim": VALUE},
        )


def _plain(table: Table, dtype: str, note: Note) -> NDArray[np.bool_]:
    in_bf16 = np.isin(table[dtype], BFLOAT16) & np.isin(table["kv_cache_dtype"], BFLOAT16)
    return passing(note, {f"{dtype} or kv_cache_dtype is not bfloat16": in_bf16, "the step is not 0": table["step"] == 0})


def _prompt(
    operator: str,
    accelerator: Accelerator,
    points: Points,
    query_key: FloatArray,
    value: FloatArray,
    note: Note,
    latent: Mapping[str, int] = PLAIN,
) -> Iterator[Cell]:
    """The keys begin with sequences, their length and the heads."""
    peak, bandwidth = plain_peak(accelerator), accelerator.memory_bandwidth
    batch, length, heads = points.keys.T[:3]
    flops = 2 * heads * (query_key + value) * batch * length * (length + 1) / 2
    kept = passing(
        note,
        {
            f"sequences have fewer than {SHORTEST} tokens": length >= SHORTEST,
            f"prompts have more than {MOST_PROMPT_TOKENS:,} tokens together": batch * length <= MOST_PROMPT_TOKENS,
            IMPOSSIBLE: points.seconds >= flops / peak,
        },
    )
    points, flops, heads = points.where(kept), flops[kept], heads[kept]
    streamed = (batch * length)[kept] * query_bytes(heads, query_key[kept], value[kept])  # type: ignore[arg-type]  # arrays do as well

    def law(curve: Curve, chosen: NDArray[np.bool_] | None) -> FloatArray:
        assert isinstance(curve, PromptCurve)
        at = slice(None) if chosen is None else chosen
        return np.asarray(flops[at] / pair_rate(curve, heads[at], peak) + streamed[at] / (bandwidth * curve.memory) + curve.fixed)

    if len(points.seconds):
        load = {"length": points.keys[:, 1], "offset": np.zeros(len(points.seconds))}
        yield _cell(operator, accelerator, "bf16", points, np.ones(len(points.seconds), bool), law, load, latent)


def decodes(table: Table, note: Note) -> Iterator[Cell]:
    copied = copied_from(table, DECODE_COLUMNS)
    for accelerator, own in by_accelerator(table, note):
        for cache, rows in by_format(own, "kv_cache_dtype", note):
            points = rows.points(*DECODE_KEYS, note=note)
            batch, context, heads, kv_heads, dim = points.keys.T
            flops = 4 * heads * dim * batch * context
            read = 2 * kv_heads * dim * cache.bytes_per_element * batch * context
            for cell in _decode("decode_attention", accelerator, cache, points, flops, read, note):
                yield with_siblings(cell, own, copied)


def latent_decodes(table: Table, note: Note) -> Iterator[Cell]:
    context = table["isl"] + table["step"]
    table = without_copies(table.with_column("context_tokens", context), LATENT_DECODE_COLUMNS, note)
    for accelerator, own in by_accelerator(table, note):
        for cache, rows in by_format(own, "kv_cache_dtype", note):
            points = rows.points("batch_size", "context_tokens", "num_heads", note=note)
            batch, context, heads = points.keys.T
            flops = 2 * heads * (ENTRY + RANK) * batch * context
            read = ENTRY * cache.bytes_per_element * batch * context
            yield from _decode("latent_decode_attention", accelerator, cache, points, flops, read, note, {"entry": ENTRY})


def _decode(
    operator: str,
    accelerator: Accelerator,
    cache: NumberFormat,
    points: Points,
    flops: FloatArray,
    read: FloatArray,
    note: Note,
    latent: Mapping[str, int] = PLAIN,
) -> Iterator[Cell]:
    """The keys begin with sequences, their context and the heads."""
    peaks = Peaks(plain_peak(accelerator), accelerator.memory_bandwidth)
    kept = passing(
        note,
        {
            f"sequences have fewer than {SHORTEST} tokens": points.keys[:, 1] >= SHORTEST,
            IMPOSSIBLE: possible(points.seconds, flops / peaks.flops, read / peaks.bandwidth, read),
        },
    )
    points, flops, read = points.where(kept), flops[kept], read[kept]
    fitted = typical(points.seconds, flops / peaks.flops, read / peaks.bandwidth)
    rows = points.keys[:, 0] * points.keys[:, 2]

    def law(curve: Curve, chosen: NDArray[np.bool_] | None) -> FloatArray:
        assert isinstance(curve, DecodeCurve)
        at = slice(None) if chosen is None else chosen
        return decode_rate(curve, flops[at], read[at], peaks) + curve.per_row * rows[at] + curve.fixed

    if len(points.seconds):
        load = {"sequences": points.keys[:, 0], "context": points.keys[:, 1]}
        yield _cell(operator, accelerator, cache.name, points, fitted, law, load, latent)


def _cell(
    operator: str,
    accelerator: Accelerator,
    number_format: str,
    points: Points,
    fitted: NDArray[np.bool_],
    law: Law,
    load: Mapping[str, FloatArray],
    latent: Mapping[str, int],
) -> Cell:
    """The keys end with the heads, and with the KV heads and head dimension of what is not `latent`, whose others are one and the same."""
    heads = dict(zip(("heads", "kv_heads", "head_dim"), points.keys.T[2:]))
    same = {name: np.full(len(points.seconds), float(size)) for name, size in latent.items()}
    dims = same | {name: heads[name] for name in ("head_dim", "heads", "kv_heads") if name in heads}
    shape = shapes(*points.keys.T[2:4])
    return Cell(operator, accelerator, number_format, "bf16", law, points.seconds, fitted, shape, dims, load, points.backends)
