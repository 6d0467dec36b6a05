"""Attention and its recurrent kin, layer by layer, from a config.json."""

from dataclasses import replace

from seatrial.catalog.hf_family import Family
from seatrial.catalog.hf_keys import Keys
from seatrial.core.model import FORMATS, Attention, LatentAttention, Mixer, StateSpace

FULL = ("full_attention", "attention", "full")


def attention_layers(keys: Keys, family: Family) -> list[Mixer | None]:
    """Every layer attends, some within a window: as `layer_types` says, else as the family does."""
    types = layer_types(keys)
    one = attention(keys, family)
    windows = [window_of_type(keys, types[i]) if types else family.window(keys, i) for i in range(keys.integer("num_hidden_layers"))]
    return [one if window is None else with_window(keys, one, window) for window in windows]


def latent_attention_layers(keys: Keys, family: Family) -> list[Mixer | None]:
    """DeepSeek's MLA in every layer, with the norms over the two latent vectors."""
    q_rank = keys.maybe_integer("q_lora_rank")
    kv_rank = keys.integer("kv_lora_rank")
    bias = (q_rank or 0) + kv_rank + keys.integer("qk_rope_head_dim") + keys.integer("hidden_size") if keys.flag("attention_bias") else 0
    one = LatentAttention(
        num_heads=keys.integer("num_attention_heads"),
        q_lora_rank=q_rank,
        kv_lora_rank=kv_rank,
        qk_nope_head_dim=keys.integer("qk_nope_head_dim"),
        qk_rope_head_dim=keys.integer("qk_rope_head_dim"),
        v_head_dim=keys.integer("v_head_dim"),
        num_extra_parameters=(q_rank or 0) + kv_rank + bias,
    )
    return [one] * keys.integer("num_hidden_layers")


def falcon_layers(keys: Keys, family: Family) -> list[Mixer | None]:
    """Falcon: `num_kv_heads` counts in the new architecture only; before it there is one, or as many as heads."""
    heads = keys.integer("num_attention_heads")
    if keys.flag("new_decoder_architecture"):
        kv_heads = keys.integer("num_key_value_heads", heads)
    else:
        kv_heads = 1 if keys.flag("multi_query", True) else heads
    return [attention(keys, family, kv_heads)] * keys.integer("num_hidden_layers")


def chatglm_layers(keys: Keys, family: Family) -> list[Mixer | None]:
    """ChatGLM: `multi_query_group_num` counts only beside `multi_query_attention`."""
    kv_heads = keys.integer("num_key_value_heads") if keys.flag("multi_query_attention") else keys.integer("num_attention_heads")
    return [attention(keys, family, kv_heads)] * keys.integer("num_hidden_layers")


def delta_net_layers(keys: Keys, family: Family) -> list[Mixer | None]:
    """Qwen3-Next: gated DeltaNet, and gated attention in every fourth layer."""
    interval = keys.integer("full_attention_interval", 4)
    count = keys.integer("num_hidden_layers")
    types = layer_types(keys) or tuple("linear_attention" if (i + 1) % interval else "full_attention" for i in range(count))
    return by_type(keys, types, {"linear_attention": gated_delta_net(keys), **dict.fromkeys(FULL, attention(keys, family))})


def jamba_layers(keys: Keys, family: Family) -> list[Mixer | None]:
    period, offset = keys.integer("attn_layer_period", 8), keys.integer("attn_layer_offset", 4, least=0)
    types = tuple("attention" if i % period == offset else "mamba" for i in range(keys.integer("num_hidden_layers")))
    return by_type(keys, types, {"mamba": mamba(keys), "attention": attention(keys, family)})


def mamba2_layers(keys: Keys, family: Family) -> list[Mixer | None]:
    """Granite 4: Mamba-2 or attention, as `layer_types` says."""
    types = layer_types(keys)
    if not types:
        raise keys.wrong("layer_types", None, "a list with 'mamba' or 'attention' for each layer")
    return by_type(keys, types, {"mamba": mamba2(keys), **dict.fromkeys(FULL, attention(keys, family))})


def nemotron_layers(keys: Keys, family: Family) -> list[Mixer | None]:
    """Nemotron-H: each layer is one block; those that only feed forward mix nothing."""
    kinds: dict[str, Mixer | None] = {"M": mamba2(keys), "*": attention(keys, family), "-": None, "E": None}
    return [kinds[kind] for kind in nemotron_pattern(keys)]


def nemotron_pattern(keys: Keys) -> str:
    """A letter a layer: M Mamba-2, * attention, - dense feed-forward, E mixture of experts."""
    letters = {"mamba": "M", "attention": "*", "mlp": "-", "moe": "E"}
    types = keys.words("layer_types")
    pattern = "".join(letters.get(word, "?") for word in types) if types else keys.text("hybrid_override_pattern")
    count = keys.integer("num_hidden_layers")
    if len(pattern) != count or set(pattern) - set("M*-E"):
        shown: object = list(types) if types else pattern
        raise keys.wrong("hybrid_override_pattern", shown, f"one of M (mamba), * (attention), - (mlp), E (moe) for each of {count} layers")
    return pattern


def by_type(keys: Keys, types: tuple[str, ...], mixers: dict[str, Mixer]) -> list[Mixer | None]:
    for kind in types:
        if kind not in mixers:
            raise keys.wrong("layer_types", kind, "one of " + ", ".join(mixers))
    return [mixers[kind] for kind in types]


def layer_types(keys: Keys) -> tuple[str, ...]:
    """One word for each layer, or nothing."""
    types, count = keys.words("layer_types"), keys.integer("num_hidden_layers")
    if types and len(types) != count:
        raise keys.wrong("layer_types", f"{len(types)} words", f"a word for each of the {count} layers")
    return types


# Windows


def window_of_type(keys: Keys, kind: str) -> int | None:
    if kind in FULL:
        return None
    if kind == "sliding_attention":
        return sliding_window(keys) or keys.integer("sliding_window")
    if kind == "chunked_attention":
        return keys.integer("attention_chunk_size")
    raise keys.wrong("layer_types", kind, "one of full_attention, sliding_attention, chunked_attention")


def sliding_window(keys: Keys, layer: int = 0) -> int | None:
    """The window of every layer, if there is one."""
    return keys.maybe_integer("sliding_window")


def qwen_window(keys: Keys, layer: int) -> int | None:
    """Qwen: off unless `use_sliding_window`, and then from layer `max_window_layers` on."""
    if not keys.flag("use_sliding_window") or layer < keys.integer("max_window_layers", 28, least=0):
        return None
    return sliding_window(keys)


def pattern_window(keys: Keys, layer: int) -> int | None:
    """All layers but each `sliding_window_pattern`-th slide (Gemma 3: five of six)."""
    return sliding_window(keys) if (layer + 1) % keys.integer("sliding_window_pattern") else None


def chunk_window(keys: Keys, layer: int) -> int | None:
    """Llama 4: layers with rotary positions attend within chunks; every fourth has none and looks back all the way."""
    interval = keys.integer("no_rope_layer_interval", 4)
    rotary = keys.integers("no_rope_layers") or tuple((i + 1) % interval for i in range(keys.integer("num_hidden_layers")))
    return keys.maybe_integer("attention_chunk_size") if layer < len(rotary) and rotary[layer] else None


def with_window(keys: Keys, one: Attention, window: int) -> Attention:
    if window >= keys.integer("max_position_embeddings"):  # never cuts anything
        return one
    return replace(one, window=window)


# One layer


def attention(keys: Keys, family: Family, num_kv_heads: int | None = None) -> Attention:
    heads = keys.integer("num_attention_heads")
    kv_heads = num_kv_heads or keys.integer("num_key_value_heads", heads)
    if heads % kv_heads:
        raise keys.wrong("num_key_value_heads", kv_heads, f"a divisor of the {heads} attention heads")
    dim = head_dim(keys, heads)
    extra = attention_extra(keys, family, heads * dim, kv_heads * dim, heads)
    return Attention(heads, kv_heads, dim, None, family.output_gate, norms_queries(keys, family), extra, family.qk_norm == "full")


def head_dim(keys: Keys, heads: int) -> int:
    if (given := keys.maybe_integer("head_dim")) is not None:
        return given
    hidden = keys.integer("hidden_size")
    if hidden % heads:
        raise keys.wrong("hidden_size", hidden, f"a multiple of the {heads} attention heads (or a head_dim)")
    return hidden // heads


def attention_extra(keys: Keys, family: Family, query: int, kv: int, heads: int) -> int:
    """Biases, norms of queries and keys, sinks."""
    hidden, dim = keys.integer("hidden_size"), query // heads
    qkv_bias = keys.flag("attention_bias") if family.qkv_bias is None else family.qkv_bias
    output_bias = qkv_bias if family.output_bias is None else family.output_bias
    extra = (query + 2 * kv if qkv_bias else 0) + (hidden if output_bias else 0) + (heads if family.sinks else 0)
    if norms_queries(keys, family):
        extra += query + kv if family.qk_norm == "full" else 2 * dim
    return extra


def norms_queries(keys: Keys, family: Family) -> bool:
    return family.qk_norm in ("head", "full") or (family.qk_norm == "key" and keys.flag("use_qk_norm"))


def state_format_of(keys: Keys) -> str:
    name = keys.text("mamba_ssm_dtype") or keys.text("mamba_ssm_cache_dtype")
    return "fp32" if name == "float32" else "bf16"


def gated_delta_net(keys: Keys) -> StateSpace:
    """Gated DeltaNet (arXiv 2412.06464): a matrix of `key dim x value dim` per value head.

    A token decays it (1), reads it with the key (2), writes the correction (2) and reads it with the query (2 operations per number).
    """
    hidden = keys.integer("hidden_size")
    key_heads, key_dim = keys.integer("linear_num_key_heads"), keys.integer("linear_key_head_dim")
    value_heads, value_dim = keys.integer("linear_num_value_heads"), keys.integer("linear_value_head_dim")
    kernel = keys.integer("linear_conv_kernel_dim", 4)
    keys_width, values_width = key_heads * key_dim, value_heads * value_dim
    convolved = 2 * keys_width + values_width
    state = value_heads * key_dim * value_dim
    return StateSpace(
        num_parameters=hidden * (convolved + values_width + 2 * value_heads) + values_width * hidden,
        state_elements=state + convolved * (kernel - 1),
        flops_per_token=7 * state + 2 * convolved * kernel,
        num_extra_parameters=convolved * kernel + 2 * value_heads + value_dim,
        state_format=FORMATS[state_format_of(keys)],
    )


def mamba(keys: Keys) -> StateSpace:
    """Mamba (arXiv 2312.00752) as Jamba has it, with norms over the time step, B and C.

    A token scales its input (1), decays the state (1), adds (2) and reads it out (2 operations per number of the state).
    """
    hidden, states, kernel = keys.integer("hidden_size"), keys.integer("mamba_d_state", 16), keys.integer("mamba_d_conv", 4)
    inner = keys.integer("mamba_expand", 2) * hidden
    rank = -(-hidden // 16) if keys.says("mamba_dt_rank", "auto") else keys.integer("mamba_dt_rank", -(-hidden // 16))
    biases = (inner if keys.flag("mamba_conv_bias", True) else 0) + (2 * inner + hidden if keys.flag("mamba_proj_bias") else 0)
    return StateSpace(
        num_parameters=hidden * 2 * inner + inner * (rank + 2 * states) + rank * inner + inner * hidden,
        state_elements=inner * states + inner * (kernel - 1),
        flops_per_token=6 * inner * states + 2 * inner * kernel,
        num_extra_parameters=inner * kernel + biases + inner + inner * states + inner + rank + 2 * states,
        state_format=FORMATS[state_format_of(keys)],
    )


def mamba2(keys: Keys) -> StateSpace:
    """Mamba-2 (arXiv 2405.21060): a matrix of `head dim x d_state` per head; operations as in `mamba`."""
    hidden, states, kernel = keys.integer("hidden_size"), keys.integer("mamba_d_state", 128), keys.integer("mamba_d_conv", 4)
    heads, groups = keys.integer("mamba_num_heads"), keys.integer("mamba_n_groups", 1)
    dim = keys.integer("mamba_head_dim", keys.integer("mamba_expand", 2) * hidden // heads)
    inner = heads * dim
    convolved = inner + 2 * groups * states
    projected = inner + convolved + heads
    proj_bias = projected + hidden if keys.flag("mamba_proj_bias") else 0
    conv_bias = convolved if keys.flag("mamba_conv_bias", True) else 0
    return StateSpace(
        num_parameters=hidden * projected + inner * hidden,
        state_elements=inner * states + convolved * (kernel - 1),
        flops_per_token=6 * inner * states + 2 * convolved * kernel,
        num_extra_parameters=convolved * kernel + conv_bias + proj_bias + 3 * heads + inner,
        state_format=FORMATS[state_format_of(keys)],
    )
