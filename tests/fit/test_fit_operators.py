"""`seatrial fit operators`: what made the times is found again, and what says nothing about the hardware is left out."""

import json
from dataclasses import astuple, replace
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from seatrial.catalog import load_accelerator, load_curves, read_curves
from seatrial.cli.main import main
from seatrial.core.curves import AllReduceCurve, GemmCurve
from seatrial.core.errors import FitError
from seatrial.cost.kernels import GemmWork, Peaks, all_reduce_time, gemm_times
from seatrial.fit.beside_curves import LENGTHS, validate_operators
from seatrial.fit.files import write_curves
from seatrial.fit.least_squares import SEARCHES, left_out
from seatrial.fit.operators import OperatorFits, fit_operators, fitted
from seatrial.fit.sift import one_time_per_point, possible, typical
from seatrial.fit.tables import read_cells

H100 = load_accelerator("h100_sxm")
TRUTH = GemmCurve(compute=0.7, memory=0.8, fixed=4e-6, per_input=3e-10, half_rows=20, half_inputs=200, half_outputs=100, blend=3)
ROWS, WIDTHS = (1, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192), (512, 1024, 2048, 4096, 5120, 8192, 14336, 16384)


def gemm_table(directory, curve=TRUTH, gpu="H100-SXM5-80GB", noise=0.0, **more):
    m, n, k = (np.array(column, np.float64) for column in zip(*product(ROWS, WIDTHS, WIDTHS)))
    peaks = Peaks(H100.peak_flops["bf16"], H100.memory_bandwidth)
    seconds = gemm_times(curve, GemmWork(m, k, n, 2.0, 2.0), peaks).seconds
    seconds = seconds * np.exp(np.random.default_rng(1).normal(0, noise, len(m)))
    columns = {"m": m.astype(int), "n": n.astype(int), "k": k.astype(int), "latency_us": seconds * 1e6}
    count = len(m)
    words = {"gpu": [gpu] * count, "backend": ["vllm"] * count, "dtype": ["bfloat16"] * count}
    pq.write_table(pa.table({**words, **columns, **more}), directory / "gemm.parquet")
    return directory


def test_a_fit_recovers_the_curve_that_made_the_times(tmp_path):
    (result,) = fit_operators(gemm_table(tmp_path)).results
    assert astuple(result.fit.curve) == pytest.approx(astuple(TRUTH), rel=0.05)
    assert result.fit.seen.p90 < 0.01


def test_noise_shows_in_the_error_and_hardly_in_the_curve(tmp_path):
    (result,) = fit_operators(gemm_table(tmp_path, noise=0.05)).results
    found = result.fit.curve
    assert (found.compute, found.memory) == pytest.approx((TRUTH.compute, TRUTH.memory), rel=0.03)
    assert 0.02 < result.fit.seen.median < 0.05
    assert result.fit.left_out.median == pytest.approx(result.fit.seen.median, rel=0.1)


def test_accelerators_of_one_die_have_their_arithmetic_in_common_and_their_memory_for_themselves(tmp_path):
    tables = []
    for gpu, compute, memory in (("h100_sxm", 0.66, 0.8), ("h200_sxm", 0.74, 0.6), ("a100_sxm", 0.2, 0.4)):
        folder = tmp_path / gpu
        folder.mkdir()
        tables.append(pq.read_table(gemm_table(folder, replace(TRUTH, compute=compute, memory=memory), gpu) / "gemm.parquet"))
    both = tmp_path / "both"
    both.mkdir()
    pq.write_table(pa.concat_tables(tables), both / "gemm.parquet")
    found = {result.cell.accelerator.name: result.fit.curve for result in fit_operators(both).results}
    h100, h200 = found["h100_sxm"], found["h200_sxm"]
    assert 0.66 < h100.compute == h200.compute < 0.74
    assert (h100.half_inputs, h100.blend) == (h200.half_inputs, h200.blend)
    assert h100.memory == pytest.approx(0.8, rel=0.1)
    assert h200.memory * load_accelerator("h200_sxm").memory_bandwidth == pytest.approx(0.6 * H100.memory_bandwidth, rel=0.1)
    assert found["a100_sxm"].half_inputs != h100.half_inputs, "another die"


def test_an_all_reduce_finds_its_two_ways(tmp_path):
    truth = AllReduceCurve(3e-6, 2e-7, 0.6, 0.75, 6e-6, 0)
    sizes, ranks = zip(*product([2**power for power in range(9, 27)], (2, 4, 8)))
    seconds = all_reduce_time(truth, 2.0 * np.array(sizes), np.array(ranks, np.float64), H100.scale_up.bandwidth)
    count = len(sizes)
    words = {"gpu": ["h100"] * count, "backend": ["vllm"] * count, "op": ["all_reduce"] * count, "dtype": ["half"] * count}
    columns = {"num_gpus": ranks, "message_elements": sizes, "latency_us": seconds * 1e6}
    pq.write_table(pa.table({**words, **columns}), tmp_path / "collectives.parquet")
    (result,) = fit_operators(tmp_path).results
    assert result.fit.curve.two_shots == pytest.approx(0.75, rel=0.05)
    assert result.fit.seen.p90 < 0.02


def test_what_is_written_is_read_back_the_same(tmp_path):
    tables, out = tmp_path / "tables", tmp_path / "out"
    tables.mkdir()
    assert main(["fit", "operators", str(gemm_table(tables)), "--out", str(out), "--source", "a bench of ours", "--date", "2026-11"]) == 0
    (found,) = read_curves(out / "h100_sxm.toml")
    assert found.curve == fit_operators(tables).results[0].fit.curve
    assert found.sizes["inputs"] == WIDTHS
    assert found.source == "a bench of ours, 2026-11"
    assert load_curves(H100, out).find("gemm", "bf16", "bf16") == found
    assert load_curves(H100, out).find("experts", "bf16", "bf16").accelerator == "generic"


def test_the_same_tables_give_the_same_bytes(tmp_path, capsys):
    tables = tmp_path / "tables"
    tables.mkdir()
    gemm_table(tables, noise=0.1)
    written = []
    for name in ("one", "other"):
        main(["fit", "operators", str(tables), "--out", str(tmp_path / name), "--date", "2026"])
        written.append((tmp_path / name / "h100_sxm.toml").read_bytes())
    assert written[0] == written[1]


def test_json_carries_every_curve_and_error(tmp_path, capsys):
    assert main(["fit", "operators", str(gemm_table(tmp_path)), "--json"]) == 0
    (curve,) = json.loads(capsys.readouterr().out)["curves"]
    assert (curve["operator"], curve["number_format"], curve["accelerator"]) == ("gemm", "bf16", "h100_sxm")
    assert curve["errors"]["fitted"]["median_ape_pct"] < 1
    assert curve["errors"]["relative"] is None
    assert curve["num_shapes"] == 64


def test_the_tables_for_people_fit_80_columns(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["fit", "operators", str(gemm_table(tmp_path)), "--report"]) == 0
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "…" not in out
    assert "gemm.bf16" in out


def test_an_accelerator_that_nobody_knows_is_named_and_passed_over(tmp_path, capsys):
    gemm_table(tmp_path, gpu="Abacus 3000")
    assert main(["fit", "operators", str(tmp_path)]) == 2
    assert "no accelerator 'Abacus 3000'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda directory: (directory / "gemm.parquet").unlink(), "has no table of operator times; it may have gemm, moe"),
        (lambda directory: (directory / "gemm.parquet").write_text("m,n,k"), "cannot be read as Parquet"),
        (lambda directory: pq.write_table(pa.table({"gpu": ["h100"], "m": [1]}), directory / "gemm.parquet"), "has no column 'dtype'"),
        (lambda directory: gemm_table(directory, m=["many"] * 704), "m holds something that is no number"),
        (lambda directory: gemm_table(directory, latency_us=["quick"] * 704), "latency_us holds something that is no number"),
    ],
)
def test_bad_tables_get_one_sentence(tmp_path, capsys, spoil, sentence):
    gemm_table(tmp_path)
    spoil(tmp_path)
    assert main(["fit", "operators", str(tmp_path)]) == 2
    told = capsys.readouterr()
    assert sentence in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_a_directory_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FitError, match="no directory"):
        fit_operators(tmp_path / "nowhere")


def test_a_library_that_falls_back_gives_way_to_the_quicker_one():
    keys = np.array([[1.0], [2.0], [3.0], [4.0], [1.0], [2.0], [3.0]])
    backend = np.array(["vllm"] * 4 + ["sglang"] * 3)
    points = one_time_per_point(keys, backend, np.array([1.0, 9.0, 1.0, 1.0, 1.1, 1.0, 1.1]))
    assert points.seconds.tolist() == [1.0, 1.0, 1.0, 1.0]
    assert points.backends == ("vllm", "sglang")


def test_a_library_that_is_slow_throughout_is_not_used():
    keys = np.array([[1.0], [2.0], [3.0], [1.0], [2.0]])
    points = one_time_per_point(keys, np.array(["vllm"] * 3 + ["sglang"] * 2), np.array([8.0, 9.0, 9.0, 1.0, 1.0]))
    assert points.seconds.tolist() == [1.0, 1.0]
    assert points.backends == ("sglang",)


def test_times_that_no_point_keeps_are_counted_for_each_operator(tmp_path):
    rows = [f"h100,vllm,bf16,{m},4096,4096,15" for m in (1, 2, 4)] + [f"h100,sglang,bf16,{m},4096,4096,16" for m in (1, 2)]
    rows += ["h100,sglang,bf16,8,4096,4096,16"]
    second, alone = validate_operators(csv(tmp_path, "gemm", "gpu,backend,dtype,m,k,n,latency_us", *rows)).notes
    assert second.startswith("gemm.csv: 2 times are left out: another library's time of the same point was taken")
    assert alone == "gemm.csv: 1 times are left out: the library that timed most has no time of the point"


def test_a_shape_that_nothing_is_left_to_predict_counts_no_error_of_zero(tmp_path):
    table = pq.read_table(gemm_table(tmp_path, noise=0.1) / "gemm.parquet")
    (cell,) = read_cells(tmp_path / "gemm.parquet", print)
    one_shape_is_typical = replace(cell, typical=cell.shape == cell.shape[0])
    search = SEARCHES[GemmCurve]
    judged = left_out(one_shape_is_typical, search, TRUTH)
    assert len(table) == len(cell.seconds)
    assert judged.median > 0.01
    assert left_out(replace(cell, typical=np.zeros(len(cell.seconds), bool)), search, TRUTH) is None


def test_sizes_beyond_those_fitted_are_judged_by_a_curve_that_has_not_seen_them(tmp_path):
    """A law that holds beyond its sizes is as good there; where large products are slower than the small ones say, it shows."""
    (holds,) = fit_operators(gemm_table(tmp_path, noise=0.02)).results
    assert holds.fit.beyond.median < 0.05
    table = pq.read_table(tmp_path / "gemm.parquet")
    slower = np.where(np.maximum(table["k"].to_numpy(), table["n"].to_numpy()) >= 14336, 1.5, 1.0)
    times = pa.array(table["latency_us"].to_numpy() * slower)
    pq.write_table(table.set_column(table.schema.get_field_index("latency_us"), "latency_us", times), tmp_path / "gemm.parquet")
    (fails,) = fit_operators(tmp_path).results
    assert fails.fit.beyond.p90 > 0.25 > fails.fit.seen.median


def test_a_format_is_judged_by_what_would_be_taken_if_nobody_had_measured_it(tmp_path):
    plain = pq.read_table(gemm_table(tmp_path, noise=0.01) / "gemm.parquet")
    fp8 = plain.set_column(plain.schema.get_field_index("dtype"), "dtype", pa.array(["fp8"] * len(plain)))
    pq.write_table(pa.concat_tables([plain, fp8]), tmp_path / "gemm.parquet")
    fits = fit_operators(tmp_path)
    results = {result.cell.number_format: result for result in fits.results}
    assert results["bf16"].reformatted is None
    # as quick as bf16, where the peak is twice as high and there are half as many bytes to read
    assert results["fp8"].reformatted.median > 10 * results["fp8"].fit.seen.median
    assert fitted(results["bf16"], fits, "a bench").errors["reformatted"] == results["fp8"].reformatted


def test_who_has_no_relative_has_the_error_of_the_architecture_where_the_generic_curve_is_worst(tmp_path):
    tables = []
    for gpu, memory in (("h100_sxm", 0.8), ("a100_sxm", 0.2)):
        tables.append(pq.read_table(gemm_table(tmp_path, replace(TRUTH, memory=memory), gpu) / "gemm.parquet"))
    pq.write_table(pa.concat_tables(tables), tmp_path / "gemm.parquet")
    fits = fit_operators(tmp_path)
    assert fits.roofline("gemm").p90 == pytest.approx(max(result.generic.p90 for result in fits.results), abs=1e-3)


def test_which_sizes_were_measured_together_is_written_and_read_back(tmp_path):
    tables = tmp_path / "tables"
    tables.mkdir()
    table = pq.read_table(gemm_table(tables) / "gemm.parquet")
    together = (table["k"].to_numpy() <= 8192) | (table["n"].to_numpy() <= 8192)
    pq.write_table(table.filter(pa.array(together)), tables / "gemm.parquet")
    (result,) = fit_operators(tables).results
    write_curves(OperatorFits((result,), ()), tmp_path / "out", "a bench", "2026-11")
    (found,) = read_curves(tmp_path / "out" / "h100_sxm.toml")
    assert found.shapes == result.cell.shapes
    assert (8192, 16384) in found.shapes
    assert (14336, 16384) not in found.shapes
    assert found.reach["rows"] == (1, 8192)
    assert '    " 4096 ########",' in (tmp_path / "out" / "h100_sxm.toml").read_text()


def test_times_faster_than_light_and_from_the_cache_are_left_out():
    read = np.array([1e6, 20e6, 25e6, 400e6, 800e6])
    memory = read / 1e12
    seconds = np.array([2e-6, 15e-6, 26e-6, 300e-6, 810e-6])
    kept = possible(seconds, 0 * read, memory, read)
    # 20 MB were quicker than the memory, so 25 MB may have been in cache in part; 400 MB in 300 us is a mistake
    assert kept.tolist() == [True, False, False, False, True]


def test_an_untuned_kernel_spoils_no_curve_but_counts_as_an_error(tmp_path):
    table = pq.read_table(gemm_table(tmp_path) / "gemm.parquet")
    times = table["latency_us"].to_numpy().copy()
    times[::4] *= 20
    place = table.schema.get_field_index("latency_us")
    pq.write_table(table.set_column(place, "latency_us", pa.array(times)), tmp_path / "gemm.parquet")
    (result,) = fit_operators(tmp_path).results
    assert (result.fit.curve.compute, result.fit.curve.memory) == pytest.approx((TRUTH.compute, TRUTH.memory), rel=0.15)
    assert result.fit.seen.p90 > 0.9
    assert typical(np.array([1e-6, 1e-6, 1e-5]), np.zeros(3), np.array([1e-6] * 3)).tolist() == [True, True, False]


def test_a_copied_table_counts_once(tmp_path):
    first = gemm_table(tmp_path, noise=0.1)
    one = pq.read_table(first / "gemm.parquet")
    other = one.set_column(one.schema.get_field_index("gpu"), "gpu", pa.array(["H200-SXM-141GB"] * len(one)))
    pq.write_table(pa.concat_tables([one, other]), first / "gemm.parquet")
    fits = fit_operators(first)
    assert len(fits.results) == 1
    assert "a copy of" in fits.notes[0]


def exchange_rows(gpu, nodes, factor):
    """Times of 60 exchanges, there and back."""
    return [f"{gpu},sglang,deepep_normal,{nodes},7168,{64 * (i + 1)},8,{factor * (20 + i)},{factor * (30 + i)},9" for i in range(120)]


def test_what_was_copied_of_a_table_counts_once_and_the_rest_stays(tmp_path):
    header = EXCHANGE.replace("gpu,", "gpu,backend,")
    own = [*exchange_rows("h100", 1, 1.0), *exchange_rows("h200", 1, 1.1)]
    csv(tmp_path, "moe_all_to_all", header, *own, *exchange_rows("h100", 2, 2.0), *exchange_rows("h200", 2, 2.0))
    fits = fit_operators(tmp_path)
    assert [(result.cell.accelerator.name, result.cell.number_format) for result in fits.results] == [
        ("h100_sxm", "scale_up"),
        ("h200_sxm", "scale_up"),
        ("h100_sxm", "scale_out"),
    ]
    assert "120 times are left out: the sglang times of h200 are a copy of h100's" in fits.notes[-1]


def decode_rows(gpu, backend, factor):
    return [f"{gpu},{backend},{8 * (i % 10 + 1)},{1024 * (i // 10 + 1)},32,8,128,bf16,{factor * (2000 + i)}" for i in range(120)]


def test_attention_times_that_a_sibling_copied_say_whose_they_are_and_make_it_no_relative(tmp_path):
    rows = [row for gpu, factor in (("b300", 1.0), ("gb300", 1.01), ("h100", 1.2)) for row in decode_rows(gpu, "vllm", factor)]
    rows += [row for gpu in ("b300", "gb300") for row in decode_rows(gpu, "sglang", 1.1)]
    csv(tmp_path, "attention_generation", DECODE.replace("gpu,", "gpu,backend,"), *rows)
    results = {result.cell.accelerator.name: result for result in fit_operators(tmp_path).results}
    assert results["gb300"].cell.backends == ("vllm", "sglang (a copy of b300_sxm's)")
    assert results["b300_sxm"].cell.backends == ("vllm", "sglang")
    assert results["gb300"].relative == results["b300_sxm"].relative == "h100_sxm"


def test_a_relative_is_judged_on_the_times_of_the_one_left_out(tmp_path):
    slower = replace(TRUTH, memory=0.4)
    gemm_table(tmp_path, curve=slower, gpu="H200-SXM-141GB", noise=0.01)
    other = pq.read_table(tmp_path / "gemm.parquet")
    gemm_table(tmp_path, noise=0.01)
    pq.write_table(pa.concat_tables([pq.read_table(tmp_path / "gemm.parquet"), other]), tmp_path / "gemm.parquet")
    results = {result.cell.accelerator.name: result for result in fit_operators(tmp_path).results}
    assert results["h100_sxm"].relative == "h200_sxm"
    assert results["h100_sxm"].scaled.median > 5 * results["h100_sxm"].fit.seen.median


# Beside the curves that ship


def shipped_gemm():
    return load_curves(H100).find("gemm", "bf16", "bf16").curve


def test_times_that_the_shipped_curve_made_are_met_and_others_are_off_by_what_they_differ(tmp_path):
    (same,) = validate_operators(gemm_table(tmp_path, shipped_gemm())).operators
    assert same.errors["all"].p90_ape_pct == pytest.approx(0, abs=1e-6)
    assert sum(same.errors[length].n for length in LENGTHS if length in same.errors) == same.errors["all"].n == len(ROWS) * len(WIDTHS) ** 2
    curve = shipped_gemm()
    slower = replace(curve, compute=curve.compute / 2, memory=curve.memory / 2)
    (other,) = validate_operators(gemm_table(tmp_path, slower)).operators
    assert other.errors["longer"].median_signed_pct == pytest.approx(-50, abs=2)


def test_an_accelerator_without_curves_is_compared_with_its_relatives(tmp_path):
    (found,) = validate_operators(gemm_table(tmp_path, shipped_gemm(), gpu="h20")).operators
    assert (found.cell.accelerator.name, found.fitted.accelerator) == ("h20", "h100_sxm")


def test_a_table_may_be_csv_and_says_the_same(tmp_path):
    parquet, csv = tmp_path / "parquet", tmp_path / "csv"
    parquet.mkdir(), csv.mkdir()
    table = pq.read_table(gemm_table(parquet) / "gemm.parquet")
    pc.write_csv(table, csv / "gemm.csv")
    assert validate_operators(csv).operators[0].errors == validate_operators(parquet).operators[0].errors
    pq.write_table(table, csv / "gemm.parquet")
    with pytest.raises(FitError, match=r"both gemm.parquet and gemm.csv; keep one"):
        validate_operators(csv)


def test_what_is_left_out_of_a_table_is_said(tmp_path):
    text = "gpu,dtype,m,k,n,latency_us\nh100_sxm,bfloat16,1,4096,4096,15\nx9000,bfloat16,1,4096,4096,15\nh100_sxm,bfloat16,1,4096,4096,\n"
    (tmp_path / "gemm.csv").write_text(text)
    missing, unknown = validate_operators(tmp_path).notes
    assert missing == "gemm.csv: 1 times are left out: a number is missing or not above 0"
    assert "no accelerator 'x9000'" in unknown
    with pytest.raises(FitError, match="1 times that can be used are too few for a curve, which takes 30"):
        fit_operators(tmp_path)


def test_operators_alone_are_shown_and_told(tmp_path, capsys):
    directory = str(gemm_table(tmp_path, shipped_gemm()))
    assert main(["validate", "--operators", directory]) == 0
    out = capsys.readouterr().out
    assert "gemm.bf16" in out
    assert "h100_sxm" in out
    assert main(["validate", "--operators", directory, "--json"]) == 0
    (operator,) = json.loads(capsys.readouterr().out)["operators"]["operators"]
    assert operator["curve"]["accelerator"] == "h100_sxm"
    assert operator["errors"]["all"]["n"] == len(ROWS) * len(WIDTHS) ** 2


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    (tmp_path / "gemm.csv").write_text("gpu,dtype,m,m,k,n,latency_us\nh100_sxm,bfloat16,1,1,4096,4096,15\n")
    with pytest.raises(FitError, match="two columns 'm'; keep one"):
        validate_operators(tmp_path)


def test_formats_have_the_tables_names_or_ours_and_others_are_counted(tmp_path):
    rows = [f"h100_sxm,{name},{tokens},4096,4096,{15 + tokens / 100}" for name in ("bf16", "float64") for tokens in (1, 64)]
    (tmp_path / "gemm.csv").write_text("\n".join(("gpu,dtype,m,k,n,latency_us", *rows)) + "\n")
    found = validate_operators(tmp_path)
    assert [operator.errors["all"].n for operator in found.operators] == [2]
    assert "gemm.csv: 2 times are left out: dtype is 'float64'; it may be bfloat16" in found.notes[0]


def csv(directory, stem, header, *rows):
    (directory / f"{stem}.csv").write_text("\n".join((header, *rows)) + "\n")
    return directory


GEMM = "gpu,dtype,m,k,n,latency_us"
PROMPT = "gpu,batch_size,isl,num_heads,num_key_value_heads,head_dim,attn_dtype,kv_cache_dtype,step,latency_us"
DECODE = "gpu,batch_size,context_tokens,num_heads,num_key_value_heads,head_dim,kv_cache_dtype,latency_us"
LATENT_PROMPT = "gpu,batch_size,isl,num_heads,mla_dtype,kv_cache_dtype,step,latency_us"
EXPERTS = "gpu,dtype,num_tokens,hidden_size,inter_size,topk,num_experts,moe_tp_size,moe_ep_size,distribution,latency_us"
COLLECTIVE = "gpu,op,dtype,num_gpus,message_elements,latency_us"
SEND = "gpu,op,num_nodes,gpus_per_node,size_kb,latency_us"
SENT = "h100,deepep_normal,1,7168,64,8,9,9,9"
EXCHANGE = "gpu,op,nodes,hidden_size,tokens,topk,dispatch_us,combine_us,latency_us"


@pytest.mark.parametrize(
    ("stem", "header", "good", "bad", "why"),
    [
        ("gemm", GEMM, "h100,bf16,1,4096,4096,15", "h100,fp3,1,4096,4096,15", "dtype is 'fp3'; it may be bfloat16"),
        ("gemm", GEMM, "h100,bf16,1,4096,4096,15", "h100,bf16,1,64,4096,15", "the matrix is narrower than 128"),
        ("gemm", GEMM, "h100,bf16,1,4096,4096,15", "h100,bf16,8192,16384,16384,15", "they are quicker than the hardware"),
        ("moe", EXPERTS, "h100,bf16,8,4096,1024,2,8,1,1,balanced,500", "h100,bf16,8,4096,1024,2,8,1,3,balanced,500", "does not divide"),
        ("moe", EXPERTS, "h100,bf16,8,4096,1024,2,8,1,1,balanced,500", "h100,bf16,8,4096,1024,9,8,1,1,balanced,500", "topk is above"),
        ("moe", EXPERTS, "h100,bf16,8,4096,1024,2,8,1,1,balanced,500", "h100,bf16,99999,4096,1024,2,8,1,1,balanced,500", "quicker than"),
        ("attention_context", PROMPT, "h100,1,512,32,8,128,bf16,bf16,0,50", "h100,1,512,32,8,128,fp8,bf16,0,50", "is not bfloat16"),
        ("attention_context", PROMPT, "h100,1,512,32,8,128,bf16,bf16,0,50", "h100,1,512,32,8,128,bf16,bf16,9,50", "the step is not 0"),
        ("attention_context", PROMPT, "h100,1,512,32,8,128,bf16,bf16,0,50", "h100,1,8,32,8,128,bf16,bf16,0,50", "fewer than 16 tokens"),
        ("attention_context", PROMPT, "h100,1,512,32,8,128,bf16,bf16,0,50", "h100,9,8192,32,8,128,bf16,bf16,0,9e9", "more than 32,768"),
        ("attention_context", PROMPT, "h100,1,512,32,8,128,bf16,bf16,0,50", "h100,1,8192,32,8,128,bf16,bf16,0,1", "quicker than"),
        ("mla_context", LATENT_PROMPT, "h100,1,512,32,bf16,bf16,0,50", "h100,1,512,32,fp8,bf16,0,50", "is not bfloat16"),
        ("attention_generation", DECODE, "h100,8,4096,32,8,128,bf16,200", "h100,8,8,32,8,128,bf16,200", "fewer than 16 tokens"),
        ("attention_generation", DECODE, "h100,8,4096,32,8,128,bf16,200", "h100,900,4096,32,8,128,bf16,1", "quicker than"),
        ("collectives", COLLECTIVE, "h100,all_reduce,bf16,2,4096,9", "h100,barrier,bf16,2,4096,9", "is not all_reduce or all_gather"),
        ("collectives", COLLECTIVE, "h100,all_reduce,bf16,2,4096,9", "h100,all_reduce,float,2,4096,9", "not one of 16 bits"),
        ("collectives", COLLECTIVE, "h100,all_reduce,bf16,2,4096,9", "h100,all_reduce,bf16,2,4,9", "fewer than 1,024"),
        ("apex_collectives", SEND, "h100,sendrecv,1,2,64,9", "h100,broadcast,1,2,64,9", "the op is not sendrecv"),
        ("apex_collectives", SEND, "h100,sendrecv,1,2,64,9", "h100,sendrecv,2,2,64,9", "not between two devices"),
        ("moe_all_to_all", EXCHANGE, SENT, "h100,pplx,1,7168,64,8,9,9,9", "the op is not deepep"),
        (
            "moe_all_to_all",
            EXCHANGE,
            SENT,
            "h100,deepep_normal,1,7168,32,8,9,,9",
            "combine_us is missing",
        ),
    ],
)
def test_a_time_that_is_left_out_is_counted_with_the_reason(tmp_path, stem, header, good, bad, why):
    found = validate_operators(csv(tmp_path, stem, header, good, bad))
    (note,) = found.notes
    assert note.startswith(f"{stem}.csv: 1 times are left out: ")
    assert why in note
    assert validate_operators(csv(tmp_path, stem, header, good)).notes == ()


def test_reasons_are_counted_over_all_accelerators(tmp_path):
    rows = ("h100,bf16,1,4096,4096,15", *(f"{gpu},fp3,{m},4096,4096,15" for gpu in ("h100", "a100") for m in (1, 2)))
    (note,) = validate_operators(csv(tmp_path, "gemm", GEMM, *rows)).notes
    assert "4 times" in note


@pytest.mark.parametrize(("theirs", "ours"), [("bfloat16", "bf16"), ("sq", "int8"), ("int4_wo", "int4"), ("int8_wo", "int8_weight")])
def test_a_format_may_be_called_as_we_call_it(tmp_path, theirs, ours):
    one, other = (validate_operators(csv(tmp_path, "gemm", GEMM, f"h100,{name},1,4096,4096,50")).operators[0] for name in (theirs, ours))
    assert one.cell.number_format == other.cell.number_format == ours
    assert one.errors == other.errors


def test_experts_that_were_all_too_quick_leave_a_note_and_no_curve(tmp_path):
    with pytest.raises(FitError, match=r"nothing to compare: moe.csv: 1 times are left out: they are quicker than the hardware"):
        validate_operators(csv(tmp_path, "moe", EXPERTS, "h100,bf16,8,4096,1024,2,8,1,1,balanced,1"))
