"""One measured point: what was run, on what, and what its authors saw."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import NamedTuple


class Column(NamedTuple):
    """Where a points file has a figure, and what makes seconds (or a rate per second) of it."""

    name: str
    factor: float


METRICS: Mapping[str, Column] = MappingProxyType(
    {
        "ttft_mean": Column("ttft_mean_ms", 1e-3),
        "ttft_p50": Column("ttft_p50_ms", 1e-3),
        "ttft_p90": Column("ttft_p90_ms", 1e-3),
        "ttft_p99": Column("ttft_p99_ms", 1e-3),
        "tpot_mean": Column("tpot_mean_ms", 1e-3),
        "tpot_p90": Column("tpot_p90_ms", 1e-3),
        "itl_p50": Column("itl_p50_ms", 1e-3),
        "e2e_mean": Column("e2e_mean_ms", 1e-3),
        "e2e_p90": Column("e2e_p90_ms", 1e-3),
        "e2e_p99": Column("e2e_p99_ms", 1e-3),
        "requests_per_s": Column("req_per_s", 1.0),
        "output_tokens_per_s": Column("out_tok_per_s", 1.0),
    }
)
"""The figures that a point can be compared in, by the name that results have."""


@dataclass(frozen=True, slots=True)
class Point:
    """A row of a points file, by its columns; what it leaves empty is "" or None. docs/validate.md says what each column means.

    `measured` has the row's figures under the names of `METRICS`, in seconds or per second. `fault` says which cell is no number, if one
    is: such a point is not simulated.
    """

    point_id: str
    model: str
    gpu: str
    measured: Mapping[str, float]
    exp_id: str = ""
    source: str = ""
    trust: str = ""
    kind: str = ""
    n_gpu: float | None = None
    tp: float | None = None
    pp: float | None = None
    dp: float | None = None
    ep: str = ""
    precision: str = ""
    kv_dtype: str = ""
    engine: str = ""
    engine_version: str = ""
    max_num_seqs: float | None = None
    max_num_batched_tokens: float | None = None
    gpu_mem_util: str = ""
    max_model_len: float | None = None
    prefix_caching: str = ""
    chunked_prefill: str = ""
    kv_blocks_gpu: float | None = None
    block_size: float | None = None
    cpu_kv_offload: str = ""
    spec_decode: str = ""
    disaggregated: str = ""
    workload: str = ""
    arrival: str = ""
    stage: str = "summary"
    stage_rates_rps: str = ""
    stage_durations_s: str = ""
    rate_rps: float | None = None
    concurrency: float | None = None
    num_requests: float | None = None
    input_spec: str = ""
    input_mean: float | None = None
    input_min: float | None = None
    input_max: float | None = None
    output_spec: str = ""
    output_mean: float | None = None
    output_min: float | None = None
    output_max: float | None = None
    prefix_structure: str = ""
    requests_file: str = ""
    client_timeout_s: float | None = None
    n_ok: float | None = None
    n_fail: float | None = None
    saturated: str = ""
    duplicate_of: str = ""
    notes: str = ""
    fault: str = ""


REQUIRED = ("point_id", "model", "gpu")
TEXTS = tuple(field.name for field in fields(Point) if field.type is str and field.name != "fault")
NUMBERS = tuple(field.name for field in fields(Point) if field.type == float | None)


def number(value: float | None) -> str:
    """As one would write it, whole numbers without a point, however large; nothing for None."""
    return "" if value is None else str(int(value)) if float(value).is_integer() else str(value)
