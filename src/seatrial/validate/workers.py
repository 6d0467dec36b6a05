"""Processes that work tasks off, and end with the one that started them."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import Pipe, Process, parent_process
from multiprocessing.connection import Connection, wait
from threading import Thread
from traceback import format_exc
from typing import Any, NamedTuple, TypeVar

from seatrial.core.errors import SeatrialError

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

INTERRUPTS = {signal.SIGINT, signal.SIGTERM}


class Workers:
    """Processes that do one task at a time each, and remember what they cached for the next. Alive: from `workers` to its end.

    An interrupt may come at any moment, and more than one: there is no thread and no lock here that it could leave halfway.
    """

    def __init__(self) -> None:
        self._processes: dict[Connection, Process] = {}  # by our end of the pipe to each

    def run(self, work: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
        """The place of each task with its outcome, as they end. Who does not listen to the end has no further use of these workers."""
        waiting, busy = iter(enumerate(tasks)), dict[Connection, int]()

        def begin(worker: Connection) -> None:
            for place, task in waiting:
                worker.send((work, task))
                busy[worker] = place
                return

        for worker in self._processes:
            begin(worker)
        while busy:
            ready = wait(list(busy))
            for worker in [each for each in busy if each in ready]:
                answer = self._answer(worker)
                place = busy.pop(worker)
                begin(worker)
                yield place, answer

    def _answer(self, worker: Connection) -> Any:  # Any: what the work gives
        try:
            answer = worker.recv()
        except (EOFError, ConnectionError):
            process = self._processes[worker]
            process.join()
            raise SeatrialError(
                f"a process that simulated was ended from outside (exit code {process.exitcode}), as happens when memory runs out; "
                "fewer --jobs need less of it"
            ) from None
        if isinstance(answer, Failed):
            raise RuntimeError(f"in a worker process:\n{answer.traceback}")
        return answer

    def start_one(self) -> None:
        ours, theirs = Pipe()
        process = Process(target=serve, args=(theirs,), daemon=True)
        with held_back():
            process.start()
        theirs.close()
        self._processes[ours] = process

    def kill(self) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.join()


@contextmanager
def workers(number: int) -> Iterator[Workers]:
    """So many processes. At the end they are killed, whatever they are doing."""
    made = Workers()
    try:
        for _ in range(number):
            made.start_one()
        yield made
    finally:
        made.kill()


@contextmanager
def held_back() -> Iterator[None]:
    """Interrupts wait until the end, and in a process that begins here until it lets them in."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# In a worker


class Failed(NamedTuple):
    """What a bug of ours left behind."""

    traceback: str


def serve(pipe: Connection) -> None:
    """Do what comes through the pipe until killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the one that started this decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
    Thread(target=end_with_parent, daemon=True).start()
    while True:
        work, task = pipe.recv()
        try:
            answer = work(task)
        except Exception:
            answer = Failed(format_exc())
        pipe.send(answer)


def end_with_parent() -> None:
    """Where the parent is killed nobody else ends its workers, and a task may take hours."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
