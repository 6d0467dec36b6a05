"""Which column of a file means what."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from seatrial.core.errors import WorkloadError, nearest

ArrowArray = Any  # some versions of pyarrow have types and some none, so that neither a plain nor a parametrised pa.Array checks in all

SCHEMA_FIELDS: list[Any] = [
    pa.field("row", pa.int64()),
    pa.field("arrival_s", pa.float64()),
    pa.field("input_tokens", pa.int32()),
    pa.field("output_tokens", pa.int32()),
    pa.field("session_id", pa.string()),
    pa.field("turn_index", pa.int32()),
    pa.field("parent_row", pa.int64()),
    pa.field("model", pa.string()),
    pa.field("service", pa.string()),
    pa.field("prefix_block_tokens", pa.int32()),
    pa.field("prefix_hash_ids", pa.list_(pa.int64())),
]
TIDY_SCHEMA = pa.schema(SCHEMA_FIELDS)
REQUIRED = ("arrival_s", "input_tokens", "output_tokens")
OPTIONAL = ("session_id", "turn_index", "parent_row", "model", "service", "prefix_block_tokens", "prefix_hash_ids")

ARRIVAL_UNITS = {"arrival_s": 1.0, "arrival_ms": 1e3, "arrival_us": 1e6, "arrival_ns": 1e9}
"""A file that counts arrivals in another unit maps that unit's name; how many of them make a second."""

MAPPABLE = (*REQUIRED, *OPTIONAL, *(name for name in ARRIVAL_UNITS if name != "arrival_s"))


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a kind of file: our name for each, and the file's.

    `prefix_block_tokens` is set where it is the same for the whole format.
    `remarks` are sentences that every user of such a file should know.
    """

    name: str
    columns: Mapping[str, str]
    prefix_block_tokens: int | None = None
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", MappingProxyType(dict(self.columns)))

    @property
    def arrival(self) -> str:
        """Our name, unit included, of the column that says when."""
        return next(name for name in ARRIVAL_UNITS if name in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        """The file's names of the columns without which it is not such a file."""
        return tuple(self.columns[name] for name in (self.arrival, "input_tokens", "output_tokens"))

    @property
    def has_prefixes(self) -> bool:
        return "prefix_hash_ids" in self.columns

    def fits(self, names: Collection[str]) -> bool:
        return all(name in names for name in self.required)

    def within(self, names: Collection[str]) -> "Layout":
        """This layout without the optional columns that a file lacks."""
        return replace(self, columns={ours: theirs for ours, theirs in self.columns.items() if theirs in names})


def mapped(columns: Mapping[str, str], base: Layout) -> Layout:
    """`base` with the user's columns instead of its own."""
    for ours in columns:
        if ours not in MAPPABLE:
            raise WorkloadError(f"a trace has no column {ours!r} to map to; {nearest(ours, MAPPABLE)}")
    units = [ours for ours in columns if ours in ARRIVAL_UNITS]
    if len(units) > 1:
        raise WorkloadError(f"columns map {' and '.join(units)}; one of them says when requests arrive, so give one")
    kept = {ours: theirs for ours, theirs in base.columns.items() if not (units and ours in ARRIVAL_UNITS)}
    block_tokens = None if "prefix_block_tokens" in columns else base.prefix_block_tokens
    return replace(base, columns={**kept, **columns}, prefix_block_tokens=block_tokens)
