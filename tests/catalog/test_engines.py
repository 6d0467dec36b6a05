"""Engine profiles: every number has a source, and an architecture may have its own."""

import pytest

from seatrial.catalog import engine_names, load_engine, read_engine
from seatrial.catalog.engines import ENGINES, NUMBERS
from seatrial.core.errors import CatalogError


@pytest.mark.parametrize("name", engine_names())
def test_every_number_of_a_shipped_engine_has_a_source(name):
    engine = load_engine(name)
    assert {number for number in NUMBERS if getattr(engine, number) is not None} == set(engine.sources)


def test_an_architecture_may_have_kernels_of_its_own():
    assert load_engine("vllm", "Ampere").attention_memory < load_engine("vllm", "Hopper").attention_memory
    assert load_engine("vllm", "Volta").attention_memory is None
    assert load_engine("vllm", "Ampere").per_step == load_engine("vllm").per_step


def test_an_engine_of_ones_own_is_a_file(tmp_path):
    text = (ENGINES / "vllm.toml").read_text()
    (tmp_path / "mine.toml").write_text(text.replace("0.27e-3", "0.5e-3"))
    mine = load_engine(str(tmp_path / "mine.toml"))
    assert (mine.name, mine.per_step) == ("mine", 0.5e-3)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("\nper_step ", "\nper_stop ", "has an unknown key 'per_stop'; did you mean per_step"),
        ("value = 0.27e-3", "value = -1", "per_step has the value -1; it must be a number above zero or zero"),
        ("attention_memory =", "attention_memry =", "on.Hopper has an unknown key 'attention_memry'"),
    ],
)
def test_a_file_that_is_wrong_gets_one_sentence(tmp_path, old, new, sentence):
    (tmp_path / "mine.toml").write_text((ENGINES / "vllm.toml").read_text().replace(old, new))
    with pytest.raises(CatalogError) as refusal:
        read_engine(tmp_path / "mine.toml", "Hopper")
    assert sentence in str(refusal.value)


def test_an_unknown_engine_gets_the_known_ones():
    with pytest.raises(CatalogError, match="no engine 'vlm'; did you mean vllm"):
        load_engine("vlm")
