"""Accelerators by name: one data file each, checked on the way in."""

import tomllib
from functools import cache
from pathlib import Path

from seatrial.catalog.data_file import DataFile
from seatrial.core.accelerator import Accelerator, Link
from seatrial.core.errors import CatalogError, in_words, nearest

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
    entry = DataFile(file, "accelerator")
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
        scale_up=_link(entry, "scale_up"),
        scale_out=_link(entry, "scale_out"),
        host=_link(entry, "host"),
        devices_per_node=entry.count("device.devices_per_node"),
        tdp=entry.number("device.tdp"),
        idle_power=entry.number("device.idle_power"),
        price_per_hour=entry.number("device.price_per_hour"),
        sources=entry.facts,
        aliases=entry.texts("aliases", root.get("aliases", [])),
    )


def _link(entry: DataFile, place: str) -> Link:
    table = entry.table(place, required=("name", "bandwidth", "latency"))
    return Link(entry.text(f"{place}.name", table["name"]), entry.number(f"{place}.bandwidth"), entry.number(f"{place}.latency"))


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
            raise CatalogError(f"accelerator file {file} cannot be read: {in_words(problem)}") from problem
        for name in (file.stem, *aliases):
            if stems.setdefault(_key(name), file.stem) != file.stem:
                raise CatalogError(f"accelerator file {file}: the name {name!r} already means {stems[_key(name)]}")
    return stems
