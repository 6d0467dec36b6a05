"""`seatrial catalog models`, `accelerators` and `engines`: what is known by name, and where its numbers come from."""

from dataclasses import asdict, replace
from typing import Annotated

from cyclopts import Parameter

from seatrial.catalog import ModelFacts, accelerator_names, engine_names, load_accelerator, load_engine, load_model, model_facts
from seatrial.catalog.models import families, find
from seatrial.cli.flags import Json
from seatrial.cli.output import print_json, show
from seatrial.core.accelerator import Accelerator
from seatrial.core.engine_profile import EngineProfile
from seatrial.core.model import FeedForward, Mixer, ModelSpec
from seatrial.report.accelerators import accelerator_report, accelerators_report
from seatrial.report.engines import engine_report, engines_report
from seatrial.report.models import main_format, model_report, models_report, weights_of


def models(
    name: Annotated[str | None, Parameter(help="a name or alias, or the path of a config.json: all about this one")] = None,
    /,
    *,
    json: Json = False,
) -> None:
    if name is None:
        known = [load_model(each) for each in by_family_and_size()]
        if json:
            print_json({"models": [model_row(spec) for spec in known]})
        else:
            show(*models_report(known))
        return
    spec = load_model(name)
    facts = model_facts(name) if find(name) else None
    if json:
        print_json(model_figures(spec, facts))
    else:
        show(spec.name, *model_report(spec, facts))


def accelerators(
    name: Annotated[str | None, Parameter(help="a name or alias, or the path of a .toml file: every number of this one")] = None,
    /,
    *,
    json: Json = False,
) -> None:
    if name is None:
        known = [load_accelerator(each) for each in accelerator_names()]
        if json:
            print_json({"accelerators": [accelerator_figures(each) for each in known]})
        else:
            show(*accelerators_report(known))
        return
    found = load_accelerator(name)
    if json:
        print_json(accelerator_figures(found))
    else:
        show(found.name, *accelerator_report(found))


def engines(
    name: Annotated[str | None, Parameter(help="a name, with or without a version, or the path of a .toml file: all about it")] = None,
    /,
    *,
    json: Json = False,
) -> None:
    if name is None:
        known = [load_engine(each) for each in engine_names()]
        if json:
            print_json({"engines": [engine_figures(each) for each in known]})
        else:
            show(*engines_report(known))
        return
    found = load_engine(name)
    if json:
        print_json(engine_figures(found))
    else:
        show(found.name, *engine_report(found))


def by_family_and_size() -> list[str]:
    return [name for family in families() for name in sorted(family, key=lambda name: load_model(name).num_parameters)]


def model_row(spec: ModelSpec) -> dict[str, object]:
    return {
        "name": spec.name,
        "num_parameters": spec.num_parameters,
        "num_active_parameters": spec.num_active_parameters,
        "weight_bytes": spec.weight_bytes,
        "weight_format": main_format(spec),
        "kv_bytes_per_token": spec.kv_bytes_per_token(),
        "state_bytes_per_sequence": spec.state_bytes_per_sequence(),
        "num_layers": spec.num_layers,
        "max_position_embeddings": spec.max_position_embeddings,
    }


def model_figures(spec: ModelSpec, facts: ModelFacts | None) -> dict[str, object]:
    layers = [{"count": group.count, "mixer": named(group.mixer), "feed_forward": named(group.feed_forward)} for group in spec.layers]
    shape = {name: getattr(spec, name) for name in ("hidden_size", "vocab_size", "tie_word_embeddings", "source")}
    published = {} if facts is None else {"published_parameters": facts.published_parameters, "aliases": facts.aliases, "note": facts.note}
    parts = [weights._asdict() for weights in weights_of(spec)]
    return {**model_row(spec), **shape, **published, "layers": layers, "weights": parts}


def named(part: Mixer | FeedForward | None) -> dict[str, object] | None:
    return None if part is None else {"kind": type(part).__name__, **asdict(part)}


def accelerator_figures(found: Accelerator) -> dict[str, object]:
    plain = asdict(found)
    links = {name: getattr(found, name)._asdict() for name in ("scale_up", "scale_out", "host")}
    return {**plain, **links, "sources": {place: fact._asdict() for place, fact in found.sources.items()}}


def engine_figures(found: EngineProfile) -> dict[str, object]:
    sources = {name: fact._asdict() for name, fact in found.sources.items()}
    return {**asdict(replace(found, sources={}, defaults={})), "defaults": dict(found.defaults), "sources": sources}
