"""Engine profiles by name and version: a data file each, checked on the way in; one may say only how it differs from another."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from seatrial.catalog.data_file import DataFile
from seatrial.core.engine_profile import EngineProfile, Setting
from seatrial.core.errors import CatalogError, nearest

ENGINES = Path(__file__).parent / "data" / "engines"
OTHER = ("name", "scheduler", "defaults", "sources")
NUMBERS = tuple(field.name for field in fields(EngineProfile) if field.name not in OTHER)
OPTIONAL = ("attention_memory", "narrow_attention_memory")
ALIASES = {"trtllm": "tensorrt-llm", "trt-llm": "tensorrt-llm"}


def load_engine(name: str, architecture: str = "") -> EngineProfile:
    """The profile of `vllm-0.15`, say; with what it says of this architecture.

    A version that has no profile gets that of the nearest one before it, or the oldest; a name alone the newest. A name that ends in
    `.toml` is a file.
    """
    if name.endswith(".toml"):
        return read_engine(Path(name), architecture)
    return read_engine(ENGINES / f"{profile_name(name)}.toml", architecture)


def engine_names() -> list[str]:
    return sorted((file.stem for file in ENGINES.glob("*.toml")), key=lambda name: (family_of(name), version_of(name)))


def profile_name(name: str) -> str:
    """The shipped profile that stands for this engine and version."""
    family, version = family_of(name), version_of(name)
    known = [each for each in engine_names() if family_of(each) == family]
    if not known:
        families = sorted({family_of(each) for each in engine_names()})
        raise CatalogError(f"no engine {name!r}; {nearest(family, families)}, with a version or without, or give a .toml file")
    if not version:
        return known[-1]
    return max((each for each in known if version_of(each) <= version), key=version_of, default=known[0])


def family_of(name: str) -> str:
    family = re.sub(r"-v?\d[\w.]*$", "", name.lower())
    return ALIASES.get(family, family)


def version_of(name: str) -> tuple[int, ...]:
    """(0, 15) of `vllm-0.15.1`: releases within a minor version are taken as alike. Empty without a version."""
    found = re.search(r"-v?(\d+(?:\.\d+)*)[\w.]*$", name)
    return tuple(int(part) for part in found.group(1).split(".")[:2]) if found else ()


def read_engine(file: Path, architecture: str = "") -> EngineProfile:
    """The engine of one data file, whose stem is its name.

    What it lacks is taken from its `base`, a shipped profile. Numbers under `on.ARCHITECTURE` take the place of those above them.
    """
    entry = DataFile(file, "engine")
    root = entry.table("", required=("sources",), optional=("base", "scheduler", "defaults", "on", *NUMBERS))
    base = _base(entry, architecture) if "base" in root else None
    found: dict[str, Any] = dict.fromkeys(OPTIONAL) if base is None else {name: getattr(base, name) for name in (*NUMBERS, *OTHER)}
    special = entry.table("on", optional=tuple(root["on"])) if "on" in root else {}
    if architecture in special:
        entry.table(f"on.{architecture}", optional=NUMBERS)
    for name in NUMBERS:
        place = f"on.{architecture}.{name}" if name in special.get(architecture, {}) else name
        if place != name or name in root:
            found[name] = entry.number(place, zero=True)
        elif name not in found:
            raise entry.error("", f"has no {name!r}; give it, or a base that has it")
    if "scheduler" in root:
        found["scheduler"] = entry.text("scheduler", root["scheduler"])
    elif base is None:
        raise entry.error("", "has no 'scheduler'; give it, or a base that has it")
    defaults = entry.table("defaults", optional=tuple(root["defaults"])) if "defaults" in root else {}
    settings: dict[str, Setting] = {name: entry.setting(f"defaults.{name}") for name in defaults}
    sources = {place.rpartition(".")[2]: fact for place, fact in entry.facts.items()}
    found |= {
        "name": file.stem,
        "defaults": (dict(base.defaults) if base else {}) | settings,
        "sources": (dict(base.sources) if base else {}) | sources,
    }
    return EngineProfile(**found)


def _base(entry: DataFile, architecture: str) -> EngineProfile:
    name = entry.text("base", entry.root["base"])
    if name.endswith(".toml"):
        raise entry.error("base", f"is {name!r}; it must be a profile that ships, like vllm-0.15")
    return load_engine(name, architecture)
