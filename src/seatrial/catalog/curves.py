"""Operator curves of an accelerator: its own data file, those of its relatives, and the generic ones."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import cache
from math import inf, log
from pathlib import Path
from typing import Any

from seatrial.catalog.accelerators import load_accelerator
from seatrial.catalog.data_file import DataFile
from seatrial.core.accelerator import Accelerator
from seatrial.core.curves import CAUSES, KINDS, Curve, Curves, ErrorBar, Fitted

CURVES = Path(__file__).parent / "data" / "curves"
GENERIC = "generic"
GENERATIONS = {"NVIDIA": ("Volta", "Turing", "Ampere", "Ada Lovelace", "Hopper", "Blackwell", "Blackwell Ultra")}
"""Architectures in the order in which they came. Of a vendor that is not here all are one generation."""


def load_curves(accelerator: Accelerator, directory: Path = CURVES) -> Curves:
    """What to use for this accelerator, the nearest first. Whose curve it is says `Fitted.accelerator`."""
    own = directory / f"{GENERIC}.toml"
    generic = read_curves(own if own.exists() else CURVES / own.name)
    near = relatives(accelerator, _measured(directory))
    return Curves(accelerator.name, tuple(fitted for each in near for fitted in read_curves(directory / f"{each.name}.toml")) + generic)


@cache
def _measured(directory: Path) -> tuple[Accelerator, ...]:
    return tuple(load_accelerator(name) for name in curve_names(directory))


def relatives(accelerator: Accelerator, measured: Iterable[Accelerator]) -> list[Accelerator]:
    """Those of the same vendor, the nearest first: itself, then those with the same kind of links, then by generation, then by peaks.

    Boards with NVLink and cards on PCIe differ more in memory and links than two generations of either: leaving accelerators out shows it.
    """
    kin = [each for each in measured if each.vendor == accelerator.vendor]

    def distance(other: Accelerator) -> tuple[bool, bool, float, float]:
        links = _kind_of_links(other) != _kind_of_links(accelerator)
        return (other.name != accelerator.name, links, _generations_apart(accelerator, other), _unlikeness(accelerator, other))

    return sorted(kin, key=distance)


def _kind_of_links(accelerator: Accelerator) -> str:
    return accelerator.scale_up.name.partition(" ")[0]


def _generations_apart(one: Accelerator, other: Accelerator) -> float:
    if one.architecture == other.architecture:
        return 0
    order = GENERATIONS.get(one.vendor, ())
    if one.architecture not in order or other.architecture not in order:
        return inf
    return abs(order.index(one.architecture) - order.index(other.architecture))


def _unlikeness(one: Accelerator, other: Accelerator) -> float:
    flops = log(max(one.peak_flops.values()) / max(other.peak_flops.values()))
    return abs(flops) + abs(log(one.memory_bandwidth / other.memory_bandwidth))


@cache
def read_curves(file: Path) -> tuple[Fitted, ...]:
    """Every curve of one data file, whose stem names the accelerator. docs/catalog.md explains the keys."""
    entry = DataFile(file, "curves")
    entry.table("", required=("sources",), optional=tuple(KINDS))
    return tuple(_fitted(entry, operator, name) for operator in KINDS if operator in entry.root for name in _formats(entry, operator))


def _formats(entry: DataFile, operator: str) -> Iterator[str]:
    found = entry.root[operator]
    if not isinstance(found, dict):
        raise entry.error(operator, f"is {found!r}; it must hold a table for each number format")
    yield from found


def _fitted(entry: DataFile, operator: str, number_format: str) -> Fitted:
    place = f"{operator}.{number_format}"
    table = entry.table(place, required=("curve", "source"), optional=("multiplied", "sizes", "shapes", "reach", "errors", "measured"))
    if "errors" not in table and ("sizes" in table or entry.file.stem == GENERIC):
        raise entry.error(place, "has no 'errors'; only a curve without sizes may take the generic ones")
    fact = entry.fact(place, entry.text(f"{place}.source", table["source"]))
    kind = KINDS[operator]
    names = tuple(field.name for field in fields(kind))
    given = entry.table(f"{place}.curve", required=names)
    errors = entry.table(f"{place}.errors", optional=tuple(CAUSES)) if "errors" in table else {}
    sizes = {name: _numbers(entry, f"{place}.sizes", known) for name, known in table.get("sizes", {}).items()}
    reach = {name: _numbers(entry, f"{place}.reach", known, count=2) for name, known in table.get("reach", {}).items()}
    return Fitted(
        operator,
        number_format,
        entry.text(f"{place}.multiplied", table["multiplied"]) if table.get("multiplied") else "",
        _curve(entry, place, kind, {name: given[name] for name in names}),
        entry.file.stem,
        f"{fact.source}, {fact.date}",
        sizes,
        {name: ErrorBar(*_numbers(entry, f"{place}.errors.{name}", bar, count=2)) for name, bar in errors.items()},
        _shapes(entry, f"{place}.shapes", sizes, table.get("shapes")),
        {name: (least, most) for name, (least, most) in reach.items()},
    )


def _shapes(entry: DataFile, place: str, sizes: dict[str, tuple[float, ...]], rows: object) -> frozenset[tuple[float, ...]]:
    """Every size of a single dimension; of several what the rows mark; of several without rows nobody knows which were together."""
    if rows is None:
        return frozenset((size,) for known in sizes.values() for size in known) if len(sizes) == 1 else frozenset()
    if not isinstance(rows, list) or not all(isinstance(row, str) for row in rows) or not sizes:
        raise entry.error(place, f"is {rows!r}; it must be a list of rows of marks, beside the sizes that they are for")
    *_, last = sizes.values()
    marked = [_row(entry, place, row, sizes) for row in rows]
    return frozenset((*lead, size) for lead, marks in marked for size, mark in zip(last, marks) if mark == "#")


def _row(entry: DataFile, place: str, row: str, sizes: dict[str, tuple[float, ...]]) -> tuple[tuple[float, ...], str]:
    """Like `1024 ##.#`: a size of each dimension but the last, and a mark for each size of the last one."""
    *leads, last = sizes.values()
    *words, marks = row.split() or [""]
    lead = tuple(float(word) for word in words if word.isdigit())
    strange = set(marks) - set("#.") or any(size not in known for size, known in zip(lead, leads))
    if not len(words) == len(lead) == len(leads) or len(marks) != len(last) or strange:
        raise entry.error(
            place, f"has the row {row!r}; it must have a size of {', '.join(list(sizes)[:-1])}, and {len(last)} marks, # or ."
        )
    return lead, marks


def _curve(entry: DataFile, place: str, kind: type[Curve], given: dict[str, Any]) -> Curve:
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
            raise entry.error(f"{place}.curve.{name}", f"is {value!r}; it must be a number, zero or more")
        if value == 0 and name in ("compute", "memory", "bandwidth", "one_shot", "two_shots"):
            raise entry.error(f"{place}.curve.{name}", "is 0; a share of a peak is above zero")
    return kind(**{name: float(value) for name, value in given.items()})


def _numbers(entry: DataFile, place: str, values: object, count: int | None = None) -> tuple[float, ...]:
    good = isinstance(values, list) and values and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if not isinstance(values, list) or not good or (count is not None and len(values) != count):
        raise entry.error(place, f"is {values!r}; it must be a list of {count or 'some'} numbers")
    return tuple(float(value) for value in values)


def curve_names(directory: Path = CURVES) -> list[str]:
    """The accelerators that have curves of their own."""
    return sorted(file.stem for file in directory.glob("*.toml") if file.stem != GENERIC)
