"""The families whose structure we know, by the `model_type` of their config.json.

What distinguishes them is small and exact: which matrices have a bias, which vectors are normed, where windows and experts sit.
"""

from dataclasses import replace

from seatrial.catalog import hf_feed_forwards as feed_forwards
from seatrial.catalog import hf_mixers as mixers
from seatrial.catalog.hf_family import Family
from seatrial.catalog.hf_keys import Keys
from seatrial.core.model import FeedForward


def opt_others(keys: Keys) -> int:
    """Learned positions (two more than the context: an offset for padding), and projections to a narrower embedding."""
    hidden = keys.integer("hidden_size")
    narrow = keys.integer("word_embed_proj_dim", hidden)
    projections = 2 * hidden * narrow if narrow != hidden else 0
    return (keys.integer("max_position_embeddings") + 2) * hidden + projections


def bloom_others(keys: Keys) -> int:
    """The LayerNorm after the embedding; positions are ALiBi."""
    return 2 * keys.integer("hidden_size")


def llama4_feed_forwards(keys: Keys, family: Family) -> list[FeedForward | None]:
    """Each mixture has a shared expert as wide as the others."""
    return feed_forwards.plain(keys.with_defaults({"shared_expert_intermediate_size": keys.integer("intermediate_size")}), family)


PLAIN = Family(mixers.attention_layers, feed_forwards.plain)
MISTRAL = Family(mixers.attention_layers, feed_forwards.plain, qkv_bias=False, window=mixers.sliding_window)
QWEN2 = Family(mixers.attention_layers, feed_forwards.plain, qkv_bias=True, output_bias=False, mlp_bias=False, window=mixers.qwen_window)
QWEN3 = Family(mixers.attention_layers, feed_forwards.plain, qk_norm="head", mlp_bias=False, window=mixers.qwen_window)
QWEN3_NEXT = Family(mixers.delta_net_layers, feed_forwards.plain, qk_norm="head", mlp_bias=False, output_gate=True, shared_expert_gate=True)
DEEPSEEK = Family(mixers.latent_attention_layers, feed_forwards.plain, mlp_bias=False)
DEEPSEEK_V3 = Family(mixers.latent_attention_layers, feed_forwards.plain, mlp_bias=False, router_bias=True)
GLM4_MOE = Family(mixers.attention_layers, feed_forwards.plain, output_bias=False, mlp_bias=False, qk_norm="key", router_bias=True)

FAMILIES: dict[str, Family] = {
    "llama": PLAIN,
    "granite": PLAIN,
    "mistral": replace(MISTRAL, defaults={"sliding_window": 4096}),
    "ministral": MISTRAL,
    "mixtral": MISTRAL,
    "phi3": MISTRAL,
    "qwen2": QWEN2,
    "qwen2_moe": replace(QWEN2, shared_expert_gate=True),
    "qwen3": QWEN3,
    "qwen3_moe": QWEN3,
    "qwen3_next": QWEN3_NEXT,
    "qwen3_5_text": QWEN3_NEXT,
    "qwen3_5_moe_text": QWEN3_NEXT,
    "gemma": Family(mixers.attention_layers, feed_forwards.plain, tied=True, defaults={"head_dim": 256}),
    "gemma2": Family(
        mixers.attention_layers,
        feed_forwards.plain,
        norms_per_layer=4,
        tied=True,
        window=mixers.pattern_window,
        defaults={"sliding_window_pattern": 2, "sliding_window": 4096, "head_dim": 256, "vocab_size": 256000},
    ),
    "gemma3_text": Family(
        mixers.attention_layers,
        feed_forwards.plain,
        qk_norm="head",
        norms_per_layer=4,
        tied=True,
        window=mixers.pattern_window,
        # text configs inside google/gemma-3-* leave these to the defaults of Gemma3TextConfig
        defaults={
            "sliding_window_pattern": 6,
            "sliding_window": 4096,
            "vocab_size": 262208,
            "max_position_embeddings": 131072,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
        },
    ),
    "olmo2": Family(mixers.attention_layers, feed_forwards.plain, qk_norm="full"),
    "minimax_m2": Family(mixers.attention_layers, feed_forwards.plain, qkv_bias=False, qk_norm="full", router_bias=True),
    "deepseek_v2": DEEPSEEK,
    "deepseek_v3": DEEPSEEK_V3,
    "kimi_k2": DEEPSEEK_V3,
    "gpt_oss": Family(
        mixers.attention_layers,
        feed_forwards.plain,
        qkv_bias=True,
        sinks=True,
        router_bias=True,
        expert_bias=True,
        window=mixers.pattern_window,
        defaults={"sliding_window_pattern": 2},
    ),
    "llama4_text": Family(mixers.attention_layers, llama4_feed_forwards, mlp_bias=False, window=mixers.chunk_window),
    "glm": Family(mixers.attention_layers, feed_forwards.plain, output_bias=False, mlp_bias=False),
    "glm4": Family(mixers.attention_layers, feed_forwards.plain, output_bias=False, mlp_bias=False, norms_per_layer=4),
    "chatglm": Family(mixers.chatglm_layers, feed_forwards.plain, qkv_bias=True, output_bias=False, mlp_bias=False),
    "glm4_moe": GLM4_MOE,
    "opt": Family(
        mixers.attention_layers,
        feed_forwards.plain,
        qkv_bias=True,
        mlp_bias=True,
        gated=False,
        norm_vectors=2,
        tied=True,
        others=opt_others,
    ),
    "bloom": Family(
        mixers.attention_layers,
        feed_forwards.four_times,
        qkv_bias=True,
        mlp_bias=True,
        gated=False,
        norm_vectors=2,
        tied=True,
        others=bloom_others,
        defaults={"max_position_embeddings": 2048},
    ),
    "falcon": Family(
        mixers.falcon_layers,
        feed_forwards.four_times,
        qkv_bias=False,
        gated=False,
        norm_vectors=2,
        tied=True,
        defaults={"max_position_embeddings": 2048},
    ),
    "jamba": Family(mixers.jamba_layers, feed_forwards.jamba, qkv_bias=False, mlp_bias=False),
    "granitemoehybrid": Family(mixers.mamba2_layers, feed_forwards.granite_hybrid),
    "nemotron_h": Family(
        mixers.nemotron_layers, feed_forwards.nemotron, gated=False, router_bias=True, norms_per_layer=1, defaults={"mamba_n_groups": 8}
    ),
}

# A model with pictures or sound keeps its text part under a key of its own, at times without saying its type.
TEXT_PARTS = ("text_config", "llm_config", "language_config")
TEXT_TYPES = {
    "gemma3": "gemma3_text",
    "llama4": "llama4_text",
    "mistral3": "mistral",
    "qwen3_vl": "qwen3",
    "qwen3_vl_text": "qwen3",
    "qwen3_vl_moe": "qwen3_moe",
    "qwen3_vl_moe_text": "qwen3_moe",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
    "glm4v_moe": "glm4_moe",
    "glm4v_moe_text": "glm4_moe",
    "kimi_k25": "kimi_k2",
}

# Keys of a plain transformer that change neither its size nor its cache.
HARMLESS_WORDS = """
    _name_or_path architectures auto_map transformers_version model_type torch_dtype dtype use_cache initializer_range
    initializer_factor attention_dropout attn_pdrop embd_pdrop resid_pdrop hidden_dropout dropout hidden_act hidden_activation
    activation_function hidden_activation_function rms_norm_eps layer_norm_eps layer_norm_epsilon norm_eps rope_theta rope_scaling
    rope_parameters rope_type rope_interleaved partial_rotary_factor rotary_pct pad_token_id bos_token_id eos_token_id sep_token_id
    unk_token_id pretraining_tp output_router_logits output_attentions output_hidden_states return_dict router_aux_loss_coef
    router_jitter_noise aux_loss_alpha norm_topk_prob scoring_func topk_method topk_group n_group routed_scaling_factor seq_aux
    num_nextn_predict_layers task_specific_params quantization_config original_max_position_embeddings max_window_layers
    attn_logit_softcapping final_logit_softcapping query_pre_attn_scalar tie_word_embeddings
    mlp_bias attention_bias logits_scaling residual_multiplier embedding_multiplier attention_multiplier
    hidden_size vocab_size head_dim intermediate_size max_position_embeddings keys_to_ignore_at_inference generation_config
"""
HARMLESS = frozenset(HARMLESS_WORDS.split())
