"""Models for people: all that are known, or all about one."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import RenderableType
from rich.table import Table

from seatrial.catalog import ModelFacts
from seatrial.core.model import Attention, FeedForward, LatentAttention, Layers, Mixer, Mlp, ModelSpec, Moe, StateSpace
from seatrial.core.units import GIB, KIB, bytes_text
from seatrial.report.tables import paragraph, table

LEGEND = (
    "Parameters (total, active) in 10^9, weights in GiB and the format of most of them, KV cache in KiB per token (+ a state per "
    "sequence), context in tokens (K: 1024). `seatrial catalog models NAME` tells all about one, and NAME may be the path of a config.json."
)


class Weights(NamedTuple):
    """Those parts of a model's weights that share a name and a format."""

    part: str
    num_parameters: int
    format: str
    bytes: float


def weights_of(spec: ModelSpec) -> list[Weights]:
    numbers: dict[tuple[str, str, float], int] = {}
    for name, number, (form, size) in spec.parts():
        numbers[name, form, size] = numbers.get((name, form, size), 0) + number
    return [Weights(name, number, form, number * size) for (name, form, size), number in numbers.items() if number]


def main_format(spec: ModelSpec) -> str:
    """The number format that most of the weights' bytes are in."""
    sizes: dict[str, float] = {}
    for weights in weights_of(spec):
        sizes[weights.format] = sizes.get(weights.format, 0.0) + weights.bytes
    return max(sizes, key=lambda name: sizes[name])


def models_report(known: Sequence[ModelSpec]) -> Iterator[RenderableType]:
    made = table("<model", "total", "active", "GiB", "<format", "KV", "layers", "context")
    made.padding = (0, 1, 0, 0)  # two spaces between columns, so that all fit in 80 characters
    made.show_edge = False
    for spec in known:
        made.add_row(
            spec.name,
            short(spec.num_parameters / 1e9),
            short(spec.num_active_parameters / 1e9),
            short(spec.weight_bytes / GIB),
            main_format(spec),
            kibibytes(spec.kv_bytes_per_token()) + ("+" if spec.state_bytes_per_sequence() else ""),
            f"{spec.num_layers}",
            f"{spec.max_position_embeddings / 1024:g}K",
        )
    yield made
    yield paragraph(f"{len(known)} models. {LEGEND}")


def short(number: float) -> str:
    """In at most five characters."""
    return f"{number:.{2 if number < 100 else 1 if number < 1000 else 0}f}"


def kibibytes(size: float) -> str:
    return f"{size / KIB:.1f}" if size < 1000 * KIB else f"{size / KIB:.0f}"


def model_report(spec: ModelSpec, facts: ModelFacts | None) -> Iterator[RenderableType]:
    """Without `facts` the model is not one of the catalogue."""
    for name, text in model_lines(spec, facts):
        if text:
            yield paragraph(text, label=f"{name:<13}")
    yield weights_table(spec)


def model_lines(spec: ModelSpec, facts: ModelFacts | None) -> Iterator[tuple[str, str]]:
    window, state = spec.attention_window, spec.state_bytes_per_sequence()
    active = spec.num_active_parameters
    yield "parameters", f"{spec.num_parameters:,}" + (f", of which a token uses {active:,}" if active != spec.num_parameters else "")
    if facts is not None:
        off = spec.num_parameters / facts.published_parameters - 1
        yield "published", f"{facts.published_parameters:,}, so ours differ by {off:.2%}"
        yield "note", facts.note
        yield "also called", ", ".join(facts.aliases)
    yield "source", spec.source
    yield "context", f"{spec.max_position_embeddings:,} tokens" + (f", windows of {window:,}" if window else "")
    yield "hidden size", f"{spec.hidden_size:,}"
    yield "vocabulary", f"{spec.vocab_size:,}" + (", the head tied to the embedding" if spec.tie_word_embeddings else "")
    for place, group in enumerate(spec.layers):
        yield "" if place else "layers", layer_text(group)
    yield "KV cache", f"{bytes_text(spec.kv_bytes_per_token())} per token, in {spec.formats.kv_cache.name}"
    yield "state", f"{bytes_text(state)} per sequence" if state else ""
    yield "weights", f"{bytes_text(spec.weight_bytes)}, mostly in {main_format(spec)}"


def weights_table(spec: ModelSpec) -> Table:
    made = table("<part", "parameters", "<format", "GiB")
    for weights in weights_of(spec):
        made.add_row(weights.part, f"{weights.num_parameters:,}", weights.format, f"{weights.bytes / GIB:.3f}")
    return made


def layer_text(group: Layers) -> str:
    return f"{group.count} x " + ", ".join(text for text in (mixer_text(group.mixer), feed_forward_text(group.feed_forward)) if text)


def mixer_text(mixer: Mixer | None) -> str:
    match mixer:
        case Attention(num_heads=heads, num_kv_heads=kv_heads, head_dim=dim, window=window):
            return f"attention of {heads} heads ({kv_heads} KV) of {dim}" + (f" over {window:,} tokens" if window else "")
        case LatentAttention(num_heads=heads, kv_lora_rank=rank, qk_rope_head_dim=rope):
            return f"latent attention of {heads} heads ({rank} + {rope} cached)"
        case StateSpace(state_elements=elements):
            return f"recurrent mixer (state of {elements:,} numbers)"
        case None:
            return ""


def feed_forward_text(block: FeedForward | None) -> str:
    match block:
        case Mlp(intermediate_size=width):
            return f"MLP of {width:,}"
        case Moe(num_experts=number, num_experts_per_tok=chosen, intermediate_size=width, shared_intermediate_size=shared):
            return f"{chosen} of {number} experts of {width:,}" + (f", shared {shared:,}" if shared else "")
        case None:
            return ""
