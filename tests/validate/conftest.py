"""Points made up for the tests: no source ever measured them."""

import csv

import pytest

from seatrial.validate.point import Point

COLUMNS = {
    "point_id": "a#summary",
    "exp_id": "a",
    "source": "ours",
    "trust": "A",
    "kind": "serving_closedloop",
    "model": "llama-3.1-8b",
    "gpu": "H100-SXM5-80GB",
    "n_gpu": "1",
    "tp": "1",
    "engine": "vLLM",
    "engine_version": "0.15.1",
    "workload": "random 100/20",
    "stage": "summary",
    "concurrency": "4",
    "num_requests": "12",
    "input_mean": "100",
    "output_mean": "20",
    "ttft_mean_ms": "30",
    "tpot_mean_ms": "8",
    "out_tok_per_s": "500",
}
OPEN_LOOP = COLUMNS | {
    "point_id": "b#summary",
    "exp_id": "b",
    "kind": "serving_openloop",
    "concurrency": "",
    "num_requests": "60",
    "stage_rates_rps": "[2, 4]",
    "stage_durations_s": "[10, 10]",
    "e2e_mean_ms": "200",
}


@pytest.fixture
def write_points(tmp_path):
    """Writes rows, each the made-up one with some changes, and gives the file."""

    def write(*rows, name="points.csv"):
        made = [COLUMNS | row for row in rows]
        columns = list(dict.fromkeys(column for row in made for column in row))
        file = tmp_path / name
        with file.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, columns, restval="")
            writer.writeheader()
            writer.writerows(made)
        return file

    return write


@pytest.fixture
def point():
    """A point with some fields of ours."""

    def make(**fields):
        return Point("p", **({"model": "llama-3.1-8b", "gpu": "h100_sxm", "measured": {"ttft_mean": 0.03}} | fields))

    return make
