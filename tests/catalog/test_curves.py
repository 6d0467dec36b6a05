"""Curve files: what is shipped reads, the nearest relative lends, and everyone learns whose curve it is."""

from dataclasses import astuple

import pytest

from seatrial.catalog import accelerator_names, load_accelerator, load_curves, read_curves
from seatrial.catalog.curves import CURVES, curve_names
from seatrial.core.curves import CAUSES, KINDS, TransferCurve
from seatrial.core.errors import CatalogError

GEMM = """
[gemm.bf16]
multiplied = "bf16"
source = "bench"
curve = { compute = 0.5, memory = 0.5, fixed = 1e-6, per_input = 0, half_rows = 0, half_inputs = 0, half_outputs = 0, blend = 2 }
sizes.inputs = [1024, 4096]
sizes.outputs = [1024, 8192]
shapes = ["1024 ##", "4096 #."]
reach.rows = [1, 4096]
errors.measured = [0.01, 0.02]
errors.interpolated = [0.03, 0.06]
errors.scaled = [0.1, 0.2]
errors.reformatted = [0.2, 0.5]
errors.extrapolated = [0.06, 0.4]

[sources]
bench = { text = "a bench of ours", date = "2026-11" }
"""


@pytest.mark.parametrize("name", [*curve_names(), "generic"])
def test_every_shipped_curve_has_sizes_a_source_and_growing_errors(name):
    for fitted in read_curves(CURVES / f"{name}.toml"):
        assert type(fitted.curve) is KINDS[fitted.operator]
        assert fitted.source
        assert set(fitted.errors) <= set(CAUSES)
        assert all(0 < bar.median <= bar.p90 for bar in fitted.errors.values())
        assert bool(fitted.errors) == (name != "mi300x")  # who publishes shares of peaks says nothing of their errors
        assert bool(fitted.sizes) == (name not in ("generic", "mi300x"))  # shares of peaks that were published, or rules of thumb
        assert bool(fitted.shapes) == bool(fitted.sizes)
        assert all(list(sizes) == sorted(sizes) for sizes in fitted.sizes.values())


def test_every_operator_has_a_generic_curve():
    assert {fitted.operator for fitted in read_curves(CURVES / "generic.toml")} == set(KINDS)


@pytest.mark.parametrize("name", accelerator_names())
def test_every_accelerator_has_a_curve_for_every_operator(name):
    curves = load_curves(load_accelerator(name))
    for operator in KINDS:
        number_format, multiplied = ("scale_up", "") if isinstance(curves.find(operator, "", "").curve, TransferCurve) else ("bf16", "bf16")
        assert curves.find(operator, number_format, multiplied).operator == operator


@pytest.mark.parametrize(
    ("name", "lender"),
    [
        ("h100_sxm", "h100_sxm"),
        ("a100_sxm_40gb", "a100_sxm"),  # the same architecture
        ("h20", "h100_sxm"),  # of two, the one whose peaks are more alike
        ("v100_sxm", "a100_sxm"),  # the next generation
        ("rtx_4090", "l40s"),
        ("a10", "l40s"),  # a card on PCIe is nearer to another card than to a board of its own generation
        ("mi300x", "mi300x"),
        ("mi325x", "mi300x"),
        ("tpu_v6e", "generic"),
    ],
)
def test_an_accelerator_without_curves_borrows_from_its_nearest_relative(name, lender):
    assert load_curves(load_accelerator(name)).find("gemm", "bf16", "bf16").accelerator == lender


def test_a_format_is_borrowed_only_where_it_is_multiplied_alike():
    h100 = load_curves(load_accelerator("h100_sxm"))
    assert h100.find("gemm", "int4", "bf16").accelerator == "a100_sxm"  # unpacked to bf16 on both
    nvfp4 = h100.find("gemm", "nvfp4", "bf16")  # a B200 multiplies fp4, an H100 unpacks it
    assert (nvfp4.accelerator, nvfp4.number_format) == ("h100_sxm", "bf16")


@pytest.fixture
def bench(tmp_path):
    (tmp_path / "h100_sxm.toml").write_text(GEMM)
    return tmp_path


def estimate(directory, accelerator="h100_sxm", number_format="bf16", multiplied="bf16", moved=1.0, **sizes):
    curves = load_curves(load_accelerator(accelerator), directory)
    return curves.estimate(curves.find("gemm", number_format, multiplied), number_format, sizes, moved=moved)


@pytest.mark.parametrize("name", curve_names())
def test_every_row_of_a_shipped_curve_marks_a_shape(name):
    for fitted in read_curves(CURVES / f"{name}.toml"):
        for place, sizes in enumerate(fitted.sizes.values()):
            assert {shape[place] for shape in fitted.shapes} == set(sizes)


def test_a_measured_curve_without_errors_is_refused(bench):
    kept = [line for line in GEMM.splitlines() if not line.startswith("errors.")]
    (bench / "h100_sxm.toml").write_text("\n".join(kept))
    with pytest.raises(CatalogError, match=r"gemm.bf16 has no 'errors'; only a curve without sizes may take the generic ones"):
        read_curves(bench / "h100_sxm.toml")


def test_what_is_known_of_a_time_depends_on_what_was_measured(bench):
    assert estimate(bench, inputs=1024, outputs=8192)[:2] == ("measured", (0.01, 0.02))
    assert estimate(bench, inputs=2048, outputs=8192)[:2] == ("interpolated", (0.03, 0.06))
    assert estimate(bench, "h200_sxm", inputs=1024, outputs=8192)[:3] == ("scaled", (0.1, 0.2), "h100_sxm")
    assert estimate(bench, "mi300x", inputs=1024, outputs=8192).provenance == "roofline"


def test_sizes_that_were_measured_but_never_together_are_interpolated(bench):
    assert estimate(bench, inputs=4096, outputs=1024).provenance == "measured"
    assert estimate(bench, inputs=4096, outputs=8192)[:2] == ("interpolated", (0.03, 0.06))


def test_of_sizes_without_shapes_nobody_knows_which_were_measured_together(bench):
    (bench / "h100_sxm.toml").write_text(GEMM.replace('shapes = ["1024 ##", "4096 #."]', ""))
    assert estimate(bench, inputs=4096, outputs=1024).provenance == "interpolated"


def test_each_reason_to_be_less_sure_has_an_error_of_its_own(bench):
    assert estimate(bench, inputs=1024, outputs=9000)[:2] == ("scaled", (0.06, 0.4))  # beyond the largest
    assert estimate(bench, inputs=1024, outputs=8192, rows=5000)[:2] == ("scaled", (0.06, 0.4))  # so is the load
    assert estimate(bench, number_format="nvfp4", inputs=1024, outputs=8192)[:2] == ("scaled", (0.2, 0.5))
    assert estimate(bench, "h200_sxm", inputs=1024, outputs=9000)[:2] == ("scaled", (0.1, 0.4)), "the wider bar of two reasons"


def test_a_time_that_the_profile_moves_by_more_than_the_curve_is_off_is_no_longer_the_curves(bench):
    assert estimate(bench, inputs=1024, outputs=8192, moved=1.005)[:2] == ("measured", (0.01, 0.02))
    for moved in (3.2, 1 / 3.2):
        assert estimate(bench, inputs=1024, outputs=8192, moved=moved)[:2] == ("scaled", (0.1, 0.2))
    assert estimate(bench, "mi300x", moved=3.2).provenance == "roofline", "there is nothing less sure"


def test_an_accelerator_whose_errors_nobody_knows_has_those_of_the_generic_curves_and_not_a_better_one(bench):
    ours, generic = (load_curves(load_accelerator(name)).find("prompt_attention", "bf16", "bf16") for name in ("mi300x", "tpu_v6e"))
    assert (ours.accelerator, generic.accelerator) == ("mi300x", "generic")
    curves = load_curves(load_accelerator("mi300x"))
    assert curves.estimate(ours, "bf16", {})[:2] == ("roofline", generic.errors["roofline"])


def test_every_estimate_names_its_source(bench):
    assert estimate(bench, inputs=1024, outputs=8192).source == "a bench of ours, 2026-11"
    assert estimate(bench, inputs=1024, outputs=8192).curve == "gemm.bf16"


def test_numbers_are_read_as_they_are_written(bench):
    (fitted,) = read_curves(bench / "h100_sxm.toml")
    assert astuple(fitted.curve) == (0.5, 0.5, 1e-6, 0, 0, 0, 0, 2)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("compute = 0.5", "compute = 0", "gemm.bf16.curve.compute is 0; a share of a peak is above zero"),
        ("compute = 0.5", "compute = -1", "gemm.bf16.curve.compute is -1; it must be a number, zero or more"),
        ("compute = 0.5, ", "", "gemm.bf16.curve has no 'compute'"),
        ("compute = 0.5", "compte = 0.5", "gemm.bf16.curve has an unknown key 'compte'; did you mean compute?"),
        ("[gemm.bf16]", "[gem.bf16]", "has an unknown key 'gem'; did you mean gemm?"),
        ("[0.01, 0.02]", "[0.01]", "gemm.bf16.errors.measured is [0.01]; it must be a list of 2 numbers"),
        ("errors.scaled", "errors.scald", "has an unknown key 'scald'"),
        ('source = "bench"', 'source = "desk"', "gemm.bf16 has the source 'desk', which [sources] lacks"),
        ("[1024, 8192]", '"all"', "gemm.bf16.sizes is 'all'; it must be a list of some numbers"),
        ('"4096 #."', '"2048 #."', "gemm.bf16.shapes has the row '2048 #.'; it must have a size of inputs, and 2 marks, # or ."),
        ('"4096 #."', '"4096 #.#"', "has the row '4096 #.#'; it must have a size of inputs, and 2 marks"),
        ('"4096 #."', '"4096 #x"', "has the row '4096 #x'; it must have"),
        ('"4096 #."', "4096", "gemm.bf16.shapes is ['1024 ##', 4096]; it must be a list of rows of marks"),
        ("[1, 4096]", "[1]", "gemm.bf16.reach is [1]; it must be a list of 2 numbers"),
    ],
)
def test_a_file_that_is_wrong_gets_one_sentence(tmp_path, old, new, sentence):
    (tmp_path / "h100_sxm.toml").write_text(GEMM.replace(old, new))
    with pytest.raises(CatalogError) as refusal:
        read_curves(tmp_path / "h100_sxm.toml")
    assert sentence in str(refusal.value)
