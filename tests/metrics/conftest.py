"""A few requests written as rows, and many drawn at random."""

from itertools import pairwise

import numpy as np
import pytest

from seatrial.core.record import RequestRecords, Status
from seatrial.metrics.window import where


def make_records(rows, pool="main", replica=0):
    """Rows of (arrival, prompt, output, queue, first token, finish[, status]) become records."""
    rows = [row if len(row) == 7 else (*row, Status.COMPLETED) for row in rows]
    return of_columns(*(zip(*rows) if rows else ((),) * 7), pool=pool, replica=replica)


def of_columns(arrival, prompt, output, queue, first, finish, status, pool="main", replica=0):
    return RequestRecords(
        row=np.arange(len(arrival), dtype=np.int64),
        arrival_time=np.array(arrival, np.float64),
        num_prompt_tokens=np.array(prompt, np.int64),
        num_output_tokens=np.array(output, np.int64),
        num_cached_tokens=np.zeros(len(arrival), np.int64),
        queue_time=np.array(queue, np.float64),
        first_token_time=np.array(first, np.float64),
        finish_time=np.array(finish, np.float64),
        num_preemptions=np.zeros(len(arrival), np.int64),
        status=np.array(status, np.int8),
        pool=pool,
        replica=replica,
    )


def draw_records(num, seed=1, start=0.0):
    """Requests of 0.1 s apart on average, some of them rejected."""
    random = np.random.default_rng(seed)
    arrival = start + np.cumsum(random.exponential(0.1, num))
    queue = random.exponential(0.2, num)
    output = random.integers(1, 100, num)
    first = arrival + queue + random.uniform(0.05, 0.2, num)
    finish = first + (output - 1) * random.uniform(0.01, 0.05, num)
    status = np.where(random.random(num) < 0.1, Status.REJECTED, Status.COMPLETED)
    missing = status == Status.REJECTED
    for moments in (queue, first, finish):
        moments[missing] = np.nan
    return of_columns(arrival, random.integers(1, 2000, num), output, queue, first, finish, status)


def cut(records, *edges):
    """The records in pieces."""
    place = np.arange(len(records))
    bounds = [0, *edges, len(records)]
    return [where(records, (place >= low) & (place < high)) for low, high in pairwise(bounds)]


@pytest.fixture(scope="session")
def records():
    return make_records


@pytest.fixture(scope="session")
def many():
    return draw_records


@pytest.fixture(scope="session")
def pieces():
    return cut
