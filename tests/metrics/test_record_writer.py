"""requests.parquet is whole or not there, and says what the records say."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seatrial.core.record import Status
from seatrial.metrics.records import RecordWriter

NAN = float("nan")
COLUMNS = """
row arrival_s input_tokens output_tokens cached_tokens queue_s first_token_s finish_s ttft_s tpot_s e2e_s
num_preemptions pool replica status
"""


def written(path, *chunks):
    with RecordWriter(path) as writer:
        for chunk in chunks:
            writer.write(chunk)
    return pq.read_table(path)


def test_a_row_says_what_happened_to_its_request(tmp_path, records):
    (row,) = written(tmp_path / "requests.parquet", records([(10.0, 100, 5, 0.25, 10.5, 12.5)], pool="decode", replica=3)).to_pylist()
    assert row == {
        "row": 0,
        "arrival_s": 10.0,
        "input_tokens": 100,
        "output_tokens": 5,
        "cached_tokens": 0,
        "queue_s": 0.25,
        "first_token_s": 10.5,
        "finish_s": 12.5,
        "ttft_s": 0.5,
        "tpot_s": 0.5,
        "e2e_s": 2.5,
        "num_preemptions": 0,
        "pool": "decode",
        "replica": 3,
        "status": "completed",
    }


def test_the_columns_stand_in_the_order_of_the_design(tmp_path, records):
    assert written(tmp_path / "r.parquet", records([])).column_names == COLUMNS.split()


def test_what_never_came_is_null(tmp_path, records):
    (row,) = written(tmp_path / "r.parquet", records([(1.0, 8, 4, NAN, NAN, NAN, Status.REJECTED)])).to_pylist()
    never = {"queue_s", "first_token_s", "finish_s", "ttft_s", "tpot_s", "e2e_s"}
    assert {name for name, value in row.items() if value is None} == never
    assert row["status"] == "rejected"


def test_an_answer_of_one_token_has_no_tpot(tmp_path, records):
    (row,) = written(tmp_path / "r.parquet", records([(1.0, 8, 1, 0.0, 2.0, 2.0)])).to_pylist()
    assert row["tpot_s"] is None
    assert row["e2e_s"] == 1.0


@pytest.mark.parametrize("status", Status)
def test_every_status_is_a_word_in_lower_case(tmp_path, records, status):
    (row,) = written(tmp_path / "r.parquet", records([(1.0, 8, 1, 0.0, 2.0, 2.0, status)])).to_pylist()
    assert row["status"] == status.name.lower()


def test_words_are_plain_strings_for_readers_and_a_dictionary_on_disk(tmp_path, many):
    table = written(tmp_path / "r.parquet", many(1000))
    assert table.schema.field("pool").type == pa.string()
    group = pq.ParquetFile(tmp_path / "r.parquet").metadata.row_group(0)
    assert {group.column(i).path_in_schema for i in range(15) if group.column(i).has_dictionary_page} == {"pool", "status"}
    assert group.column(0).compression == "ZSTD"


def test_small_chunks_are_gathered_into_large_row_groups_in_their_order(tmp_path, many, pieces):
    whole = many(200_000)
    chunks = pieces(whole, *range(7_000, 200_000, 7_000))
    table = written(tmp_path / "r.parquet", *chunks)
    metadata = pq.ParquetFile(tmp_path / "r.parquet").metadata
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert min(sizes[:-1]) >= 65_536
    assert sum(sizes) == 200_000
    assert np.array_equal(table["row"].to_numpy(), whole.row)


def test_two_pools_may_share_a_row_group(tmp_path, records):
    row = (0.0, 1, 1, 0.0, 1.0, 1.0)
    table = written(tmp_path / "r.parquet", records([row], pool="prefill"), records([row, row], pool="decode", replica=1))
    assert table["pool"].to_pylist() == ["prefill", "decode", "decode"]
    assert table["replica"].to_pylist() == [0, 1, 1]


def test_nothing_stands_under_the_name_before_the_end(tmp_path, many):
    path = tmp_path / "r.parquet"
    with RecordWriter(path) as writer:
        writer.write(many(70_000))
        assert not path.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["r.parquet"]


def test_an_error_leaves_nothing_behind_and_an_older_file_as_it_was(tmp_path, many):
    path = tmp_path / "r.parquet"
    path.write_text("older")

    def run_and_fail():
        with RecordWriter(path) as writer:
            writer.write(many(70_000))
            raise RuntimeError("the run broke")

    with pytest.raises(RuntimeError):
        run_and_fail()
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_in_closing_leaves_nothing_behind(tmp_path, many):
    path = tmp_path / "taken"
    path.mkdir()
    writer = RecordWriter(path)
    writer.write(many(10))
    with pytest.raises(IsADirectoryError):
        writer.close()
    assert list(tmp_path.iterdir()) == [path]
