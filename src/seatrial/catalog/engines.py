"""Engine profiles by name: one data file each, checked on the way in."""

from dataclasses import fields
from pathlib import Path

from seatrial.catalog.data_file import DataFile
from seatrial.core.engine_profile import EngineProfile
from seatrial.core.errors import CatalogError, nearest

ENGINES = Path(__file__).parent / "data" / "engines"
NUMBERS = tuple(field.name for field in fields(EngineProfile) if field.name not in ("name", "sources"))
OPTIONAL = ("attention_memory",)


def load_engine(name: str, architecture: str = "") -> EngineProfile:
    """The profile of this name, or of a data file if `name` ends in `.toml`; with what the file says of this architecture."""
    if name.endswith(".toml"):
        return read_engine(Path(name), architecture)
    if name not in engine_names():
        raise CatalogError(f"no engine {name!r}; {nearest(name, engine_names())}")
    return read_engine(ENGINES / f"{name}.toml", architecture)


def engine_names() -> list[str]:
    return sorted(file.stem for file in ENGINES.glob("*.toml"))


def read_engine(file: Path, architecture: str = "") -> EngineProfile:
    """The engine of one data file, whose stem is its name. Numbers under `on.ARCHITECTURE` take the place of those above them."""
    entry = DataFile(file, "engine")
    root = entry.table("", required=("sources", *(name for name in NUMBERS if name not in OPTIONAL)), optional=(*OPTIONAL, "on"))
    special = entry.table("on", optional=tuple(root["on"])) if "on" in root else {}
    if architecture in special:
        entry.table(f"on.{architecture}", optional=NUMBERS)
    values: dict[str, float | None] = dict.fromkeys(OPTIONAL)
    for name in NUMBERS:
        place = f"on.{architecture}.{name}" if name in special.get(architecture, {}) else name
        if name not in OPTIONAL or place != name or name in root:
            values[name] = entry.number(place, zero=True)
    sources = {place.rpartition(".")[2]: fact for place, fact in entry.facts.items()}
    return EngineProfile(name=file.stem, sources=sources, **values)  # type: ignore[arg-type]  # only the optional ones can be None
