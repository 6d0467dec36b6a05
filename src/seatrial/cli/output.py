"""Results go to stdout, talk and progress to stderr."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# rich is imported by those who draw: it takes a tenth of a second, which --json, notes and short runs need not pay

PATIENCE = 2.0  # seconds without a word before progress shows
EVERY = 10.0  # seconds from one line of progress to the next


def print_json(obj: Mapping[str, object]) -> None:
    """One object on stdout, and nothing else may go there. A figure that is not a finite number is null."""
    sys.stdout.write(json.dumps(_finite(obj), indent=2, allow_nan=False, default=_plain) + "\n")


def say(text: str) -> None:
    """A line of the result, on stdout."""
    sys.stdout.write(f"{text}\n")


def note(text: str) -> None:
    """A sentence that the user should know, on stderr."""
    sys.stderr.write(f"note: {text}\n")


def console() -> "Console":
    """Where tables for people go. Text is printed as it is, without markup, and wraps at the width of the terminal (80 without one)."""
    from rich.console import Console

    class Stdout(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with 1; main knows better

    return Stdout(highlight=False, markup=False, emoji=False)


def show(*parts: "RenderableType") -> None:
    """Tables and texts for people, each on lines of its own."""
    out = console()
    for part in parts:
        out.print(part)


@contextmanager
def progress(what: str, total: float | None) -> Iterator[Callable[[float], None]]:
    """Yields a function to call now and then with how much of `total` is done so far.

    After two seconds it shows on stderr how much that is and how long the rest will take: a bar on a terminal, which is gone at the end;
    elsewhere a line, and another one every ten seconds.
    """
    bar = (_Bar if sys.stderr.isatty() else _Lines)(what, total)
    try:
        yield bar
    finally:
        bar.close()


class _Lines:
    """A line now and then, for a log."""

    def __init__(self, what: str, total: float | None) -> None:
        self._what, self._total = what, total
        self._next = monotonic() + PATIENCE
        self._start: tuple[float, float] | None = None  # when we first heard, and how much had been done by then

    def __call__(self, done: float) -> None:
        now = monotonic()
        if self._start is None:
            self._start = now, done
        if now < self._next:
            return
        self._next = now + EVERY
        began, done_before = self._start
        told = f"{done:,.0f} so far"
        if self._total:
            told = f"{100 * min(done / self._total, 1.0):.0f} %"
            if done > done_before:
                told += f", {duration_text((now - began) * max(self._total - done, 0.0) / (done - done_before))} left"
        sys.stderr.write(f"{self._what}: {told}\n")
        sys.stderr.flush()

    def close(self) -> None:
        pass


def duration_text(seconds: float) -> str:
    """45 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class _Bar:
    """It appears when its time has come."""

    def __init__(self, what: str, total: float | None) -> None:
        self._what, self._total = what, total
        self._appears = monotonic() + PATIENCE
        self._show: Callable[[float], None] | None = None
        self._stop: Callable[[], None] = lambda: None

    def __call__(self, done: float) -> None:
        if self._show is None and monotonic() >= self._appears:
            self._begin()
        if self._show is not None:
            self._show(done)

    def close(self) -> None:
        self._stop()

    def _begin(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("left"))
        bar = Progress(*columns, console=Console(stderr=True), transient=True)
        task = bar.add_task(self._what, total=self._total)
        bar.start()
        self._show = lambda done: bar.update(task, completed=done)
        self._stop = bar.stop


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def _plain(value: object) -> object:
    """What JSON has no word for: numbers of numpy as Python's, all else (paths, enums) as text."""
    item = getattr(value, "item", None)
    return _finite(item()) if callable(item) else str(value)
