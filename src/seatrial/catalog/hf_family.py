"""What a `model_type` implies that its config.json does not say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from seatrial.catalog.hf_keys import Keys
from seatrial.core.model import FeedForward, Mixer

Mixers = Callable[[Keys, "Family"], list[Mixer | None]]
FeedForwards = Callable[[Keys, "Family"], list[FeedForward | None]]
Window = Callable[[Keys, int], int | None]


def no_window(keys: Keys, layer: int) -> int | None:
    return None


def no_others(keys: Keys) -> int:
    return 0


@dataclass(frozen=True)
class Family:
    """The structure behind one `model_type`.

    A bias that is None is decided by the key `attention_bias` or `mlp_bias`; `output_bias` None follows the query's.
    `norm_vectors` is 1 for RMSNorm (a weight), 2 for LayerNorm (a weight and a bias).
    `others` counts what is neither in a layer nor an embedding nor the final norm: learned positions, an embedding norm.
    """

    mixers: Mixers
    feed_forwards: FeedForwards
    qkv_bias: bool | None = None
    output_bias: bool | None = None
    mlp_bias: bool | None = None
    gated: bool = True
    qk_norm: Literal["none", "head", "full", "key"] = "none"  # of each head, of all heads together, or as `use_qk_norm` says
    output_gate: bool = False
    sinks: bool = False
    router_bias: bool = False
    expert_bias: bool = False
    shared_expert_gate: bool = False
    norms_per_layer: int = 2
    norm_vectors: int = 1
    tied: bool = False
    window: Window = no_window
    others: Callable[[Keys], int] = no_others
    defaults: Mapping[str, object] = field(default_factory=dict)
