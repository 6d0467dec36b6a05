"""Worker processes: they do what they are told, keep what they know, and are gone at the end."""

import os
import signal
import subprocess
import sys
import time

import pytest

from seatrial.core.errors import SeatrialError
from seatrial.validate.workers import workers


def squared(number):
    return number * number


def who(task):
    time.sleep(0.05)
    return os.getpid()


def for_ever(task):
    time.sleep(3600 if task else 0)
    return task


def broken(task):
    raise ZeroDivisionError(f"task {task} has a bug")


def killed(task):
    os.kill(os.getpid(), signal.SIGKILL)


def test_every_task_has_its_outcome_with_its_place():
    with workers(2) as pool:
        assert dict(pool.run(squared, [3, 1, 2])) == {0: 9, 1: 1, 2: 4}
        assert dict(pool.run(squared, [])) == {}


def test_the_same_processes_do_what_comes_later():
    with workers(2) as pool:
        first, second = ({process for _, process in pool.run(who, range(8))} for _ in range(2))
    assert first == second
    assert len(first - {os.getpid()}) == 2


def test_whoever_stops_listening_waits_for_nobody():
    with workers(2) as pool:
        assert next(pool.run(for_ever, [0, 1, 1])) == (0, 0)


def test_a_bug_in_a_worker_is_shown_where_it_was():
    with workers(2) as pool, pytest.raises(RuntimeError, match=r"in broken\n(.*\n)*ZeroDivisionError: task 7 has a bug"):
        list(pool.run(broken, [7]))


def test_a_worker_that_is_killed_is_said_in_a_sentence():
    with workers(2) as pool, pytest.raises(SeatrialError, match=r"exit code -9.*fewer --jobs"):
        list(pool.run(killed, [1]))


def test_workers_end_with_the_process_that_started_them_however_that_ends():
    """They hold its stdout, which ends when the last of them has."""
    loop = "for one in pool.run(for_ever, [0, 1, 1, 1]): print(one, flush=True)"
    lines = ["from test_workers import *", "with workers(3) as pool:", f"    {loop}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])}
    started = subprocess.Popen([sys.executable, "-c", "\n".join(lines)], stdout=subprocess.PIPE, text=True, env=environment)
    assert started.stdout.readline() == "(0, 0)\n"
    started.kill()
    assert started.communicate(timeout=60)[0] == ""
