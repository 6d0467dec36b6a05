"""What a points file calls accelerators and models, in the words of our catalogue."""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, ValidationError

from seatrial.catalog import accelerator_names, load_accelerator, load_model, model_names
from seatrial.catalog.models import find
from seatrial.catalog.requantize import QUANTIZATIONS, has_experts, weight_format
from seatrial.core.door import sentence
from seatrial.core.errors import CatalogError, PointsError, ScenarioError, nearest
from seatrial.trial.yaml_file import read_yaml
from seatrial.validate.unsimulated import Unsimulated
from seatrial.workload.spec import Spec

WHAT = "a mapping file is YAML with the tables accelerators and models"
BUILTIN = Path(__file__).parent / "data" / "names.yaml"


class ModelName(Spec):
    """A model of the catalogue. `quantization` and `kv_cache_dtype` are what the name implies; `formats` are checkpoints of their own."""

    model: str
    quantization: str | None = None
    kv_cache_dtype: str | None = None
    formats: dict[str, str] = {}  # noqa: RUF012  # pydantic copies it


def _named(value: object) -> object:
    return {"model": value} if isinstance(value, str) else value


class Names(Spec):
    """A mapping file. Names that the catalogue knows itself need not be in it."""

    accelerators: dict[str, str] = {}  # noqa: RUF012
    models: dict[str, Annotated[ModelName, BeforeValidator(_named)]] = {}  # noqa: RUF012


class Served(NamedTuple):
    """A model as it was served."""

    model: str
    quantization: str | None
    kv_cache_dtype: str | None


def read_names(file: Path | None = None) -> Names:
    """The built-in names, and over them those of a mapping file."""
    builtin = _read(BUILTIN)
    if file is None:
        return builtin
    try:
        given = _read(file)
    except ScenarioError as problem:
        raise PointsError(f"--mapping: {problem}") from None
    for place, load, named in (
        ("accelerators", load_accelerator, given.accelerators),
        ("models", load_model, {theirs: entry.model for theirs, entry in given.models.items()}),
    ):
        for theirs, ours in named.items():
            try:
                load(ours)
            except CatalogError as problem:
                raise PointsError(f"--mapping {file}: {place}.{theirs}: {problem}") from None
    return Names(accelerators=builtin.accelerators | given.accelerators, models=builtin.models | given.models)


def _read(file: Path) -> Names:
    try:
        return Names.model_validate(read_yaml(file, WHAT))
    except ValidationError as error:
        raise PointsError(sentence(error, f"--mapping {file}", Names)) from None


def accelerator_name(names: Names, gpu: str) -> str:
    """The catalogue's name of what the points file calls `gpu`."""
    if not gpu:
        raise Unsimulated("the accelerator is not stated")
    if (found := _accelerator(names.accelerators.get(gpu, gpu))) is None:
        raise Unsimulated(_unknown("accelerator", gpu, (*names.accelerators, *accelerator_names())))
    return found


def served_model(names: Names, name: str, precision: str) -> Served:
    """The catalogue's model, and in which format it was served. A checkpoint that is in a format of that width already is left as it is."""
    if (entry := names.models.get(name) or _own_name(name)) is None:
        raise Unsimulated(_unknown("model", name, (*names.models, *model_names())))
    own, experts = model_facts(entry.model)
    wanted = weights_of(precision, has_experts=experts) or entry.quantization
    if wanted in entry.formats:
        return Served(entry.formats[wanted], None, entry.kv_cache_dtype)
    alike = wanted is None or wanted == own or WIDTHS.get(wanted) == WIDTHS.get(own)
    return Served(entry.model, None if alike else wanted, entry.kv_cache_dtype)


@cache
def _unknown(kind: str, name: str, known: tuple[str, ...]) -> str:
    close = nearest(name, known, most=2)
    hint = f"; {close}" if close.endswith("?") else ""
    return f"the catalogue has no {kind} {name!r}, nor do the mapped names{hint}; a --mapping FILE can say which {kind} it is"


WIDTHS = {"bf16": 16, "fp16": 16, "fp8": 8, "fp8_block": 8, "nvfp4": 4, "mxfp4": 4}


class ModelFacts(NamedTuple):
    weight_format: str
    has_experts: bool


@cache
def model_facts(model: str) -> ModelFacts:
    spec = load_model(model)
    return ModelFacts(weight_format(spec).name, has_experts(spec))


@cache
def _accelerator(name: str) -> str | None:
    """The catalogue's own name, if it is one of its names."""
    try:
        return load_accelerator(name).name
    except CatalogError:
        return None


@cache
def _own_name(model: str) -> ModelName | None:
    found = find(model)
    return ModelName(model=found[0]) if found else None


def weights_of(precision: str, *, has_experts: bool) -> str | None:
    """The format of the weights in a `precision` like `fp8` or `fp8 (gemm fp8, moe fp8_block)`; None where it says nothing."""
    part = re.search(r"moe (\w+)" if has_experts else r"gemm (\w+)", precision)
    word = (part.group(1) if part else re.split(r"[ (/]", precision, maxsplit=1)[0]).lower()
    if word in ("", "nan", "none", "unset"):
        return None
    if (found := WORDS.get(word, word)) not in QUANTIZATIONS:
        raise Unsimulated(f"weights in {precision!r} are not simulated")
    return found


WORDS = {"fp4": "nvfp4", "bfloat16": "bf16", "fp16": "bf16", "float16": "bf16"}
