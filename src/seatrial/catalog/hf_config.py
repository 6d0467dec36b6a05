"""A `config.json`, as Hugging Face publishes it, read into a `ModelSpec`.

Layers that we do not understand are refused with a sentence. Only the language model counts: vision and audio towers, and layers for
multi-token prediction (`num_nextn_predict_layers`), are left out.
"""

from collections import Counter
from collections.abc import Mapping

from seatrial.catalog.hf_families import FAMILIES, HARMLESS, PLAIN, TEXT_PARTS, TEXT_TYPES
from seatrial.catalog.hf_family import Family
from seatrial.catalog.hf_keys import Keys
from seatrial.catalog.quantization import compute_format, read_formats
from seatrial.core.errors import CatalogError, nearest
from seatrial.core.model import FeedForward, Layers, Mixer, ModelSpec

MOST_LAYERS = 10_000


def from_hf_config(config: Mapping[str, object], name: str, *, place: str = "", source: str = "") -> ModelSpec:
    """The model that a `config.json` describes; `place` is what error messages call it.

    A `model_type` that is not known is read as a plain dense or MoE transformer, if none of its keys says otherwise.
    """
    place = place or f"the config.json of {name}"
    keys, quantization = text_part(config, place)
    model_type = keys.text("model_type")
    if not model_type:
        raise CatalogError(f"{place} has no 'model_type'; the config.json of a language model says one, such as 'llama' or 'qwen3'")
    if (family := FAMILIES.get(TEXT_TYPES.get(model_type, model_type))) is not None:
        return build(keys.with_defaults(family.defaults), family, quantization, name, source or place)
    try:
        spec = build(keys, PLAIN, quantization, name, source or place)
    except CatalogError as problem:
        raise CatalogError(f"{problem} (model_type {model_type!r} is not known and was read as a plain transformer)") from None
    refuse_strange_keys(keys, model_type)
    return spec


def build(keys: Keys, family: Family, quantization: Keys | None, name: str, source: str) -> ModelSpec:
    hidden = keys.integer("hidden_size")
    norm = family.norm_vectors * hidden
    if (num_layers := keys.integer("num_hidden_layers")) > MOST_LAYERS:
        raise keys.wrong("num_hidden_layers", num_layers, f"a number of at most {MOST_LAYERS}")
    pairs = list(zip(family.mixers(keys, family), family.feed_forwards(keys, family)))
    return ModelSpec(
        name=name,
        hidden_size=hidden,
        vocab_size=keys.integer("vocab_size"),
        max_position_embeddings=keys.integer("max_position_embeddings"),
        layers=grouped(pairs, norms_of(keys, family) * norm),
        tie_word_embeddings=keys.flag("tie_word_embeddings", family.tied),
        embedding_size=keys.maybe_integer("word_embed_proj_dim"),
        num_other_parameters=family.others(keys) + (norm if keys.flag("do_layer_norm_before", True) else 0),
        formats=read_formats(quantization, compute_format(keys), pairs),
        source=source,
    )


def text_part(config: Mapping[str, object], place: str) -> tuple[Keys, Keys | None]:
    """The keys of the language model, which may be nested, and the quantisation, which may stand inside or outside."""
    outer = Keys(config, place)
    quantization = outer.table("quantization_config") or outer.table("compression_config")
    if "hidden_size" in outer:
        return outer, quantization
    for part in TEXT_PARTS:
        inner = config.get(part)
        if isinstance(inner, dict):
            shared = {k: config[k] for k in ("model_type", "torch_dtype", "dtype", "tie_word_embeddings") if k in config}
            keys = Keys({**shared, **inner}, f"{place}, {part}")
            return keys, quantization or keys.table("quantization_config")
    return outer, quantization


def refuse_strange_keys(keys: Keys, model_type: str) -> None:
    """Of an unknown type, each key must be one that a plain dense or MoE transformer has, or change nothing that we count."""
    strange = [key for key in keys.unseen() if key not in HARMLESS]
    if strange:
        raise CatalogError(
            f"{keys.place} has model_type {model_type!r}, which is not known, and keys that no plain dense or MoE transformer has: "
            f"{', '.join(strange[:5])}{' ...' if len(strange) > 5 else ''}; {nearest(model_type, FAMILIES)}"
        )


def norms_of(keys: Keys, family: Family) -> int:
    """How many norms a layer has; Falcon's number depends on how attention and feed-forward are joined."""
    if keys.text("model_type") != "falcon":
        return family.norms_per_layer
    if keys.flag("new_decoder_architecture"):
        return keys.integer("num_ln_in_parallel_attn", 2)
    return 1 if keys.flag("parallel_attn", True) else 2


def grouped(pairs: list[tuple[Mixer | None, FeedForward | None]], num_norm_parameters: int) -> tuple[Layers, ...]:
    """Layers that are alike, counted, in the order in which they first appear."""
    return tuple(Layers(count, mixer, block, num_norm_parameters) for (mixer, block), count in Counter(pairs).items())
