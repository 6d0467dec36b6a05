"""At 80 columns nothing that decides is cut, however long names and numbers are."""

import re
from io import StringIO

import pytest
from rich.console import Console

from seatrial.report.tables import table
from seatrial.report.validation_report import GROUPINGS_SHOWN, overloaded_table, ratio_table, validation_report
from seatrial.trial.scenario import PoolSpec
from seatrial.validate.accuracy import Pair
from seatrial.validate.compared import Compared
from seatrial.validate.experiment import Skipped
from seatrial.validate.point import Point
from seatrial.validate.ratios import Change
from seatrial.validate.system import System
from seatrial.validate.validation import Validation


def drawn(*parts, width=80):
    stream = StringIO()
    console = Console(file=stream, width=width, color_system=None, highlight=False, markup=False)
    for part in parts:
        console.print(part)
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


def compared(number, accelerator="h100_sxm", off=1.0, **fields):
    about = {"trust": "A", "workload": "random 1024/1024", "source": "a source of a rather long name (and of its year, 2026)"} | fields
    point = Point(f"p{number}", "llama-3.1-8b", "H100", {}, **about)
    pairs = {metric: Pair(off * (1 + number % 7), 1.0) for metric in ("ttft_mean", "tpot_mean", "e2e_mean", "output_tokens_per_s")}
    system = System("llama-3.1-8b", PoolSpec(accelerator=accelerator), "vllm-0.15", "vllm-v1")
    return Compared(point, system, pairs, (123_456, 234_567), "measured" if number % 2 else "interpolated")


def validation(*points):
    return Validation(points, [Skipped("q", "it is too long")], {}, {})


def test_points_are_grouped_by_all_that_tells_them_apart():
    text = drawn(validation_report(validation(compared(1), compared(2, "a100_sxm", trust="B", workload="chat"), compared(3, "a100_sxm"))))
    assert [name for name in GROUPINGS_SHOWN if f"by {name}" in text] == ["gpu", "workload", "trust", "provenance"]
    assert re.search(r"^ +a100_sxm +2 +250/290 ", text, re.MULTILINE)
    assert re.search(r"^ +chat +1 ", text, re.MULTILINE)
    assert re.search(r"^ +interpolated +1 ", text, re.MULTILINE)
    said = " ".join(text.split())
    assert "The same for all: model llama-3.1-8b, engine vllm-0.15, source" in said


def test_errors_beyond_all_measure_are_not_cut():
    text = drawn(validation_report(validation(*(compared(number, f"accelerator_of_a_long_name_{number}", 600.0) for number in range(9)))))
    assert text.count("59,900/59,900") == 2 * 4, "of two accelerators, in four metrics"


def test_what_a_change_does_is_not_cut():
    change = Change("max_num_batched_tokens", "1", "2", "output_tokens_per_s", 200.0, 2.0, ("a", "b"))
    text = drawn(ratio_table([change] * 12_345))
    assert re.search(r"max_num_batched_tokens +out tok/s +12,345 +9,900 +9,900 +100 %", text)
    assert "right way" in text


def test_counts_of_requests_are_not_cut():
    many = compared(1, n_ok=234_567.0, n_fail=1_000_000.0)
    text = drawn(overloaded_table([many]), width=60)
    for number in ("1,234,567", "234,567", "123,456", "-47.4"):
        assert number in text


@pytest.mark.parametrize("width", [40, 30])
def test_where_a_table_is_too_wide_its_words_go_on_in_the_next_line(width):
    made = table("<what is measured", "first", "second")
    made.add_row("a name of very many words", "1,234,567", "98.7")
    text = drawn(made, width=width)
    assert "1,234,567" in text
    assert "98.7" in text
    assert "…" not in text
