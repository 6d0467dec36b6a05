"""`seatrial catalog`: tables that fit, JSON that carries every number, and where each comes from."""

import json
from itertools import groupby

import pytest

from seatrial.catalog import accelerator_names, load_accelerator, load_model, model_names
from seatrial.catalog.models import families
from seatrial.cli.main import main
from seatrial.policy.named import known

TINY = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
}


@pytest.fixture
def told(monkeypatch, capsys):
    """What a catalogue command says on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*tokens):
        assert main(["catalog", *tokens]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        return said.out

    return run


@pytest.mark.parametrize(("kind", "names"), [("models", model_names()), ("accelerators", accelerator_names())])
def test_the_table_names_everything_and_fits_80_columns(kind, names, told):
    lines = told(kind).splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    assert {line.split()[0] for line in lines if line.strip()} >= set(names)


def test_models_stand_by_family_and_in_it_by_size(told):
    family_of = {name: place for place, family in enumerate(families()) for name in family}
    rows = json.loads(told("models", "--json"))["models"]
    assert len(rows) == len(model_names())
    stretches = [list(rows) for _, rows in groupby(rows, key=lambda row: family_of[row["name"]])]
    assert len(stretches) == len(set(family_of.values()))
    for family in stretches:
        sizes = [row["num_parameters"] for row in family]
        assert sizes == sorted(sizes)


@pytest.mark.parametrize("name", ["llama-3.1-8b", "deepseek-v3", "gpt-oss-20b", "qwen3-next-80b-a3b", "nemotron-nano-9b-v2"])
def test_a_models_weights_add_up_in_json(name, told):
    row = json.loads(told("models", name, "--json"))
    spec = load_model(name)
    assert sum(part["num_parameters"] for part in row["weights"]) == row["num_parameters"] == spec.num_parameters
    assert sum(part["bytes"] for part in row["weights"]) == pytest.approx(spec.weight_bytes)
    assert sum(group["count"] for group in row["layers"]) == row["num_layers"]


@pytest.mark.parametrize("name", model_names())
def test_all_about_a_model_fits_80_columns(name, told):
    assert max(map(len, told("models", name).splitlines())) <= 80


def test_a_model_is_shown_with_what_was_published_and_where(told):
    shown = told("models", "meta-llama/Llama-3.1-8B-Instruct")
    assert shown.startswith("llama-3.1-8b\n")
    assert "8,030,261,248, so ours differ by 0.00%" in shown
    assert "huggingface.co" in shown
    assert "32 x attention of 32 heads (8 KV) of 128, MLP of 14,336" in shown


def test_a_config_file_is_a_model_without_published_facts(tmp_path, told):
    file = tmp_path / "tiny.json"
    file.write_text(json.dumps(TINY))
    assert "published" not in told("models", str(file))
    row = json.loads(told("models", str(file), "--json"))
    assert row["name"] == "tiny"
    assert row["num_parameters"] == load_model(str(file)).num_parameters
    assert "published_parameters" not in row


@pytest.mark.parametrize("name", accelerator_names())
def test_every_number_of_an_accelerator_is_shown_with_its_date(name, told):
    found = load_accelerator(name)
    lines = told("accelerators", name).splitlines()
    for place, fact in found.sources.items():
        (line,) = [line for line in lines if line.startswith(f" {place} ")]
        assert fact.date in line


def test_an_accelerators_json_carries_numbers_and_sources(told):
    row = json.loads(told("accelerators", "h100", "--json"))
    found = load_accelerator("h100_sxm")
    assert row["name"] == "h100_sxm"
    assert row["peak_flops"] == found.peak_flops
    assert row["scale_up"] == {"name": found.scale_up.name, "bandwidth": found.scale_up.bandwidth, "latency": found.scale_up.latency}
    assert row["sources"]["tdp"] == {"source": found.sources["tdp"].source, "date": found.sources["tdp"].date}
    assert len(json.loads(told("accelerators", "--json"))["accelerators"]) == len(accelerator_names())


@pytest.mark.parametrize(("kind", "name", "near"), [("models", "llama-3.1-8", "llama-3.1-8b"), ("accelerators", "h100-sx", "h100_sxm")])
def test_an_unknown_name_gets_the_nearest_one(kind, name, near, capsys):
    assert main(["catalog", kind, name]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert near in told.err
    assert told.err.count("\n") == 1


def test_every_router_is_told_with_its_options(told):
    said = told("routers")
    assert max(map(len, said.splitlines())) <= 80
    for name in known("router"):
        assert f"{name} " in said
    assert "weight=1.0, index=approximate, ttl=120.0" in said
    found = {each["name"]: each for each in json.loads(told("routers", "--json"))["routers"]}
    assert found["session"]["options"] == {"load_factor": None}
    assert found["round-robin"] == {"name": "round-robin", "what": "Each replica in turn.", "options": {}, "needed": []}
