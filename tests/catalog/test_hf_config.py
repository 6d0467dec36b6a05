"""Reading a config.json: what each key means, and the sentence when one means nothing."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.catalog.hf_config import from_hf_config
from seatrial.core.errors import CatalogError
from seatrial.core.model import FORMATS, Attention, Mlp, Moe, StateSpace

LLAMA = {
    "model_type": "llama",
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
    "torch_dtype": "bfloat16",
}
QWEN_MOE = LLAMA | {"model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 256}


def read(config, **more):
    return from_hf_config(config | more, "it")


def without(config, key):
    return {k: v for k, v in config.items() if k != key}


def mixers(model):
    return [group.mixer for group in model.layers for _ in range(group.count)]


def blocks(model):
    return [group.feed_forward for group in model.layers for _ in range(group.count)]


# Counting


@given(
    layers=st.integers(1, 5),
    heads=st.integers(1, 4),
    groups=st.integers(1, 3),
    dim=st.integers(1, 32),
    width=st.integers(1, 100),
    vocab=st.integers(1, 100),
    tied=st.booleans(),
)
def test_a_llama_counts_as_its_matrices_say(layers, heads, groups, dim, width, vocab, tied):
    hidden = heads * groups * dim
    shape = {"hidden_size": hidden, "num_attention_heads": heads * groups, "num_key_value_heads": heads}
    model = read(LLAMA, **shape, intermediate_size=width, num_hidden_layers=layers, vocab_size=vocab, tie_word_embeddings=tied)
    attention = 2 * hidden * hidden + 2 * hidden * heads * dim
    layer = attention + 3 * hidden * width + 2 * hidden
    assert model.num_parameters == layers * layer + (1 if tied else 2) * vocab * hidden + hidden
    assert model.weight_bytes == 2 * model.num_parameters


def test_without_key_value_heads_every_head_has_its_own():
    (mixer, *_) = mixers(read(without(LLAMA, "num_key_value_heads")))
    assert mixer == Attention(8, 8, 64)


def test_a_head_dim_need_not_divide_the_width():
    (mixer, *_) = mixers(read(LLAMA, head_dim=48))
    assert mixer.head_dim == 48


def test_biases_of_attention_and_mlp_are_counted_when_the_keys_say_so():
    plain, biased = read(LLAMA), read(LLAMA, attention_bias=True, mlp_bias=True)
    per_layer = (512 + 2 * 128) + 512 + (2 * 1024 + 512)
    assert biased.num_parameters - plain.num_parameters == 4 * per_layer


def test_qwen2_has_biases_on_queries_keys_and_values_only():
    assert read(LLAMA, model_type="qwen2").num_parameters - read(LLAMA).num_parameters == 4 * (512 + 2 * 128)


def test_qwen3_norms_queries_and_keys_of_each_head():
    assert read(LLAMA, model_type="qwen3").num_parameters - read(LLAMA).num_parameters == 4 * 2 * 64


def test_opt_350m_has_a_narrow_embedding_and_no_final_norm():
    opt = {"model_type": "opt", "hidden_size": 1024, "word_embed_proj_dim": 512, "ffn_dim": 4096, "num_hidden_layers": 24}
    opt |= {"num_attention_heads": 16, "vocab_size": 50272, "max_position_embeddings": 2048, "do_layer_norm_before": False}
    assert read(opt).num_parameters == 331_196_416


def test_old_falcon_shares_one_head_of_keys_and_one_norm():
    falcon = {"model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71, "vocab_size": 65024}
    model = read(falcon, multi_query=True, parallel_attn=True, new_decoder_architecture=False, bias=False)
    assert model.num_parameters == 6_921_720_704
    assert mixers(model)[0].num_kv_heads == 1


def test_prediction_layers_are_left_out():
    config = QWEN_MOE | {"model_type": "glm4_moe", "n_shared_experts": 1, "first_k_dense_replace": 1}
    assert read(config, num_nextn_predict_layers=1) == read(config)


# Where the experts sit


def test_shared_experts_come_as_a_width_or_as_a_number():
    by_width = read(QWEN_MOE, model_type="qwen2_moe", shared_expert_intermediate_size=300)
    by_number = read(QWEN_MOE, model_type="glm4_moe", n_shared_experts=2)
    assert blocks(by_width)[0].shared_intermediate_size == 300
    assert blocks(by_number)[0].shared_intermediate_size == 2 * 256


@pytest.mark.parametrize(
    ("keys", "num_sparse"),
    [
        ({}, 6),
        ({"first_k_dense_replace": 1}, 5),
        ({"decoder_sparse_step": 2}, 3),
        ({"decoder_sparse_step": 4}, 1),  # layer 3, counted from 0
        ({"interleave_moe_layer_step": 2}, 3),
        ({"mlp_only_layers": [2, 5]}, 4),
        ({"moe_layer_freq": 4}, 2),  # layers 0 and 4
        ({"moe_layers": [1]}, 1),
        ({"mlp_layer_types": ["dense", "dense", "sparse", "dense", "dense", "dense"]}, 1),
    ],
)
def test_experts_sit_in_the_layers_that_the_keys_name(keys, num_sparse):
    assert sum(isinstance(block, Moe) for block in blocks(read(QWEN_MOE, num_hidden_layers=6, **keys))) == num_sparse


def test_a_dense_layer_of_a_mixture_has_the_dense_width():
    assert blocks(read(QWEN_MOE, first_k_dense_replace=1))[0] == Mlp(1024)


def test_more_experts_per_token_than_experts_is_refused():
    with pytest.raises(CatalogError, match="num_experts_per_tok = 9; a number of at most the 8 experts"):
        read(QWEN_MOE, num_experts_per_tok=9)


# Windows


def windows(model):
    """How many layers have which window."""
    return Counter(mixer.window for mixer in mixers(model))


def test_layer_types_say_which_layers_slide():
    types = ["sliding_attention", "full_attention", "full_attention", "full_attention"]
    assert windows(read(LLAMA, model_type="qwen3", layer_types=types, sliding_window=64)) == {64: 1, None: 3}


def test_qwen_slides_only_if_told_to_and_from_a_layer_on():
    config = LLAMA | {"model_type": "qwen2", "sliding_window": 64, "max_window_layers": 3}
    assert windows(read(config, use_sliding_window=False)) == {None: 4}
    assert windows(read(config, use_sliding_window=True)) == {None: 3, 64: 1}


def test_mistral_slides_unless_the_window_is_null():
    assert windows(read(LLAMA, model_type="mistral", max_position_embeddings=32768)) == {4096: 4}
    assert windows(read(LLAMA, model_type="mistral", sliding_window=None)) == {None: 4}


def test_a_window_as_long_as_the_context_is_none():
    assert windows(read(LLAMA, model_type="mistral", sliding_window=2048)) == {None: 4}


def test_gemma_3_looks_back_all_the_way_in_each_sixth_layer():
    found = windows(read(LLAMA, model_type="gemma3_text", num_hidden_layers=7, sliding_window=64))
    assert found == {64: 6, None: 1}


@pytest.mark.parametrize("types", [["full_attention"] * 3, ["full_attention"] * 3 + ["magic_attention"]])
def test_layer_types_that_cannot_be_are_refused(types):
    with pytest.raises(CatalogError, match="layer_types"):
        read(LLAMA, layer_types=types)


# Hybrids


def test_a_nemotron_pattern_is_a_letter_a_layer():
    config = LLAMA | {"model_type": "nemotron_h", "hybrid_override_pattern": "M-*-", "mamba_num_heads": 4, "mamba_head_dim": 16}
    model = read(config, n_groups=2, ssm_state_size=8)
    assert Counter(type(mixer) for mixer in mixers(model)) == {StateSpace: 1, type(None): 2, Attention: 1}
    assert [block for block in blocks(model) if block] == [Mlp(1024, gated=False)] * 2
    with pytest.raises(CatalogError, match="hybrid_override_pattern = 'M-X-'"):
        read(config, hybrid_override_pattern="M-X-")


def test_experts_in_a_latent_space_are_refused():
    config = QWEN_MOE | {"model_type": "nemotron_h", "hybrid_override_pattern": "M*EE", "mamba_num_heads": 4, "mamba_head_dim": 16}
    with pytest.raises(CatalogError, match="moe_latent_size"):
        read(config, moe_latent_size=128)


# Nesting


def test_the_text_part_is_read_and_the_vision_part_is_not():
    outer = {"model_type": "gemma3", "text_config": LLAMA | {"model_type": "gemma3_text"}, "vision_config": {"hidden_size": 77}}
    assert read(outer).num_parameters == read(LLAMA, model_type="gemma3_text").num_parameters
    assert read(outer).hidden_size == 512


def test_a_text_part_may_leave_its_type_and_tying_outside():
    outer = {"model_type": "mistral3", "tie_word_embeddings": True, "text_config": without(LLAMA, "model_type")}
    assert read(outer).tie_word_embeddings
    with pytest.raises(CatalogError, match="text_config has no 'vocab_size'"):
        read(outer | {"text_config": without(LLAMA, "vocab_size")})


# Formats


def formats(quantization, config=LLAMA):
    return read(config, quantization_config=quantization).formats


def test_sixteen_bits_come_in_two_kinds_and_thirty_two_are_served_in_sixteen():
    assert read(LLAMA, torch_dtype="float16").formats.mlp == FORMATS["fp16"]
    assert read(LLAMA, torch_dtype="float32").formats.mlp == FORMATS["bf16"]
    assert read(without(LLAMA, "torch_dtype"), dtype="float16").formats.kv_cache == FORMATS["fp16"]


@pytest.mark.parametrize(
    ("quantization", "name", "num_bytes"),
    [
        ({"quant_method": "fp8"}, "fp8", 1.0),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8_block", 1 + 4 / 128**2),
        ({"quant_method": "fbgemm_fp8"}, "fp8", 1.0),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "int4", 0.5 + 2.5 / 128),
        ({"quant_method": "gptq", "bits": 4, "group_size": -1}, "int4", 0.5),
        ({"quant_method": "gptq", "bits": 8, "group_size": 128}, "int8_weight", 1 + 3 / 128),
        ({"quant_method": "awq", "bits": 4, "group_size": 64}, "int4", 0.5 + 2.5 / 64),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4", 0.5 + 1 / 16),
        ({"quant_method": "modelopt", "quantization": {"quant_algo": "FP8"}}, "fp8", 1.0),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "int4", 0.5 + 4 / 64),
    ],
)
def test_a_method_and_its_scales_give_bytes(quantization, name, num_bytes):
    assert formats(quantization).mlp == (name, num_bytes)
    assert formats(quantization).attention == (name, num_bytes)
    assert formats(quantization).embedding == FORMATS["bf16"]


def compressed(weights, ignore=("lm_head",), **group):
    return {
        "quant_method": "compressed-tensors",
        "ignore": list(ignore),
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights, **group}},
    }


@pytest.mark.parametrize(
    ("weights", "group", "expected"),
    [
        ({"num_bits": 8, "type": "float"}, {}, ("fp8", 1.0)),
        ({"num_bits": 8, "type": "float", "block_structure": [128, 128]}, {}, ("fp8_block", 1 + 4 / 128**2)),
        ({"num_bits": 4, "type": "float", "group_size": 16}, {}, ("nvfp4", 0.5625)),
        ({"num_bits": 4, "type": "float", "group_size": 32}, {}, ("mxfp4", 0.53125)),
        ({"num_bits": 4, "type": "int", "group_size": 128, "symmetric": True}, {}, ("int4", 0.5 + 2 / 128)),
        ({"num_bits": 8, "type": "int"}, {"input_activations": {"num_bits": 8}}, ("int8", 1.0)),
        ({"num_bits": 8, "type": "int"}, {}, ("int8_weight", 1.0)),
    ],
)
def test_compressed_tensors_are_read_by_their_scheme(weights, group, expected):
    assert formats(compressed(weights, **group)).mlp == expected


@pytest.mark.parametrize("ignore", [["re:.*self_attn.*"], ["self_attn"], [f"model.layers.{i}.self_attn" for i in range(4)]])
def test_parts_that_are_left_alone_keep_sixteen_bits(ignore):
    found = formats(compressed({"num_bits": 8, "type": "float"}, ignore))
    assert (found.attention.name, found.mlp.name, found.lm_head.name) == ("bf16", "fp8", "fp8")


@pytest.mark.parametrize("pattern", ["model.layers.*.self_attn", "*self_attn*", "language_model.model.layers.*.self_attn*"])
def test_wildcards_name_parts_too(pattern):
    found = formats({"quant_method": "modelopt", "quant_algo": "FP8", "exclude_modules": [pattern, "lm_head"]})
    assert (found.attention.name, found.mlp.name, found.lm_head.name) == ("bf16", "fp8", "bf16")


def test_a_part_has_the_format_of_most_of_its_layers():
    few = formats({"quant_method": "fp8", "modules_to_not_convert": ["model.layers.0.mlp"]})
    most = formats({"quant_method": "fp8", "modules_to_not_convert": [f"model.layers.{i}.mlp" for i in (0, 2, 3)]})
    assert (few.mlp.name, most.mlp.name) == ("fp8", "bf16")


def test_groups_may_treat_parts_differently():
    schemes = {"attention": {"targets": ["re:.*self_attn.*"], "weights": {"num_bits": 8, "type": "float"}}}
    schemes["experts"] = {"targets": ["re:.*experts.*"], "weights": {"num_bits": 4, "type": "float", "group_size": 16}}
    found = formats({"quant_method": "compressed-tensors", "config_groups": schemes}, QWEN_MOE)
    assert (found.attention.name, found.experts.name, found.mlp.name) == ("fp8", "nvfp4", "bf16")


def test_a_cache_scheme_makes_the_cache_eight_bits():
    quantization = compressed({"num_bits": 8, "type": "float"}) | {"kv_cache_scheme": {"num_bits": 8, "type": "float"}}
    assert formats(quantization).kv_cache == FORMATS["fp8"]


@pytest.mark.parametrize(
    ("quantization", "message"),
    [
        ({"quant_method": "gtpq"}, "quant_method 'gtpq'.*did you mean gptq"),
        ({"quant_method": "gptq", "bits": 3}, "bits = 3; 4 or 8 is needed"),
        ({"quant_method": "modelopt", "quant_algo": "W2A2"}, "quant_algo = 'W2A2'"),
        ({"quant_method": "compressed-tensors"}, "config_groups"),
        ({"quant_method": "fp8", "modules_to_not_convert": ["re:("]}, "modules_to_not_convert = .*regular expressions"),
        ("fp8", "quantization_config = 'fp8'; a table of keys"),
    ],
)
def test_a_quantisation_that_cannot_be_read_is_refused(quantization, message):
    with pytest.raises(CatalogError, match=message):
        formats(quantization)


# Unknown and wrong


def test_an_unknown_type_that_is_plain_is_read_as_plain():
    assert read(LLAMA, model_type="stranger").num_parameters == read(LLAMA).num_parameters
    assert read(QWEN_MOE, model_type="stranger").num_active_parameters < read(QWEN_MOE, model_type="stranger").num_parameters


@pytest.mark.parametrize(
    "keys",
    [
        {"kv_lora_rank": 512, "q_lora_rank": 1536},
        {"ssm_state_size": 128},
        {"sliding_window": 128},
        {"index_topk": 2048},
        {"layer_types": ["full_attention"] * 4, "cross_attention_layers": [3]},
    ],
)
def test_an_unknown_type_with_layers_that_we_do_not_know_is_refused(keys):
    with pytest.raises(CatalogError, match=f"model_type 'lama', which is not known, .*{list(keys)[-1]}.*did you mean.*llama"):
        read(LLAMA, model_type="lama", **keys)


def test_an_unknown_type_that_lacks_a_key_is_called_unknown():
    with pytest.raises(CatalogError, match=r"no 'num_attention_heads'.*\(model_type 'mamba' is not known"):
        read(without(LLAMA, "num_attention_heads"), model_type="mamba")


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size"])
def test_a_missing_key_is_named(key):
    with pytest.raises(CatalogError, match=f"the config.json of it has no '{key}'; a whole number of at least 1 is needed"):
        read(without(LLAMA, key))


@pytest.mark.parametrize("value", ["4096", 0, -1, 2.5, True, [4096], float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_named(value):
    with pytest.raises(CatalogError, match=r"hidden_size = .*; a whole number of at least 1 is needed"):
        read(LLAMA, hidden_size=value)


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(CatalogError, match="num_key_value_heads = 3; a divisor of the 8 attention heads"):
        read(LLAMA, num_key_value_heads=3)
    with pytest.raises(CatalogError, match="hidden_size = 500; a multiple of the 8 attention heads"):
        read(LLAMA, hidden_size=500)


@given(
    st.dictionaries(
        st.sampled_from([*QWEN_MOE, "layer_types", "sliding_window", "quantization_config", "text_config"]),
        st.none()
        | st.booleans()
        | st.integers(-3, 600)
        | st.sampled_from(["", "mistral", "jamba", "x"])
        | st.lists(st.integers(), max_size=3),
        max_size=3,
    )
)
def test_whatever_stands_there_the_answer_is_a_model_or_a_sentence(garbage):
    try:
        model = read(QWEN_MOE, **garbage)
    except CatalogError as problem:
        assert "the config.json of it" in str(problem)  # noqa: PT017  either outcome is right
    else:
        assert model.num_parameters > 0
