"""The catalogue's models: their sizes against what was published, their bytes against hand-worked values."""

import json
import time

import pytest

from seatrial.catalog.models import ModelFacts, load_model, model_facts, model_names
from seatrial.core.errors import CatalogError
from seatrial.core.model import Attention, LatentAttention, Mlp, Moe, Sampling, StateSpace

KIB, GIB = 1024, 1024**3


@pytest.mark.parametrize("name", model_names())
def test_every_parameter_count_is_within_one_percent_of_the_published_one(name):
    assert load_model(name).num_parameters == pytest.approx(model_facts(name).published_parameters, rel=0.01)


@pytest.mark.parametrize("name", model_names())
def test_every_model_says_where_its_numbers_come_from(name):
    facts = model_facts(name)
    assert isinstance(facts, ModelFacts)
    assert facts.source.startswith("https://")
    assert facts.aliases
    assert load_model(name).source == facts.source


def test_no_name_or_alias_means_two_models():
    spellings = [word.lower() for name in model_names() for word in (name, *model_facts(name).aliases)]
    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("llama-2-70b", 68_976_648_192),
        ("llama-3.1-8b", 8_030_261_248),
        ("llama-3.1-405b", 405_853_388_800),
        ("codellama-34b", 33_743_970_304),
        ("yi-34b", 34_388_917_248),
        ("mixtral-8x7b", 46_702_792_704),
        ("mixtral-8x22b", 140_620_634_112),
        ("qwen2.5-7b", 7_615_616_512),
        ("qwen3-235b-a22b", 235_093_634_560),
        ("qwen3-next-80b-a3b", 79_674_391_296),
        ("gemma-2-9b", 9_241_705_984),
        ("phi-4", 14_659_507_200),
        ("deepseek-v2-lite", 15_706_484_224),
        ("deepseek-v3", 671_026_419_200),
        ("gpt-oss-120b", 116_829_156_672),
        ("glm-4-9b", 9_399_951_360),
        ("glm-4.5-air", 106_852_251_264),
        ("opt-13b", 12_853_473_280),
        ("bloom-176b", 176_247_271_424),
        ("granite-4.0-h-small", 32_207_337_984),
        ("nemotron-nano-9b-v2", 8_888_227_328),
    ],
)
def test_counts_are_exact_where_the_tensors_have_been_counted(name, parameters):
    assert load_model(name).num_parameters == parameters


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("mixtral-8x7b", 12.9),  # arXiv 2401.04088: 13 B
        ("deepseek-v3", 37.6),  # 37 B without the embedding
        ("qwen3-30b-a3b", 3.35),
        ("qwen3-next-80b-a3b", 3.87),
        ("llama-4-scout", 17.2),
        ("jamba-1.5-mini", 12.1),
        ("llama-3.1-8b", 8.03),
    ],
)
def test_active_parameters_leave_out_the_experts_that_were_not_chosen(name, billions):
    assert load_model(name).num_active_parameters / 1e9 == pytest.approx(billions, rel=0.01)


@pytest.mark.parametrize(
    ("name", "kib"),
    [
        ("llama-3-8b", 128),  # 32 layers x 2 x 8 heads x 128 x 2 bytes
        ("llama-2-70b", 320),
        ("llama-3-70b", 320),
        ("llama-2-13b", 800),
        ("opt-13b", 800),
        ("opt-66b", 2304),
        ("opt-175b", 4608),
        ("bloom-176b", 3920),
        ("falcon-180b", 160),
        ("yi-34b", 240),
        ("mistral-7b-v0.1", 128),
        ("mixtral-8x7b", 128),
        ("qwen2.5-7b", 56),
        ("deepseek-v3", 61 * 576 * 2 / KIB),  # 68.6: a latent vector of 512 and a rotary key of 64
        ("qwen3-next-80b-a3b", 12 * 2 * 2 * 256 * 2 / KIB),  # 12 of 48 layers attend
        ("granite-4.0-h-small", 4 * 2 * 8 * 128 * 2 / KIB),
        ("llama-3.3-70b-nvfp4", 160),  # an 8-bit cache
    ],
)
def test_cache_bytes_per_token_are_what_a_pencil_says(name, kib):
    assert load_model(name).kv_bytes_per_token() == kib * KIB


@pytest.mark.parametrize(
    ("name", "num_bytes"),
    [
        ("llama-3.1-70b", 2 * 70_553_706_496),
        ("gpt-oss-120b", 60.8 * GIB),  # arXiv 2508.10925, table 1
        ("gpt-oss-20b", 12.8 * GIB),
        ("deepseek-v3", 673e9),  # 671 B in 8 bits, block scales, the embedding and the head in 16
        ("kimi-k2-thinking", 594e9),  # size of the checkpoint
        ("qwen3-235b-a22b-fp8", 236.5e9),
        ("qwen2.5-72b-awq", 41.5e9),
        ("llama-3.1-8b-fp8", 9.08e9),
    ],
)
def test_weights_weigh_what_the_checkpoint_does(name, num_bytes):
    assert load_model(name).weight_bytes == pytest.approx(num_bytes, rel=0.005)


def test_gpt_oss_keeps_all_but_its_experts_in_sixteen_bits():
    formats = load_model("gpt-oss-120b").formats
    assert formats.experts.name == "mxfp4"
    assert {formats.attention.name, formats.embedding.name, formats.lm_head.name, formats.kv_cache.name} == {"bf16"}


def test_an_nvfp4_checkpoint_that_leaves_attention_alone_is_read_so():
    formats = load_model("deepseek-r1-nvfp4").formats
    assert (formats.attention.name, formats.mlp.name, formats.experts.name, formats.lm_head.name) == ("bf16", "nvfp4", "nvfp4", "bf16")


def test_a_kimi_checkpoint_in_four_bits_has_its_shared_expert_in_sixteen():
    formats = load_model("kimi-k2-thinking").formats
    assert (formats.attention.name, formats.mlp.name, formats.experts.name) == ("bf16", "bf16", "int4")
    assert formats.experts.bytes_per_element == 0.5 + 2 / 32


def test_deepseek_begins_with_three_dense_layers():
    dense, sparse = load_model("deepseek-v3").layers
    assert (dense.count, sparse.count) == (3, 58)
    assert isinstance(dense.mixer, LatentAttention)
    assert dense.feed_forward == Mlp(18432)
    assert isinstance(sparse.feed_forward, Moe)
    assert (sparse.feed_forward.num_experts, sparse.feed_forward.shared_intermediate_size) == (256, 2048)


@pytest.mark.parametrize(
    ("name", "windows"),
    [
        ("mistral-7b-v0.1", {4096: 32}),
        ("mistral-7b-v0.3", {None: 32}),
        ("gemma-2-9b", {4096: 21, None: 21}),
        ("gemma-3-27b", {1024: 52, None: 10}),
        ("gpt-oss-120b", {128: 18, None: 18}),
        ("llama-4-scout", {8192: 36, None: 12}),
        ("qwen2.5-72b", {None: 80}),
    ],
)
def test_windows_sit_in_the_layers_that_have_them(name, windows):
    model = load_model(name)
    counted = {}
    for group in model.layers:
        assert isinstance(group.mixer, Attention)
        counted[group.mixer.window] = counted.get(group.mixer.window, 0) + group.count
    assert counted == windows
    assert model.attention_window == max((w for w in windows if w), default=None)


def test_maverick_has_experts_in_every_second_layer():
    kinds = [(group.count, type(group.feed_forward)) for group in load_model("llama-4-maverick").layers]
    assert sum(count for count, kind in kinds if kind is Moe) == 24
    assert sum(count for count, kind in kinds if kind is Mlp) == 24


def test_a_hybrid_holds_a_state_that_does_not_grow():
    model = load_model("qwen3-next-80b-a3b")
    states = [group for group in model.layers if isinstance(group.mixer, StateSpace)]
    assert sum(group.count for group in states) == 36
    by_hand = 32 * 128 * 128 + (2 * 16 * 128 + 32 * 128) * 3  # a matrix per value head, and three inputs of the convolution
    assert states[0].mixer.state_elements == by_hand
    assert model.state_bytes_per_sequence() == 36 * by_hand * 2
    assert load_model("llama-3.1-8b").state_bytes_per_sequence() == 0


def test_a_mamba2_layer_is_counted_as_its_paper_lays_it_out():
    mixer = load_model("nemotron-3-nano-30b-a3b").layers[0].mixer
    assert isinstance(mixer, StateSpace)
    inner, convolved = 64 * 64, 64 * 64 + 2 * 8 * 128
    assert mixer.num_parameters == 2688 * (inner + convolved + 64) + inner * 2688
    assert mixer.state_elements == inner * 128 + convolved * 3
    assert mixer.state_format.name == "fp32"


def test_a_name_is_found_in_any_case_and_by_its_hugging_face_id():
    assert load_model("Llama-3.1-8B") == load_model("meta-llama/llama-3.1-8b-instruct") == load_model("llama-3.1-8b")
    assert model_facts("openai/gpt-oss-20b").name == "gpt-oss-20b"


@pytest.mark.parametrize("name", ["llama3.1-8b", "lama-3.1-8b", "llama-3.1-8-b"])
def test_an_unknown_name_is_refused_with_the_nearest_ones(name):
    with pytest.raises(CatalogError, match=r"no model is called .*; did you mean .*llama-3\.1-8b"):
        load_model(name)


def test_a_name_like_no_other_is_told_how_many_there_are_without_aliases():
    with pytest.raises(CatalogError, match=rf"`seatrial catalog models` lists them.* {len(model_names())} are known"):
        load_model("qqqqqqqqqqqqqqqq")


@pytest.mark.parametrize("read", [load_model, model_facts])
def test_an_empty_name_is_called_empty(read):
    with pytest.raises(CatalogError, match="the name of the model is empty; give one of the catalogue"):
        read("")


def test_a_path_that_is_not_there_is_called_a_path(tmp_path):
    with pytest.raises(CatalogError, match="there is no file"):
        load_model(str(tmp_path / "config.json"))
    with pytest.raises(CatalogError, match=r"has no config\.json"):
        load_model(str(tmp_path))


def test_a_config_on_disk_is_read_as_file_and_as_directory(tmp_path):
    directory = tmp_path / "my-model"
    directory.mkdir()
    keys = {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8}
    config = {"model_type": "llama", "vocab_size": 128256, "max_position_embeddings": 131072, "torch_dtype": "bfloat16", **keys}
    (directory / "config.json").write_text(json.dumps(config))
    by_directory, by_file = load_model(str(directory)), load_model(str(directory / "config.json"))
    assert by_directory == by_file
    assert by_file.name == "my-model"
    assert by_file.layers == load_model("llama-3.1-8b").layers
    assert by_file.num_parameters == 8_030_261_248


def test_quantisation_may_stand_in_a_file_of_its_own(tmp_path):
    keys = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = {"model_type": "llama", "vocab_size": 100, "max_position_embeddings": 128, **keys}
    (tmp_path / "config.json").write_text(json.dumps(config))
    quantization = {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8", "group_size": 16, "exclude_modules": ["lm_head"]}
    (tmp_path / "hf_quant_config.json").write_text(json.dumps({"producer": {"name": "modelopt"}, "quantization": quantization}))
    formats = load_model(str(tmp_path)).formats
    assert (formats.mlp.name, formats.lm_head.name, formats.kv_cache.name) == ("nvfp4", "bf16", "fp8")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"config\.json is not JSON \(line 1"),
        ("[1]", r"config\.json holds a list"),
        ("{}", r"config\.json has no 'model_type'"),
        ('{"model_type": "llama"}', r"config\.json has no 'hidden_size'; a whole number of at least 1"),
    ],
)
def test_a_broken_file_is_named_with_what_it_lacks(tmp_path, content, message):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(CatalogError, match=message):
        load_model(str(tmp_path))


def test_loading_one_model_does_not_parse_the_others():
    load_model("gpt-oss-20b")
    started = time.perf_counter()
    load_model("gpt-oss-120b")
    assert time.perf_counter() - started < 0.25  # about a millisecond; the rest is for a busy machine


def test_what_the_sampler_has_to_do_is_what_the_generation_config_says(tmp_path):
    assert load_model("llama-3.1-8b").sampling == Sampling(sorts=True)
    assert load_model("llama-3.1-8b-fp8").sampling == Sampling(sorts=True)  # as what it is based on
    assert load_model("qwen2.5-7b").sampling == Sampling(sorts=True, penalises=True)
    assert load_model("mixtral-8x7b").sampling == Sampling()
    config = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    (tmp_path / "config.json").write_text(json.dumps(config | {"vocab_size": 100, "max_position_embeddings": 512}))
    assert load_model(str(tmp_path)).sampling == Sampling()
    for says, sorts in ({"temperature": 0.7}, False), ({"top_p": 1.0, "top_k": 0}, False), ({"top_k": 20}, True), ({"top_p": 0.9}, True):
        for penalty, penalises in (1.0, False), (1.05, True), (None, False):
            (tmp_path / "generation_config.json").write_text(json.dumps({**says, "repetition_penalty": penalty}))
            assert load_model(str(tmp_path)).sampling == Sampling(sorts, penalises)
