"""The accelerators of the catalogue, and what a data file may say."""

import re
import time

import pytest

from seatrial.catalog.accelerators import DIRECTORY, accelerator_names, load_accelerator, read_accelerator
from seatrial.core.accelerator import Accelerator
from seatrial.core.errors import CatalogError
from seatrial.core.units import GIB, MIB

EVERY = [load_accelerator(name) for name in accelerator_names()]
every = pytest.mark.parametrize("accelerator", EVERY, ids=lambda a: a.name)


def numbers(accelerator: Accelerator) -> dict[str, float]:
    """Every number under the name that `sources` uses."""
    plain = ("memory", "memory_bandwidth", "devices_per_node", "tdp", "idle_power", "price_per_hour")
    links = {
        f"{link}.{key}": getattr(getattr(accelerator, link), key)
        for link in ("scale_up", "scale_out", "host")
        for key in ("bandwidth", "latency")
    }
    peaks = {f"peak_flops.{key}": value for key, value in accelerator.peak_flops.items()}
    return {key: getattr(accelerator, key) for key in plain} | links | peaks


# laws


@every
def test_every_number_has_a_source_and_a_date(accelerator):
    assert set(accelerator.sources) == set(numbers(accelerator))
    for fact in accelerator.sources.values():
        assert len(fact.source) >= len("estimate")
        assert re.fullmatch(r"20[12]\d(-[01]\d(-[0-3]\d)?)?", fact.date)


@every
def test_fewer_bits_are_no_slower(accelerator):
    peak = accelerator.peak_flops
    for slow, fast in (
        ("fp32", "tf32"),
        ("fp32", "bf16"),
        ("tf32", "bf16"),
        ("fp32", "fp16"),
        ("bf16", "fp8"),
        ("fp8", "fp4"),
        ("int8", "int4"),
    ):
        if slow in peak and fast in peak:
            assert peak[slow] <= peak[fast], (slow, fast)
    assert "bf16" in peak or "fp16" in peak
    assert peak.get("bf16", peak.get("fp16")) == peak.get("fp16", peak.get("bf16"))


@every
def test_no_step_to_fewer_bits_gains_four_times(accelerator):
    """Matrix units gain twice a step, three times in Blackwell Ultra's fp4; four times would be a sparse figure beside a dense one."""
    peak = accelerator.peak_flops
    for slow, fast in (("tf32", "bf16"), ("bf16", "fp8"), ("fp8", "fp4"), ("int8", "int4")):
        if slow in peak and fast in peak:
            assert peak[fast] < 3.5 * peak[slow], (slow, fast)


@every
def test_the_figures_are_of_this_world(accelerator):
    assert 0 < accelerator.idle_power < accelerator.tdp / 2 < 1000
    assert 1e11 < accelerator.memory_bandwidth < 1e13
    assert 8 * GIB < accelerator.memory < 1024 * GIB
    assert 0.05 < accelerator.price_per_hour < 20
    assert 1 <= accelerator.devices_per_node <= 1024
    for link in (accelerator.scale_up, accelerator.scale_out, accelerator.host):
        assert 1e9 < link.bandwidth <= accelerator.memory_bandwidth
        assert 1e-8 < link.latency < 1e-4
    assert accelerator.scale_up.latency <= accelerator.scale_out.latency


@every
def test_an_accelerator_answers_to_its_name_and_to_each_alias_in_any_spelling(accelerator):
    for name in (accelerator.name, *accelerator.aliases):
        assert load_accelerator(name).name == accelerator.name
        assert load_accelerator(name.upper().replace("_", "-")).name == accelerator.name
        assert load_accelerator(name.replace("_", " ")).name == accelerator.name


def test_no_two_accelerators_share_a_name_or_alias():
    names = [name for accelerator in EVERY for name in (accelerator.name, *accelerator.aliases)]
    assert len(names) == len(set(names))
    assert all(name == name.lower().replace("-", "_").replace(" ", "_") for name in names)


@every
def test_a_data_file_lists_no_source_that_it_does_not_use(accelerator):
    text = (DIRECTORY / f"{accelerator.name}.toml").read_text()
    listed = re.findall(r"^(\w+) *= \{ text", text, re.MULTILINE)
    assert set(listed) == set(re.findall(r'source = "(\w+)"', text))


# values


def test_the_catalogue_has_the_accelerators_that_people_serve_on():
    assert len(accelerator_names()) >= 26
    assert accelerator_names() == sorted(accelerator_names())


@pytest.mark.parametrize(
    "name", ["h100_sxm", "h200_sxm", "b200_sxm", "gb200", "gb300", "a100_sxm", "l40s", "l4", "rtx_pro_6000_server", "b60"]
)
def test_the_system_ids_of_other_tools_are_names(name):
    assert load_accelerator(name).name == name


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("h100", "h100_sxm"),
        ("H100-SXM", "h100_sxm"),
        ("a100-80gb", "a100_sxm"),
        ("A100_40GB", "a100_sxm_40gb"),
        ("rtx-4090", "rtx_4090"),
        ("mi300x", "mi300x"),
        ("Trillium", "tpu_v6e"),
        ("910C", "ascend_910c"),
        ("NVIDIA H100 80GB HBM3", "h100_sxm"),
    ],
)
def test_the_usual_short_names_mean_the_usual_things(alias, name):
    assert load_accelerator(alias).name == name


@pytest.mark.parametrize(
    ("name", "key", "by_hand"),
    [
        # 132 SMs x 4 tensor cores x 512 multiply-adds x 2 x 1.83 GHz, and twice that in 8 bits
        ("h100_sxm", "bf16", 132 * 4 * 512 * 2 * 1.83e9),
        ("h100_sxm", "fp8", 132 * 4 * 1024 * 2 * 1.83e9),
        ("h100_pcie", "bf16", 756e12),
        ("h200_sxm", "bf16", 989.4e12),
        ("h20", "bf16", 148e12),
        # 108 SMs x 4 x 256 x 2 x 1.41 GHz
        ("a100_sxm", "bf16", 108 * 4 * 256 * 2 * 1.41e9),
        ("a100_sxm", "int8", 624e12),
        ("v100_sxm", "fp16", 125e12),
        ("t4", "fp16", 65e12),
        ("a10", "bf16", 125e12),
        ("a40", "bf16", 149.7e12),
        ("rtx_a6000", "bf16", 154.8e12),
        ("rtx_4090", "bf16", 128 * 4 * 64 * 2 * 2.52e9),
        ("l4", "bf16", 121e12),
        ("l40s", "bf16", 362.05e12),
        ("l40s", "fp8", 733e12),
        ("b200_sxm", "bf16", 2.25e15),
        ("b200_sxm", "fp4", 9e15),
        ("gb200", "bf16", 2.5e15),
        ("gb300", "fp4", 15e15),
        # 304 compute units x 2048 x 2.1 GHz
        ("mi300x", "bf16", 304 * 2048 * 2.1e9),
        ("mi325x", "fp8", 304 * 4096 * 2.1e9),
        # 256 compute units x 4096 x 2.4 GHz
        ("mi355x", "bf16", 256 * 4096 * 2.4e9),
        ("mi250x", "bf16", 220 * 1024 * 1.7e9),
        ("tpu_v5e", "bf16", 197e12),
        ("tpu_v6e", "bf16", 918e12),
        ("ascend_910c", "bf16", 752e12),
        ("gaudi3", "bf16", 1835e12),
        ("xeon_8480_2s", "bf16", 2 * 56 * 1024 * 2.0e9),
    ],
)
def test_peaks_are_dense(name, key, by_hand):
    assert load_accelerator(name).peak_flops[key] == pytest.approx(by_hand, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("a100_sxm", ("fp8", "fp4")),
        ("h100_sxm", ("fp4", "int4")),
        ("v100_sxm", ("bf16", "int8")),
        ("mi300x", ("fp4",)),
        ("b60", ("fp8",)),
        ("tpu_v5e", ("fp8",)),
    ],
)
def test_formats_that_the_matrix_units_lack_are_absent(name, absent):
    assert not set(absent) & set(load_accelerator(name).peak_flops)


def test_an_h100_has_the_memory_that_its_driver_shows():
    h100 = load_accelerator("h100")
    assert h100.memory == 81559 * MIB
    assert h100.memory_bandwidth == 3.35e12


@pytest.mark.parametrize(
    ("name", "bandwidth", "devices"),
    [
        ("v100", 150e9, 8),
        ("a100", 300e9, 8),
        ("h100", 450e9, 8),
        ("b200", 900e9, 8),
        ("gb200", 900e9, 72),
        ("mi300x", 7 * 64e9, 8),
        ("l40s", 32e9, 8),
    ],
)
def test_scale_up_is_one_direction_of_all_links_of_a_device(name, bandwidth, devices):
    accelerator = load_accelerator(name)
    assert accelerator.scale_up.bandwidth == bandwidth
    assert accelerator.devices_per_node == devices


def test_a_guess_says_that_it_is_one():
    assert load_accelerator("tpu_v6e").sources["tdp"].source.startswith("estimate")
    assert load_accelerator("h100").sources["idle_power"].source.startswith("estimate")
    assert not load_accelerator("h100").sources["tdp"].source.startswith("estimate")


def test_loading_one_takes_less_than_20_ms():
    load_accelerator("h100")  # the first call learns the aliases

    def seconds() -> float:
        start = time.perf_counter()
        load_accelerator("mi300x")
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.02


# what goes wrong


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(CatalogError, match=r"no accelerator 'H100-SXN' .*did you mean h100_sxm"):
        load_accelerator("H100-SXN")


def test_a_name_like_no_other_is_told_how_many_there_are_without_aliases():
    with pytest.raises(CatalogError, match=rf"lists them\); {len(accelerator_names())} are known"):
        load_accelerator("qqqqqqqqqqqqqqqq")


def test_an_empty_name_is_called_empty():
    with pytest.raises(CatalogError, match="the name of the accelerator is empty; give one of the catalogue"):
        load_accelerator(" ")


@pytest.fixture
def edited(tmp_path):
    """Reads the H100's file with one text in it replaced."""

    def read(old: str, new: str) -> Accelerator:
        text = (DIRECTORY / "h100_sxm.toml").read_text()
        assert old in text
        file = tmp_path / "mine.toml"
        file.write_text(text.replace(old, new, 1))
        return read_accelerator(file)

    return read


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[device]", "[devcie]", r"the file has an unknown key 'devcie'; did you mean device"),
        ("tdp  ", "tpd  ", r"device has an unknown key 'tpd'; did you mean tdp"),
        ("bf16 =", "bf61 =", r"peak_flops has an unknown key 'bf61'; did you mean bf16"),
        ("value = 700", "valeu = 700", r"device.tdp has an unknown key 'valeu'; did you mean value"),
        ('idle_power       = { value = 70, source = "idle" }\n', "", r"device has no 'idle_power'; it needs memory"),
        ('value = 700, source = "sheet"', "value = 700", r"device.tdp has no 'source'"),
        (
            'value = 700, source = "sheet"',
            'value = 700, source = "shet"',
            r"device.tdp has the source 'shet', which \[sources\] lacks; did you mean sheet",
        ),
        ("value = 700", "value = -700", r"device.tdp has the value -700; it must be a number above zero"),
        ("value = 700", "value = 0", r"device.tdp has the value 0; it must be a number above zero"),
        ("value = 700", "value = nan", r"device.tdp has the value nan"),
        ("value = 700", "value = inf", r"device.tdp has the value inf"),
        ("value = 700", "value = true", r"device.tdp has the value True"),
        ("value = 700", "value = '700'", r"device.tdp has the value '700'"),
        (
            "devices_per_node = { value = 8",
            "devices_per_node = { value = 7.5",
            r"device.devices_per_node has the value 7.5; it must be a whole number",
        ),
        ('date = "2024-09"', 'date = "lately"', r"sources.sheet.date is 'lately'; write it like 2025"),
        ('text = "NVIDIA H100 data sheet"', 'text = ""', r"sources.sheet.text is ''; it must be a text"),
        ('name      = "NVLink 4"', "name = 4", r"scale_up.name is 4; it must be a text"),
        ('vendor = "NVIDIA"', "", r"the file has no 'vendor'"),
        ("aliases = [", "aliases = 'h100' # [", r"aliases is 'h100'; it must be a list of texts"),
        ("[sources]", "sources = 5\n[source]", r"the file has an unknown key 'source'; did you mean sources"),
        ("[peak_flops]", "[peak_flops", r"cannot be read: "),
    ],
)
def test_a_mistake_in_a_data_file_is_named_by_file_and_place(edited, old, new, message):
    with pytest.raises(CatalogError, match=r"accelerator file .*mine\.toml:? " + message):
        edited(old, new)


def test_a_section_that_is_no_table_is_refused(edited):
    with pytest.raises(CatalogError, match=r"device\.tdp is 700; it must be a table with value and source"):
        edited('{ value = 700, source = "sheet" }', "700")


def test_a_data_file_of_ones_own_can_be_loaded_by_its_path(edited, tmp_path):
    assert edited("value = 700", "value = 500").tdp == 500
    assert load_accelerator(str(tmp_path / "mine.toml")).name == "mine"
    with pytest.raises(CatalogError, match=r"missing\.toml cannot be read"):
        load_accelerator(str(tmp_path / "missing.toml"))
