"""Models by name or by path: the catalogue's tables, or anyone's `config.json`, through the same reader."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from seatrial.catalog.hf_config import from_hf_config
from seatrial.core.errors import CatalogError, in_words, nearest
from seatrial.core.model import ModelSpec, Sampling

DATA = Path(__file__).parent / "data" / "models"
LISTED = "`seatrial catalog models` lists them"
WHAT_TO_GIVE = f"one of the catalogue ({LISTED}), or a path to a config.json"


class ModelFacts(NamedTuple):
    """What the catalogue says of a model besides its shape. `note` says what its parameter count leaves out, if anything."""

    name: str
    published_parameters: int
    source: str
    aliases: tuple[str, ...]
    note: str


def load_model(name_or_path: str) -> ModelSpec:
    """A model of the catalogue, by its name or Hugging Face id in any case, or of a `config.json` or a directory that holds one."""
    if not name_or_path.strip():
        raise CatalogError(f"the name of the model is empty; give {WHAT_TO_GIVE}")
    if (found := find(name_or_path)) is not None:
        name, family = found
        spec = from_hf_config(config_of(name, family), name, place=f"the catalogue's {name}", source=family[name]["source"])
        return replace(spec, sampling=sampling_of(generation_config_of(name, family)))
    path = Path(name_or_path).expanduser()
    if path.exists():
        return read_config(path)
    if name_or_path.endswith(".json") or name_or_path.startswith((".", "/", "~")):
        raise CatalogError(f"there is no file {name_or_path}; give a config.json, a directory that holds one, or a name of the catalogue")
    raise CatalogError(
        f"no model is called {name_or_path!r} ({LISTED}), nor is it a path to a config.json; "
        f"{nearest(name_or_path, model_names(), aliases=spellings())}"
    )


def model_names() -> list[str]:
    """All names of the catalogue, in alphabetical order."""
    return sorted(name for family in families() for name in family)


def model_facts(name: str) -> ModelFacts:
    """The facts behind a catalogue name or alias."""
    if (found := find(name)) is None:
        if not name.strip():
            raise CatalogError(f"the name of the model is empty; give {WHAT_TO_GIVE}")
        raise CatalogError(f"the catalogue has no model {name!r} ({LISTED}); {nearest(name, model_names(), aliases=spellings())}")
    key, family = found
    table = family[key]
    return ModelFacts(key, published_parameters(key, family), table["source"], tuple(table["aliases"]), table.get("note", ""))


def read_config(path: Path) -> ModelSpec:
    """The model of a config.json; hf_quant_config.json beside it may say how it is quantised, generation_config.json how it samples."""
    file = path / "config.json" if path.is_dir() else path
    if file.exists() and not file.is_file():
        raise CatalogError(f"{file} is a device or a pipe; give a config.json or a directory that holds one")
    config = read_json(file)
    beside = file.parent / "hf_quant_config.json"
    if "quantization_config" not in config and beside.is_file():
        config["quantization_config"] = {"quant_method": "modelopt", **read_json(beside)}
    spec = from_hf_config(config, file.resolve().parent.name if file.name == "config.json" else file.stem, place=str(file))
    generation = file.parent / "generation_config.json"
    return replace(spec, sampling=sampling_of(read_json(generation)) if generation.is_file() else Sampling())


def sampling_of(generation_config: Mapping[str, Any]) -> Sampling:
    """What a `generation_config.json` asks for, as vLLM reads it: a `top_p` of 1 and a `top_k` of 0 or less restrict nothing."""
    top_p, top_k, penalty = (generation_config.get(name) for name in ("top_p", "top_k", "repetition_penalty"))
    sorts = (isinstance(top_p, int | float) and top_p < 1) or (isinstance(top_k, int) and top_k > 0)
    return Sampling(sorts, isinstance(penalty, int | float) and penalty != 1)


def read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CatalogError(f"{file.parent} has no {file.name}; give a directory or file with a model's config.json") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise CatalogError(f"{file} cannot be read ({in_words(problem)}); a config.json in UTF-8 is needed") from None
    except json.JSONDecodeError as problem:
        raise CatalogError(f"{file} is not JSON (line {problem.lineno}: {problem.msg}); a config.json is needed") from None
    if not isinstance(content, dict):
        raise CatalogError(f"{file} holds a {type(content).__name__}; a config.json is an object with keys such as 'hidden_size'")
    return content


# The tables, a file per family. `Any` because a table is what its file says; from_hf_config checks each key that it uses.

Family = dict[str, dict[str, Any]]


def find(name: str) -> tuple[str, Family] | None:
    """The catalogue's name for a name or alias, and its family. Only files that mention the name are parsed."""
    wanted = name.lower()
    for file in files():
        if wanted in text_of(file).lower():
            for key, table in parse(file).items():
                if wanted == key or wanted in (alias.lower() for alias in table["aliases"]):
                    return key, parse(file)
    return None


def config_of(name: str, family: Family) -> dict[str, Any]:
    """The keys of a model's config.json: its own over those of the model in the same file that it is `based_on`.

    TOML has no null; `null` lists the keys that are null in the original.
    """
    table = family[name]
    inherited = config_of(table["based_on"], family) if "based_on" in table else {}
    return {**inherited, **table.get("config", {}), **dict.fromkeys(table.get("null", ()))}


def generation_config_of(name: str, family: Family) -> dict[str, Any]:
    """What a checkpoint says of sampling, or the one that it is `based_on`."""
    table = family[name]
    inherited = generation_config_of(table["based_on"], family) if "based_on" in table else {}
    return {**inherited, **table.get("generation_config", {})}


def published_parameters(name: str, family: Family) -> int:
    table = family[name]
    return int(table["published_parameters"]) if "published_parameters" in table else published_parameters(table["based_on"], family)


def spellings() -> set[str]:
    """All names and aliases."""
    return {word for family in families() for name, table in family.items() for word in (name, *table["aliases"])}


def families() -> Iterator[Family]:
    return (parse(file) for file in files())


@cache
def files() -> tuple[Path, ...]:
    return tuple(sorted(DATA.glob("*.toml")))


@cache
def text_of(file: Path) -> str:
    return file.read_text(encoding="utf-8")


@cache
def parse(file: Path) -> Family:
    return tomllib.loads(text_of(file))
