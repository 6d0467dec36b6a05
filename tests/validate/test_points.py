"""A points file is read whole, or one sentence says what is wrong with it."""

import pytest

from seatrial.core.errors import PointsError
from seatrial.validate import prepare
from seatrial.validate.assumptions import Answers, read_assumptions
from seatrial.validate.points import read_points, unknown_columns
from seatrial.validate.traffic import Lengths, traffic_of
from seatrial.validate.validation import chosen


def test_figures_come_in_seconds_and_what_is_empty_is_not_there(write_points):
    (point,) = read_points(write_points({"ttft_p99_ms": "", "saturated": "False"}))
    assert point.measured == {"ttft_mean": 0.03, "tpot_mean": pytest.approx(0.008), "output_tokens_per_s": 500}
    assert (point.concurrency, point.max_num_seqs, point.stage) == (4, None, "summary")


def test_a_row_without_a_point_id_is_refused(write_points):
    with pytest.raises(PointsError, match="row 1: point_id is empty"):
        read_points(write_points({"point_id": " "}))


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"ttft_mean_ms": "fast"}, "ttft_mean_ms is 'fast'; it must be a number, 0 or more, or empty"),
        ({"tp": "-1"}, "tp is '-1'; it must be a number, 0 or more, or empty"),
        ({"tpot_mean_ms": " nan"}, "tpot_mean_ms is 'nan'; it must be a number, 0 or more, or empty"),
    ],
)
def test_a_cell_that_cannot_be_is_a_reason_to_skip_its_point_alone(write_points, row, fault):
    points = read_points(write_points(row, {"point_id": "b"}))
    assert [point.fault for point in points] == [fault, ""]
    assert [(skipped.point_id, skipped.reason) for skipped in prepare(points).skipped] == [("a#summary", fault)]


def test_a_point_that_is_there_twice_is_refused(write_points):
    with pytest.raises(PointsError, match="row 2: the point_id 'a#summary' is there already"):
        read_points(write_points({}, {}))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "is empty"),
        ("point_id,model,gpu,ttft_mean_ms\n", "no row"),
        ("point_id,model,accelerator,ttft_mean_ms\na,b,c,1\n", "no column 'gpu'"),
        ("point_id,model,gpu\na,b,c\n", "no measured column"),
        ("point_id,model,gpu,ttft_mean_ms\na,b,c,1,2\n", "row 1: it has more cells"),
        ("point_id,model,gpu,gpu,ttft_mean_ms\na,b,c,d,1\n", "'gpu' twice"),
    ],
)
def test_a_file_that_is_no_points_file_is_refused(tmp_path, content, complaint):
    file = tmp_path / "points.csv"
    file.write_text(content)
    with pytest.raises(PointsError, match=complaint):
        read_points(file)


def test_a_file_that_is_missing_or_a_directory_is_refused(tmp_path):
    with pytest.raises(PointsError, match="there is no file"):
        read_points(tmp_path / "none.csv")
    with pytest.raises(PointsError, match="is a directory"):
        read_points(tmp_path)


def test_a_column_that_no_points_file_has_is_told():
    assert unknown_columns(["point_id", "ttft_mean", "licence", "ttft_p95_ms"]) == ["ttft_mean"]


def test_points_are_chosen_by_what_their_columns_hold(write_points):
    points = read_points(write_points({"point_id": "1"}, {"point_id": "2", "tp": "2"}, {"point_id": "3", "source": "Theirs (July)"}))
    assert [p.point_id for p in chosen(points, ["tp=2"], None)] == ["2"]
    assert [p.point_id for p in chosen(points, ["source=ours,*JULY*"], None)] == ["1", "2", "3"]
    assert [p.point_id for p in chosen(points, ["source=theirs*", "tp=1"], None)] == ["3"]
    assert [p.point_id for p in chosen(points, [], 2)] == ["1", "2"]


@pytest.mark.parametrize(
    ("where", "complaint"),
    [("sourse=x", "did you mean source"), ("source", "write COLUMN=VALUE"), ("source=nobody", "leaves no point")],
)
def test_a_choice_that_says_nothing_is_refused(write_points, where, complaint):
    with pytest.raises(PointsError, match=complaint):
        chosen(read_points(write_points({})), [where], None)


def test_a_number_is_asked_for_as_one_would_write_it(point):
    large, small = point(max_num_batched_tokens=1048576.0), point(max_num_batched_tokens=2048.0)
    assert chosen([large, small], ["max_num_batched_tokens=1048576"], None) == [large]
    assert chosen([large, small], ["max_num_batched_tokens=2048"], None) == [small]


def test_lengths_whose_mean_is_not_the_middle_are_told(point):
    even, uneven = (point(concurrency=2.0, input_min=100.0, input_max=300.0, input_mean=mean, output_mean=9.0) for mean in (200.0, 120.0))
    for mine, told in ((even, False), (uneven, True)):
        answers = Answers(mine, read_assumptions())
        assert traffic_of(mine, answers, (), must_find=False).input == Lengths(100, 300)
        assert ("uniform-lengths" in answers.used) == told
