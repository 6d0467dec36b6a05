"""Engine profiles: every number has a source, and an architecture may have its own."""

from dataclasses import fields

import pytest

from seatrial.catalog import engine_names, load_engine, read_engine
from seatrial.catalog.engines import ENGINES, NUMBERS
from seatrial.core.deployment import EngineConfig
from seatrial.core.errors import CatalogError
from seatrial.policy.schedulers import unused_options


@pytest.mark.parametrize("name", engine_names())
def test_every_number_of_a_shipped_engine_has_a_source(name):
    engine = load_engine(name)
    assert {number for number in NUMBERS if getattr(engine, number) is not None} | set(engine.defaults) == set(engine.sources)


@pytest.mark.parametrize("name", engine_names())
def test_the_defaults_of_a_shipped_engine_are_arguments_that_its_scheduler_reads(name):
    engine = load_engine(name)
    known = {field.name for field in fields(EngineConfig)} - unused_options(engine.scheduler)
    assert {name for name, value in engine.defaults.items() if value is not False} <= known


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("vllm-0.15.1", "vllm-0.15"),
        ("vllm-v0.14.2rc1", "vllm-0.14"),
        ("vllm-0.12", "vllm-0.10"),
        ("vLLM-0.5", "vllm-0.6"),
        ("trtllm-1.0", "tensorrt-llm-1.0"),
    ],
)
def test_a_version_has_the_profile_of_the_nearest_before_it(asked, found):
    assert load_engine(asked).name == found


def test_an_engine_without_a_version_is_its_newest():
    assert load_engine("vllm").name == [name for name in engine_names() if name.startswith("vllm-")][-1]


def test_a_profile_may_say_only_how_it_differs_from_another(tmp_path):
    per_step = 'per_step = { value = 1e-3, source = "me" }'
    me = '[sources]\nme = { text = "me", date = "2026" }'
    (tmp_path / "mine.toml").write_text(f'base = "vllm-0.10"\nscheduler = "sarathi"\n{per_step}\n{me}\n')
    mine, base = load_engine(str(tmp_path / "mine.toml")), load_engine("vllm-0.10")
    assert (mine.per_step, mine.scheduler) == (1e-3, "sarathi")
    assert (mine.before_request, mine.defaults) == (base.before_request, base.defaults)


def test_an_architecture_may_have_kernels_of_its_own():
    assert load_engine("vllm", "Ampere").attention_memory < load_engine("vllm", "Hopper").attention_memory
    assert load_engine("vllm", "Volta").attention_memory is None
    assert load_engine("vllm", "Ampere").per_step == load_engine("vllm").per_step


def test_an_engine_of_ones_own_is_a_file(tmp_path):
    text = (ENGINES / "vllm-0.15.toml").read_text()
    (tmp_path / "mine.toml").write_text(text.replace("0.000194", "0.5e-3"))
    mine = load_engine(str(tmp_path / "mine.toml"))
    assert (mine.name, mine.per_step) == ("mine", 0.5e-3)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("\nper_step ", "\nper_stop ", "has an unknown key 'per_stop'; did you mean per_step"),
        ("value = 0.000194", "value = -1", "per_step has the value -1; it must be a number above zero or zero"),
        ("\nattention_memory =", "\nattention_memry =", "on.Hopper has an unknown key 'attention_memry'"),
    ],
)
def test_a_file_that_is_wrong_gets_one_sentence(tmp_path, old, new, sentence):
    (tmp_path / "mine.toml").write_text((ENGINES / "vllm-0.15.toml").read_text().replace(old, new))
    with pytest.raises(CatalogError) as refusal:
        read_engine(tmp_path / "mine.toml", "Hopper")
    assert sentence in str(refusal.value)


def test_an_unknown_engine_gets_the_known_ones():
    with pytest.raises(CatalogError, match=r"no engine 'vlm-0\.15'; did you mean vllm"):
        load_engine("vlm-0.15")
