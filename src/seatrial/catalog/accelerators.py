"""Accelerators by name: one data file each, checked on the way in."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from seatrial.core.accelerator import Accelerator, Fact, Link
from seatrial.core.errors import CatalogError, nearest

DIRECTORY = Path(__file__).parent / "data" / "accelerators"
LISTED = "`seatrial catalog accelerators` lists them"
NUMBER_FORMATS = ("fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4", "int4")
DEVICE = ("memory", "memory_bandwidth", "devices_per_node", "tdp", "idle_power", "price_per_hour")
LINKS = ("scale_up", "scale_out", "host")


def load_accelerator(name: str) -> Accelerator:
    """The accelerator of this name or alias, or of a data file if `name` ends in `.toml`.

    Upper and lower case are the same, and so are `-`, `_` and a space.
    """
    if name.endswith(".toml"):
        return read_accelerator(Path(name))
    if not name.strip():
        raise CatalogError(f"the name of the accelerator is empty; give one of the catalogue ({LISTED}), or a .toml file like those of it")
    stems = _stems()
    if _key(name) not in stems:
        raise CatalogError(f"no accelerator {name!r} ({LISTED}); {nearest(_key(name), accelerator_names(), aliases=stems)}")
    return read_accelerator(DIRECTORY / f"{stems[_key(name)]}.toml")


def accelerator_names() -> list[str]:
    """The names in the catalogue, without aliases."""
    return sorted(file.stem for file in DIRECTORY.glob("*.toml"))


def read_accelerator(file: Path) -> Accelerator:
    """The accelerator of one data file, whose stem is its name. docs/catalog.md explains the keys."""
    entry = _Entry(file)
    root = entry.table("", required=("vendor", "architecture", "sources", "peak_flops", "device", *LINKS), optional=("aliases",))
    peak_flops = entry.table("peak_flops", optional=NUMBER_FORMATS)
    entry.table("device", required=DEVICE)
    return Accelerator(
        name=file.stem,
        vendor=entry.text("vendor", root["vendor"]),
        architecture=entry.text("architecture", root["architecture"]),
        peak_flops={key: entry.number(f"peak_flops.{key}") for key in peak_flops},
        memory=entry.number("device.memory"),
        memory_bandwidth=entry.number("device.memory_bandwidth"),
        scale_up=entry.link("scale_up"),
        scale_out=entry.link("scale_out"),
        host=entry.link("host"),
        devices_per_node=entry.count("device.devices_per_node"),
        tdp=entry.number("device.tdp"),
        idle_power=entry.number("device.idle_power"),
        price_per_hour=entry.number("device.price_per_hour"),
        sources=entry.facts,
        aliases=entry.texts("aliases", root.get("aliases", [])),
    )


class _Entry:
    """A data file while it is read: it hands out checked values, and notes in `facts` where each number comes from.

    A `place` names a key by the tables around it: `device.memory`.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.facts: dict[str, Fact] = {}
        try:
            self.root = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise CatalogError(f"accelerator file {file} cannot be read: {problem}") from problem

    def error(self, place: str, problem: str) -> CatalogError:
        return CatalogError(f"accelerator file {self.file}: {place or 'the file'} {problem}")

    def table(self, place: str, *, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> dict[str, Any]:
        """The table at `place`, which has all the required keys and none but these and the optional ones."""
        found: Any = self.root
        for key in place.split(".") if place else ():
            found = found.get(key)
        if not isinstance(found, dict) or not found:
            raise self.error(place, f"is {found!r}; it must be a table with {' and '.join(required) or 'some of ' + ', '.join(optional)}")
        for key in found:
            if key not in required + optional:
                raise self.error(place, f"has an unknown key {key!r}; {nearest(key, required + optional)}")
        for key in required:
            if key not in found:
                raise self.error(place, f"has no {key!r}; it needs {', '.join(required)}")
        return found

    def text(self, place: str, value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.error(place, f"is {value!r}; it must be a text")
        return value

    def texts(self, place: str, values: object) -> tuple[str, ...]:
        if not isinstance(values, list):
            raise self.error(place, f"is {values!r}; it must be a list of texts")
        return tuple(self.text(place, value) for value in values)

    def number(self, place: str) -> float:
        """The number at `place`, above zero, with its source in `facts`."""
        table = self.table(place, required=("value", "source"), optional=("note",))
        value = table["value"]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise self.error(place, f"has the value {value!r}; it must be a number above zero")
        fact = self.fact(place, self.text(f"{place}.source", table["source"]))
        if "note" in table:
            fact = fact._replace(source=f"{fact.source}; {self.text(f'{place}.note', table['note'])}")
        self.facts[place.removeprefix("device.")] = fact
        return float(value)

    def count(self, place: str) -> int:
        value = self.number(place)
        if not value.is_integer():
            raise self.error(place, f"has the value {value!r}; it must be a whole number")
        return int(value)

    def link(self, place: str) -> Link:
        table = self.table(place, required=("name", "bandwidth", "latency"))
        return Link(self.text(f"{place}.name", table["name"]), self.number(f"{place}.bandwidth"), self.number(f"{place}.latency"))

    def fact(self, place: str, name: str) -> Fact:
        """What `[sources]` says under this name."""
        sources = self.root["sources"]
        if not isinstance(sources, dict):
            raise self.error("sources", f"is {sources!r}; it must be a table")
        if name not in sources:
            raise self.error(place, f"has the source {name!r}, which [sources] lacks; {nearest(name, sources)}")
        table = self.table(f"sources.{name}", required=("text", "date"))
        date = self.text(f"sources.{name}.date", table["date"])
        if not re.fullmatch(r"\d{4}(-\d\d){0,2}", date):
            raise self.error(f"sources.{name}.date", f"is {date!r}; write it like 2025, 2025-06 or 2025-06-30")
        return Fact(self.text(f"sources.{name}.text", table["text"]), date)


def _key(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")


@cache
def _stems() -> dict[str, str]:
    """Every name and alias, and the stem of its file. Only the head of each file is read: what comes before its first table."""
    stems: dict[str, str] = {}
    for file in sorted(DIRECTORY.glob("*.toml")):
        head, _, _ = file.read_text(encoding="utf-8").partition("\n[")
        try:
            aliases = tomllib.loads(head).get("aliases", [])
        except ValueError as problem:
            raise CatalogError(f"accelerator file {file} cannot be read: {problem}") from problem
        for name in (file.stem, *aliases):
            if stems.setdefault(_key(name), file.stem) != file.stem:
                raise CatalogError(f"accelerator file {file}: the name {name!r} already means {stems[_key(name)]}")
    return stems
