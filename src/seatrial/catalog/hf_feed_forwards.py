"""Feed-forward blocks, dense and mixtures of experts, layer by layer, from a config.json."""

from seatrial.catalog.hf_family import Family
from seatrial.catalog.hf_keys import Keys
from seatrial.catalog.hf_mixers import nemotron_pattern
from seatrial.core.model import FeedForward, Mlp, Moe


def plain(keys: Keys, family: Family) -> list[FeedForward | None]:
    """Dense everywhere, or experts in the layers that the usual keys name."""
    count = keys.integer("num_hidden_layers")
    if keys.integer("num_experts", 0, least=0) <= 1:
        return [dense(keys, family)] * count
    sparse = [is_sparse(keys, i) for i in range(count)]
    experts = moe(keys, family)
    return [experts if s else dense(keys, family) for s in sparse]


def is_sparse(keys: Keys, layer: int) -> bool:
    """Whether a layer of a mixture has experts: the ways in which DeepSeek, Qwen and Llama 4 leave some dense."""
    if types := keys.words("mlp_layer_types"):
        return layer < len(types) and types[layer] == "sparse"
    if (sparse := keys.integers("moe_layers")) is not None:
        return layer in sparse
    if layer < keys.integer("first_k_dense_replace", 0, least=0) or layer in (keys.integers("mlp_only_layers") or ()):
        return False
    if layer % keys.integer("moe_layer_freq", 1):
        return False
    return (layer + 1) % keys.integer("decoder_sparse_step", 1) == 0 and (layer + 1) % keys.integer("interleave_moe_layer_step", 1) == 0


def jamba(keys: Keys, family: Family) -> list[FeedForward | None]:
    period, offset = keys.integer("expert_layer_period", 2), keys.integer("expert_layer_offset", 1, least=0)
    count, experts = keys.integer("num_hidden_layers"), moe(keys, family)
    return [experts if i % period == offset else dense(keys, family) for i in range(count)]


def granite_hybrid(keys: Keys, family: Family) -> list[FeedForward | None]:
    """Granite 4: a shared block in every layer, beside it experts; without experts the shared block is all there is."""
    count, width = keys.integer("num_hidden_layers"), keys.integer("shared_expert_intermediate_size")
    one = moe(keys, family) if keys.integer("num_experts", 0, least=0) else Mlp(width)
    return [one] * count


def nemotron(keys: Keys, family: Family) -> list[FeedForward | None]:
    """Nemotron-H: squared ReLU, so two matrices, in the layers that are for it."""
    if "moe_latent_size" in keys:
        raise keys.wrong("moe_latent_size", keys.integer("moe_latent_size"), "no such key (experts in a latent space are not modelled)")
    pattern = nemotron_pattern(keys)
    kinds: dict[str, FeedForward | None] = {"M": None, "*": None}
    if "-" in pattern:
        kinds["-"] = dense(keys, family)
    if "E" in pattern:
        kinds["E"] = moe(keys, family)
    return [kinds[kind] for kind in pattern]


def dense(keys: Keys, family: Family) -> Mlp:
    hidden = keys.integer("hidden_size")
    width = keys.integer("intermediate_size_mlp", keys.integer("intermediate_size"))
    bias = keys.flag("mlp_bias") if family.mlp_bias is None else family.mlp_bias
    return Mlp(width, family.gated, (hidden + width * (2 if family.gated else 1)) if bias else 0)


def four_times(keys: Keys, family: Family) -> list[FeedForward | None]:
    """BLOOM and Falcon: four times as wide as the model unless a width is given."""
    hidden = keys.integer("hidden_size")
    width = keys.integer("intermediate_size", 4 * hidden)
    return [Mlp(width, family.gated, hidden + width if family.mlp_bias or keys.flag("bias") else 0)] * keys.integer("num_hidden_layers")


def moe(keys: Keys, family: Family) -> Moe:
    hidden, num_experts = keys.integer("hidden_size"), keys.integer("num_experts")
    per_token = keys.integer("num_experts_per_tok")
    if per_token > num_experts:
        raise keys.wrong("num_experts_per_tok", per_token, f"a number of at most the {num_experts} experts")
    width = keys.maybe_integer("moe_intermediate_size") or keys.integer("intermediate_size")
    router_bias = family.router_bias or keys.text("topk_method") == "noaux_tc"
    expert_bias = (hidden + width * (2 if family.gated else 1)) if family.expert_bias else 0
    return Moe(
        num_experts=num_experts,
        num_experts_per_tok=per_token,
        intermediate_size=width,
        shared_intermediate_size=shared_width(keys, width),
        gated=family.gated,
        num_extra_parameters=(num_experts if router_bias else 0) + num_experts * expert_bias + (hidden if family.shared_expert_gate else 0),
    )


def shared_width(keys: Keys, expert_width: int) -> int:
    """The width of all shared experts together: given as such, or as a number of experts."""
    if (width := keys.maybe_integer("shared_expert_intermediate_size", least=0)) is not None:
        return width
    return keys.integer("n_shared_experts", 0, least=0) * expert_width
