"""Traces are read as they were recorded, or refused in a sentence that names the place."""

import csv
import gzip
import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seatrial.core.errors import WorkloadError
from seatrial.core.request import Workload
from seatrial.workload import Trace, convert, open_trace, repeated, speedup
from seatrial.workload.closed_loop import closed_loop

SHARED = Path(os.environ.get("SEATRIAL_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "traces"

TIDY = "arrival_s,input_tokens,output_tokens\n"


class Row(NamedTuple):
    row: int
    arrival_time: float
    num_prompt_tokens: int
    num_output_tokens: int


def rows_of(workload: Workload) -> list[Row]:
    return [
        Row(*values)
        for chunk in workload.chunks()
        for values in zip(
            chunk.row.tolist(), chunk.arrival_time.tolist(), chunk.num_prompt_tokens.tolist(), chunk.num_output_tokens.tolist()
        )
    ]


def table_of(trace: Trace) -> pa.Table:
    return pa.concat_tables(trace.tables())


@pytest.fixture
def write(tmp_path):
    def write(name: str, text: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def write_parquet(tmp_path):
    def write_parquet(name: str, **columns: object) -> Path:
        pyarrow.parquet.write_table(pa.table(columns), tmp_path / name)
        return tmp_path / name

    return write_parquet


class TestEveryFormat:
    def test_azure_dates_become_seconds_from_the_first_request(self, write):
        path = write(
            "azure.csv",
            "TIMESTAMP,ContextTokens,GeneratedTokens\n"
            "2023-11-16 18:15:46.6805900,374,44\n"
            "2023-11-16 18:15:50.9951690,396,109\n"
            "2023-11-17 18:15:46.6805901,879,55\n",
        )
        trace = open_trace(path)
        assert trace.format == "azure"
        assert rows_of(trace) == [Row(0, 0.0, 374, 44), Row(1, 4.314579, 396, 109), Row(2, 86400.0000001, 879, 55)]

    def test_dates_may_have_a_time_zone(self, write):
        path = write(
            "a.csv",
            "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,1,2\n2024-05-10 00:00:01.009930+00:00,1,2\n",
        )
        assert [row.arrival_time for row in rows_of(open_trace(path))] == [0.0, 1.0]

    @pytest.mark.parametrize(
        "text",
        [
            "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
            "5,ChatGPT,472,18,490,Conversation log\n45,GPT-4,1087,0,1087,API log\n118,GPT-4,417,276,693,API log\n",
            "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
            "5,7,0.5,ChatGPT,472,18,490,Conversation log\n45,,1,GPT-4,1087,0,1087,API log\n118,,9.5,GPT-4,417,276,693,API log\n",
        ],
        ids=["first version", "with sessions"],
    )
    def test_burstgpt_leaves_out_what_failed(self, write, text):
        trace = open_trace(write("b.csv", text))
        assert rows_of(trace) == [Row(0, 5.0, 472, 18), Row(2, 118.0, 417, 276)]
        assert trace.format == "burstgpt"
        assert any("1 row was left out" in note for note in trace.notes())
        assert table_of(trace)["model"].to_pylist() == ["ChatGPT", "GPT-4"]
        assert table_of(trace)["service"].to_pylist() == ["Conversation log", "API log"]
        assert table_of(trace)["session_id"].to_pylist() == (["7", None] if "Session ID" in text else [None, None])

    def test_mooncake_ids_stand_for_512_tokens(self, write):
        lines = [
            {"timestamp": 0, "input_length": 6755, "output_length": 500, "hash_ids": [0, 1, 2]},
            {"timestamp": 27482, "input_length": 7319, "output_length": 490, "hash_ids": []},
        ]
        trace = open_trace(write("m.jsonl", "\n".join(map(json.dumps, lines)) + "\n"))
        assert trace.format == "mooncake"
        assert rows_of(trace) == [Row(0, 0.0, 6755, 500), Row(1, 27.482, 7319, 490)]
        assert table_of(trace)["prefix_hash_ids"].to_pylist() == [[0, 1, 2], None]
        assert table_of(trace)["prefix_block_tokens"].to_pylist() == [512, None]

    def test_our_schema_needs_three_columns(self, write):
        trace = open_trace(write("t.csv", TIDY + "0,10,1\n0.5,20,2\n"))
        assert trace.format == "tidy"
        assert rows_of(trace) == [Row(0, 0.0, 10, 1), Row(1, 0.5, 20, 2)]

    def test_our_schema_as_csv_lists_ids_with_spaces_or_semicolons(self, write):
        text = "arrival_s,input_tokens,output_tokens,session_id,turn_index,prefix_block_tokens,prefix_hash_ids\n"
        text += '0,10,1,"a ""b""",0,16,1 2;3\n1,10,1,,,,\n'
        table = table_of(open_trace(write("t.csv", text)))
        assert table["prefix_hash_ids"].to_pylist() == [[1, 2, 3], None]
        assert table["session_id"].to_pylist() == ['a "b"', None]
        assert table["turn_index"].to_pylist() == [0, None]

    def test_any_table_can_be_mapped(self, write):
        path = write("log.csv", "t;prompt;answer;user\n1500;10;1;x\n2500;20;2;y\n")
        columns = {"arrival_ms": "t", "input_tokens": "prompt", "output_tokens": "answer", "session_id": "user"}
        trace = open_trace(path, columns=columns)
        assert rows_of(trace) == [Row(0, 1.5, 10, 1), Row(1, 2.5, 20, 2)]
        assert trace.columns == ("row", "arrival_s", "input_tokens", "output_tokens", "session_id")

    def test_json_lines_and_parquet_can_be_mapped_too(self, write, write_parquet):
        columns = {"arrival_s": "t", "input_tokens": "p", "output_tokens": "o"}
        lines = write("t.jsonl", '{"t": 0, "p": 3, "o": 4}\n\n{"o": 6, "p": 5.0, "t": 1.5}\n')
        parquet = write_parquet("t.parquet", t=[0.0, 1.5], p=["3", " 5 "], o=[4.0, 6.0])
        for path in (lines, parquet):
            assert rows_of(open_trace(path, columns=columns)) == [Row(0, 0.0, 3, 4), Row(1, 1.5, 5, 6)]

    def test_gzip_is_unpacked(self, write):
        assert len(rows_of(open_trace(write("t.csv.gz", gzip.compress((TIDY + "0,10,1\n").encode()))))) == 1

    def test_text_may_be_stored_in_any_of_parquets_ways(self, write_parquet):
        words = pa.array(["x", "x"])
        path = write_parquet(
            "t.parquet",
            arrival_s=pa.array(["0", "1"], pa.large_string()),
            input_tokens=pa.array(["5", "5"]).dictionary_encode(),
            output_tokens=pa.array([1, 2], pa.uint8()),
            model=words.dictionary_encode(),
            service=words.cast(pa.large_string()),
            prefix_block_tokens=pa.array([16, 16], pa.int64()),
            prefix_hash_ids=pa.array([[1], None], pa.large_list(pa.int32())),
        )
        trace = open_trace(path)
        assert rows_of(trace) == [Row(0, 0.0, 5, 1), Row(1, 1.0, 5, 2)]
        assert table_of(trace)["model"].to_pylist() == table_of(trace)["service"].to_pylist() == ["x", "x"]
        assert table_of(trace)["prefix_hash_ids"].to_pylist() == [[1], None]

    def test_dates_may_come_as_parquet_timestamps(self, write_parquet):
        times = pa.array([0, 1_500_000_001], pa.timestamp("ns"))
        path = write_parquet("t.parquet", arrival_s=times, input_tokens=[1, 1], output_tokens=[1, 1])
        assert [row.arrival_time for row in rows_of(open_trace(path))] == [0.0, 1.500000001]


class TestShareGpt:
    CONVERSATIONS = (
        {
            "id": "a",
            "conversations": [
                {"from": "system", "value": "12345678"},  # 2 tokens
                {"from": "human", "value": "abc"},  # 1
                {"from": "gpt", "value": "é" * 4},  # 8 bytes: 2
                {"from": "human", "value": "12345"},  # 2
                {"from": "gpt", "value": "x"},  # 1
            ],
        },
        {"id": "b", "conversations": [{"from": "gpt", "value": "hello"}, {"from": "human", "value": "unanswered"}]},
        {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": ""}]},
        {"id": "c", "conversations": [{"from": "user", "value": "hi"}, {"from": "assistant", "value": "hello"}]},
    )

    def test_each_answer_is_a_request_with_the_conversation_before_it(self, write):
        trace = open_trace(write("s.json", json.dumps(self.CONVERSATIONS)))
        assert rows_of(trace) == [Row(0, 0.0, 3, 2), Row(1, 0.0, 7, 1), Row(3, 0.0, 1, 2)]
        table = table_of(trace)
        assert table["session_id"].to_pylist() == ["a", "a", "c"]
        assert table["turn_index"].to_pylist() == [0, 1, 0]

    def test_notes_say_what_the_file_cannot(self, write):
        path = write("s.json", json.dumps(self.CONVERSATIONS))
        assert any("no arrival times" in note for note in open_trace(path).notes())
        assert any("four bytes" in note for note in open_trace(path).notes())
        assert not any("four bytes" in note for note in open_trace(path, count_tokens=len).notes())

    def test_a_tokenizer_counts_instead(self, write):
        trace = open_trace(write("s.json", json.dumps(self.CONVERSATIONS)), count_tokens=len)
        assert rows_of(trace)[0] == Row(0, 0.0, 11, 4)

    def test_a_long_file_is_read_in_pieces(self, write, monkeypatch):
        monkeypatch.setattr("seatrial.workload.formats.sharegpt.PIECE_CHARACTERS", 7)
        for text in (json.dumps(self.CONVERSATIONS, indent=2), "\n".join(map(json.dumps, self.CONVERSATIONS))):
            assert len(rows_of(open_trace(write("s.json", text)))) == 3

    def test_a_file_cut_off_is_refused(self, write):
        text = json.dumps(self.CONVERSATIONS)
        for end in (len(text) - 1, len(text) - 40):
            with pytest.raises(WorkloadError, match="complete"):
                rows_of(open_trace(write("s.json", text[:end])))

    def test_another_json_list_is_refused_at_once(self, write):
        with pytest.raises(WorkloadError, match=r"conversation 0 .* no conversations"):
            open_trace(write("s.json", '[{"timestamp": 1}]'))


class TestBadInput:
    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("1,-7,2", ["row 1 ", "line 3", "input_tokens is '-7'", "whole number"]),
            ("1,0,2", ["row 1 ", "input_tokens is '0'"]),
            ("1,7.5,2", ["row 1 ", "'7.5'"]),
            ("1,seven,2", ["row 1 ", "'seven'"]),
            ("1,NaN,2", ["row 1 ", "'NaN'"]),
            ("1,,2", ["row 1 ", "input_tokens is missing"]),
            ("1,3000000000,2", ["row 1 ", "2147483647"]),
            ("1,7,-2", ["row 1 ", "output_tokens is '-2'"]),
            ("1,7,nan", ["row 1 ", "output_tokens is 'nan'"]),
            ("1,7,two", ["row 1 ", "output_tokens is 'two'"]),
            ("nan,7,2", ["row 1 ", "arrival_s is 'nan'", "finite"]),
            ("inf,7,2", ["row 1 ", "arrival_s is 'inf'"]),
            ("-1,7,2", ["row 1 ", "arrival_s is '-1'", "negative"]),
            (",7,2", ["row 1 ", "arrival_s is missing"]),
            ("noon,7,2", ["row 1 ", "arrival_s is 'noon'"]),
            ("0.25,7,2", ["row 1 ", "arrival_s is '0.25'", "order", "convert --sort"]),
            ("1,7", ["row 1 ", "line 3", "2 fields", "3"]),
        ],
    )
    def test_a_bad_cell_is_named(self, write, line, words):
        path = write("bad.csv", TIDY + f"0.5,10,1\n{line}\n2,10,1\n")
        with pytest.raises(WorkloadError) as caught:
            rows_of(open_trace(path))
        for word in ["bad.csv", *words]:
            assert word in str(caught.value)

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"input_tokens": [1, -2]}, "row 1 .*input_tokens is -2"),
            ({"input_tokens": [1.0, float("nan")]}, "row 1 .*input_tokens is nan"),
            ({"input_tokens": [True, True]}, "row 0 .*input_tokens is True"),
            ({"output_tokens": [1.0, float("nan")]}, "row 1 .*output_tokens is nan"),
            ({"arrival_s": [0.0, float("inf")]}, "row 1 .*arrival_s is inf"),
            ({"arrival_s": [None, 0.0]}, "row 0 .*arrival_s is missing"),
            ({"arrival_s": [1.0, 0.5]}, "row 1 .*order"),
            ({"turn_index": [0.5, 1.0]}, "row 0 .*turn_index is 0.5"),
            ({"prefix_block_tokens": [16, None], "prefix_hash_ids": [[1], [2]]}, "row 1 .*prefix_block_tokens"),
            ({"prefix_block_tokens": [16, 16], "prefix_hash_ids": [[1], [None]]}, "row 1 .*list of whole numbers"),
            ({"prefix_block_tokens": [16, 16], "prefix_hash_ids": ["1", "1 x"]}, "row 1 .*list of whole numbers"),
        ],
    )
    def test_parquet_is_checked_alike(self, write_parquet, values, words):
        columns = {"arrival_s": [0.0, 0.0], "input_tokens": [1, 1], "output_tokens": [1, 1]} | values
        with pytest.raises(WorkloadError, match=words):
            table_of(open_trace(write_parquet("bad.parquet", **columns)))

    @pytest.mark.parametrize(
        ("second", "words"),
        [
            ('{"timestamp": 1, "input_length": "many", "output_length": 1}', "row 1 .*line 3.*input_length is 'many'"),
            ('{"timestamp": 1, "input_length": true, "output_length": 1}', "row 1 .*input_length is 'True'"),
            ('{"timestamp": 1, "output_length": 1}', "row 1 .*input_length is missing"),
            ('{"timestamp": 1, "input_le', "line 3 is not JSON"),
            ("[1, 2]", "line 3 is not a JSON object"),
        ],
    )
    def test_json_lines_are_checked_alike(self, write, second, words):
        path = write("bad.jsonl", '{"timestamp": 0, "input_length": 5, "output_length": 1}\n\n' + second + "\n")
        with pytest.raises(WorkloadError, match=words):
            rows_of(open_trace(path))

    def test_a_missing_column_is_named_with_the_nearest(self, write):
        path = write("x.csv", "arrival_s,input_token,output_tokens\n0,1,1\n")
        with pytest.raises(WorkloadError, match=r"no column 'input_tokens'; it has .*did you mean input_token\?"):
            open_trace(path)
        with pytest.raises(WorkloadError, match="format azure needs TIMESTAMP"):
            open_trace(path, format="azure")
        with pytest.raises(WorkloadError, match="no column 'prompt'"):
            open_trace(path, columns={"input_tokens": "prompt"})

    def test_a_mapping_must_be_of_our_names(self, write):
        path = write("x.csv", TIDY + "0,1,1\n")
        with pytest.raises(WorkloadError, match="did you mean input_tokens"):
            open_trace(path, columns={"input_token": "x"})
        with pytest.raises(WorkloadError, match="give one"):
            open_trace(path, columns={"arrival_s": "arrival_s", "arrival_ms": "arrival_s"})

    def test_ids_without_their_size_are_refused(self, write):
        with pytest.raises(WorkloadError, match="no prefix_block_tokens"):
            open_trace(write("x.csv", "arrival_s,input_tokens,output_tokens,prefix_hash_ids\n0,1,1,5\n"))

    def test_an_unknown_format_gets_the_nearest(self, write):
        with pytest.raises(WorkloadError, match="did you mean mooncake"):
            open_trace(write("x.csv", TIDY + "0,1,1\n"), format="moncake")

    def test_a_path_that_is_no_file_is_refused(self, write, tmp_path):
        write("azure.csv", TIDY)
        with pytest.raises(WorkloadError, match=r"no trace .*azur\.csv; did you mean azure\.csv"):
            open_trace(tmp_path / "azur.csv")
        with pytest.raises(WorkloadError, match="directory"):
            open_trace(tmp_path)
        with pytest.raises(WorkloadError, match="no trace"):
            open_trace(tmp_path / "nowhere" / "at" / "all.csv")

    @pytest.mark.parametrize("text", ["", "\n \n", TIDY, TIDY + "0,5,0\n1,5,\n"], ids=["no bytes", "blank", "header", "all failed"])
    def test_an_empty_trace_is_refused(self, write, text):
        with pytest.raises(WorkloadError, match="at least one request"):
            rows_of(open_trace(write("x.csv", text)))

    def test_an_empty_parquet_is_refused_at_once(self, write_parquet):
        empty = pa.array([], pa.int64())
        with pytest.raises(WorkloadError, match="at least one request"):
            open_trace(write_parquet("x.parquet", arrival_s=empty, input_tokens=empty, output_tokens=empty))

    def test_a_damaged_parquet_is_refused(self, write, write_parquet):
        rng = np.random.default_rng(1)
        lengths = rng.integers(1, 2**30, 5000)
        whole = write_parquet("w.parquet", arrival_s=np.arange(5000.0), input_tokens=lengths, output_tokens=lengths).read_bytes()
        for damaged in (whole[: len(whole) // 2], b"PAR1", b"not parquet", b"PAR1" + bytes(200) + whole[204:]):
            with pytest.raises(WorkloadError, match=r"x\.parquet.*complete") as caught:
                rows_of(open_trace(write("x.parquet", damaged)))
            assert "\n" not in str(caught.value)

    def test_bytes_that_are_no_text_are_refused(self, write):
        with pytest.raises(WorkloadError, match="cannot be read"):
            open_trace(write("x.csv", b"\xff\xfe\x00\x01"))
        with pytest.raises(WorkloadError, match="cannot be read"):
            rows_of(open_trace(write("x.csv", TIDY.encode() + b"\xff,1,1\n")))
        with pytest.raises(WorkloadError, match="cannot be read"):
            rows_of(open_trace(write("x.csv.gz", gzip.compress((TIDY + "0,1,1\n" * 999).encode())[:-9])))

    @pytest.mark.parametrize("limit", [0, -3])
    def test_a_limit_that_leaves_nothing_is_refused(self, write, limit):
        with pytest.raises(WorkloadError, match=f"limit of {limit}"):
            open_trace(write("x.csv", TIDY + "0,1,1\n"), limit=limit)


class TestLargeTimes:
    """A clock that is a float loses digits far from zero, so it is never put there."""

    @pytest.mark.parametrize(("unit", "per_second"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
    def test_times_since_1970_count_from_the_first_request(self, write, unit, per_second):
        first, later = 1_700_000_000 * per_second, 1_700_000_002 * per_second
        trace = open_trace(
            write("epoch.csv", f"when,input_tokens,output_tokens\n{first - per_second},5,0\n{first},5,1\n{later},5,1\n"),
            columns={f"arrival_{unit}": "when"},
        )
        assert rows_of(trace) == [Row(1, 0.0, 5, 1), Row(2, 2.0, 5, 1)]
        assert any("count from the first request, which is at 1700000000 s" in note for note in trace.notes())

    def test_epoch_seconds_keep_their_microseconds(self, write):
        text = TIDY + "1700000000.000000,1,1\n1700000000.000010,1,1\n1700000000.000100,1,1\n"
        arrivals = [row.arrival_time for row in rows_of(open_trace(write("x.csv", text)))]
        assert arrivals == pytest.approx([0, 1e-5, 1e-4], abs=2.5e-7)

    def test_smaller_times_are_kept_as_they_stand(self, write):
        trace = open_trace(write("x.csv", TIDY + "10000000,1,1\n10000001,1,1\n"))
        assert [row.arrival_time for row in rows_of(trace)] == [1e7, 1e7 + 1]
        assert trace.notes() == []

    def test_more_seconds_than_a_date_of_our_time_has_are_doubted(self, write):
        trace = open_trace(write("x.csv", TIDY + "1700000000000,1,1\n1700000001000,1,1\n"))
        assert [row.arrival_time for row in rows_of(trace)] == [0, 1000]
        assert any("map arrival_ms" in note for note in trace.notes())

    @pytest.mark.parametrize("far", ["1e300", "1.7e18", "100000001"])
    def test_a_span_of_more_than_three_years_is_refused(self, write, far):
        with pytest.raises(WorkloadError) as caught:
            rows_of(open_trace(write("x.csv", TIDY + f"0,1,1\n{far},1,1\n")))
        for word in ("x.csv, row 1", f"'{far}'", "three years", "read in seconds", "--column arrival_ms=arrival_s"):
            assert word in str(caught.value)

    def test_a_date_far_from_the_others_is_refused(self, write):
        text = "TIMESTAMP,ContextTokens,GeneratedTokens\n1970-01-01 00:00:00,1,1\n2023-11-16 18:15:46,2,2\n"
        with pytest.raises(WorkloadError, match=r"row 1 .*three years.*correct the date"):
            rows_of(open_trace(write("a.csv", text)))

    def test_unsorted_ones_count_from_the_earliest_once_sorted(self, write, tmp_path):
        converted = convert(open_trace(write("a.csv", TIDY + "1700000005,1,1\n1700000001,2,2\n")), tmp_path / "o.csv", sort=True)
        assert rows_of(open_trace(converted.path)) == [Row(0, 0.0, 2, 2), Row(1, 4.0, 1, 1)]
        assert any("count from the first request" in note for note in converted.notes)


class TestReading:
    def test_rows_without_output_are_left_out_and_keep_the_others_numbers(self, write):
        trace = open_trace(write("x.csv", TIDY + "0,5,1\n1,0,0\n0.5,5,\n2,5,NA\n3,5,1\n"))
        assert [row.row for row in rows_of(trace)] == [0, 4]
        assert [note for note in trace.notes() if "3 rows were left out" in note]
        rows_of(trace)
        assert [note for note in trace.notes() if "3 rows were left out" in note], "a second pass must not count twice"

    def test_equal_times_are_fine(self, write):
        assert [row.row for row in rows_of(open_trace(write("x.csv", TIDY + "1,5,1\n1,5,1\n1,5,1\n")))] == [0, 1, 2]

    def test_a_limit_counts_requests_and_hides_what_is_beyond(self, write):
        trace = open_trace(write("x.csv", TIDY + "0,5,1\n1,5,0\n2,5,1\n3,bad,bad\n"), limit=2)
        assert [row.row for row in rows_of(trace)] == [0, 2]
        assert len(rows_of(open_trace(trace.path, limit=1))) == 1

    def test_the_number_of_requests_is_known_where_the_metadata_tell(self, write, write_parquet):
        three = {"arrival_s": [0.0, 1.0, 2.0], "input_tokens": [1, 1, 1]}
        whole = write_parquet("a.parquet", **three, output_tokens=[1, 2, 3])
        failed = write_parquet("b.parquet", **three, output_tokens=[1, 0, 3])
        lacking = write_parquet("c.parquet", **three, output_tokens=[1, None, 3])
        assert (open_trace(whole).num_requests, open_trace(whole, limit=2).num_requests) == (3, 2)
        assert open_trace(failed).num_requests is open_trace(lacking).num_requests is None
        assert open_trace(write("x.csv", TIDY + "0,1,1\n")).num_requests is None

    def test_long_traces_come_in_chunks_and_faults_keep_their_row(self, write_parquet, tmp_path):
        many = 150_000
        times = np.arange(many, dtype=float)
        times[140_000] = 3.0
        path = write_parquet("x.parquet", arrival_s=times, input_tokens=np.ones(many, int), output_tokens=np.ones(many, int))
        sizes = []
        with pytest.raises(WorkloadError, match="row 140000 "):
            sizes.extend(len(chunk) for chunk in open_trace(path).chunks())
        assert sizes == [65_536, 65_536]
        assert convert(open_trace(path), tmp_path / "s.csv", sort=True).num_requests == many
        chunks = list(open_trace(tmp_path / "s.csv").chunks())
        assert max(map(len, chunks)) <= 65_536
        assert np.array_equal(np.concatenate([chunk.row for chunk in chunks]), np.arange(many))

    def test_a_row_column_that_counts_otherwise_is_noted(self, write):
        trace = open_trace(write("x.csv", "row," + TIDY + "7,0,1,1\n8,1,1,1\n"))
        assert [row.row for row in rows_of(trace)] == [0, 1]
        assert any("row column" in note for note in trace.notes())

    def test_a_trace_is_an_open_loop(self, write):
        workload: Workload = open_trace(write("x.csv", TIDY + "0,1,1\n"))
        assert not workload.has_follow_ups
        assert not workload.follow_ups(0, 1.0)


requests = st.tuples(
    st.floats(0, 1e6, allow_subnormal=False),
    st.integers(1, 2**31 - 1),
    st.integers(1, 2**31 - 1),
    st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    st.none() | st.integers(0, 99),
    st.none() | st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=3),
)


def trace_of(path: Path, rows: list[tuple]) -> Trace:
    arrivals, inputs, outputs, sessions, turns, ids = zip(*rows)
    columns = {
        "arrival_s": pa.array(arrivals, pa.float64()),
        "input_tokens": pa.array(inputs, pa.int32()),
        "output_tokens": pa.array(outputs, pa.int32()),
        "session_id": pa.array(sessions, pa.string()),
        "turn_index": pa.array(turns, pa.int32()),
        "prefix_block_tokens": pa.array([None if some is None else 512 for some in ids], pa.int32()),
        "prefix_hash_ids": pa.array(ids, pa.list_(pa.int64())),
    }
    pyarrow.parquet.write_table(pa.table(columns), path)
    return open_trace(path)


class TestConverting:
    @pytest.mark.parametrize("suffix", [".parquet", ".csv"])
    @given(rows=st.lists(requests, min_size=1, max_size=8).map(lambda rows: sorted(rows, key=lambda row: row[0])))
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_what_is_written_reads_back_the_same(self, tmp_path, suffix, rows):
        trace = trace_of(tmp_path / "in.parquet", rows)
        again = open_trace(convert(trace, tmp_path / f"out{suffix}").path)
        assert table_of(again).equals(table_of(trace))
        assert again.columns == trace.columns

    @given(rows=st.lists(requests, min_size=1, max_size=8).map(lambda rows: sorted(rows, key=lambda row: row[0])))
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_mooncake_keeps_lengths_ids_and_times_to_the_nanosecond(self, tmp_path, rows):
        trace = trace_of(tmp_path / "in.parquet", rows)
        written = convert(trace, tmp_path / "out.jsonl")
        again, before = table_of(open_trace(written.path)), table_of(trace)
        for name in ("row", "input_tokens", "output_tokens", "prefix_block_tokens", "prefix_hash_ids"):
            assert again[name].equals(before[name])
        assert again["arrival_s"].to_numpy() == pytest.approx(before["arrival_s"].to_numpy(), rel=1e-15, abs=1e-9)
        assert any("session_id" in note for note in written.notes)

    @given(rows=st.lists(requests, min_size=1, max_size=8))
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_sorting_is_stable(self, tmp_path, rows):
        trace = trace_of(tmp_path / "in.parquet", rows)
        out = convert(trace, tmp_path / "out.parquet", sort=True).path
        assert [row[1:] for row in rows_of(open_trace(out))] == [row[:3] for row in sorted(rows, key=lambda row: row[0])]

    def test_unsorted_dates_count_from_the_earliest_once_sorted(self, write, tmp_path):
        text = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:50,1,1\n2023-11-16 18:15:46,2,2\n"
        out = convert(open_trace(write("a.csv", text)), tmp_path / "o.csv", sort=True).path
        assert rows_of(open_trace(out)) == [Row(0, 0.0, 2, 2), Row(1, 4.0, 1, 1)]

    def test_parents_follow_their_rows(self, write, tmp_path):
        text = "arrival_s,input_tokens,output_tokens,parent_row\n5,1,1,\n6,1,0,\n1,1,1,\n2,1,1,2\n7,1,1,0\n8,1,1,1\n"
        out = convert(open_trace(write("a.csv", text)), tmp_path / "o.parquet", sort=True).path
        table = table_of(open_trace(out))
        assert table["row"].to_pylist() == [0, 1, 2, 3, 4]
        assert table["arrival_s"].to_pylist() == [1.0, 2.0, 5.0, 7.0, 8.0]
        assert table["parent_row"].to_pylist() == [None, 0, None, 2, None]

    def test_nothing_half_written_stays_and_nothing_whole_is_lost(self, write, tmp_path):
        out = write("out.csv", "precious")
        with pytest.raises(WorkloadError, match="row 1 "):
            convert(open_trace(write("in.csv", TIDY + "0,1,1\n1,x,1\n")), out)
        assert out.read_text() == "precious"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]

    def test_where_and_how_to_write_must_be_clear(self, write, tmp_path):
        trace = open_trace(write("in.csv", TIDY + "0,1,1\n"))
        with pytest.raises(WorkloadError, match=r"\.parquet, \.csv, \.jsonl"):
            convert(trace, tmp_path / "out.xlsx")
        with pytest.raises(WorkloadError, match="no directory"):
            convert(trace, tmp_path / "nowhere" / "out.csv")

    def test_mooncake_has_blocks_of_512_only(self, write, tmp_path):
        text = "arrival_s,input_tokens,output_tokens,prefix_block_tokens,prefix_hash_ids\n0,1,1,16,5\n"
        with pytest.raises(WorkloadError, match="16 tokens"):
            convert(open_trace(write("in.csv", text)), tmp_path / "out.jsonl")

    def test_notes_of_the_trace_come_along(self, write, tmp_path):
        converted = convert(open_trace(write("in.csv", TIDY + "0,1,1\n1,1,0\n")), tmp_path / "out.csv")
        assert any("1 row was left out" in note for note in converted.notes)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared traces are not here; SEATRIAL_SHARED_DATA can say where they are")
def test_the_shared_traces_have_the_rows_and_rates_of_their_catalogue():
    with (SHARED / "catalogue.csv").open() as file:
        catalogue = list(csv.DictReader(file))
    assert catalogue
    for entry in catalogue:
        trace = open_trace(SHARED / entry["file"])
        times = np.concatenate([chunk.arrival_time for chunk in trace.chunks()])
        assert trace.num_requests == len(times) == int(entry["rows"])
        assert len(times) / (times[-1] - times[0]) == pytest.approx(float(entry["mean_rate_rps"]), abs=1e-4)
        assert trace.notes() == []


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    pipe = tmp_path / "trace.csv"
    os.mkfifo(pipe)
    with pytest.raises(WorkloadError, match=r"trace\.csv is a device or a pipe"):
        open_trace(pipe)


def test_sessions_travel_with_their_requests_through_every_change(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("arrival_s,input_tokens,output_tokens,session_id\n0,5,2,a\n1,5,2,\n2,5,0,c\n3,5,2,b\n")
    trace = open_trace(file)
    twice = repeated(speedup(trace, 2.0), 6)
    assert [session for chunk in twice.chunks() for session in chunk.each_session()] == ["a", None, "b"] * 2
    loop = closed_loop(trace, concurrency=2)
    assert [session for chunk in loop.chunks() for session in chunk.each_session()] == ["a", None]
    assert [arrival.request.session_id for arrival in loop.follow_ups(0, 9.0)] == ["b"]
