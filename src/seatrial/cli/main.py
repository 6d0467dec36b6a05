"""The `seatrial` command: which commands there are, and how a run of one ends.

Importing this is light on purpose: what a command needs is imported when it is called.
"""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from math import isfinite
from pathlib import Path
from typing import Any, get_args

from cyclopts import App, CycloptsError, Parameter, Token, convert
from cyclopts.help import DefaultFormatter

from seatrial.cli.help import columns
from seatrial.cli.usage import complaint
from seatrial.core.errors import SeatrialError, in_words
from seatrial.version import __version__

DONE, WRONG_INPUT = 0, 2
INTERRUPTED, READER_GONE, TERMINATED = 130, 141, 143  # as a shell counts SIGINT, SIGPIPE and SIGTERM

GROUPS = {
    "workload": "Requests over time: describe, generate and convert traces.",
    "fit": "Make the data files that times rest on from measurements: ours, or your own.",
    "catalog": "Models, accelerators, engines and routers that are known by name, with the source of every number.",
}
COMMANDS = {
    "run": (
        "seatrial.cli.run:run",
        "Simulate a model on its accelerators under a workload, and say what its users would see.\n\n"
        "Without a scenario file the built-in one is run: an 8B model on one H100 under generated traffic. Flags override the scenario.\n\n"
        "seatrial run examples/chat-h100.yaml --rate 8\n"
        "seatrial run --model llama-3.1-70b --tensor-parallel 4 --slo ttft:p90=1\n"
        "seatrial run --trace requests.csv --speedup 2 --out results",
    ),
    "explain": (
        "seatrial.cli.explain:explain",
        "Say where the milliseconds of a step go, and why the KV cache is as large as it is.",
    ),
    "validate": (
        "seatrial.cli.validate:validate",
        "Simulate measured points as they were, and say how far off the predictions are.\n\n"
        "seatrial validate points.csv --out report\n"
        "seatrial validate points.csv --where 'gpu=H100*' --where trust=A,B --json",
    ),
    "workload describe": (
        "seatrial.cli.workload_describe:describe",
        "Rate, bursts, lengths, sessions and shared prefixes of a trace, and the generator that resembles it best.",
    ),
    "workload generate": (
        "seatrial.cli.workload_generate:generate",
        "Write a trace made from parameters: those of a YAML file with the key `workload`, or those of the flags.\n\n"
        "Without either, requests come as a Poisson process with the lengths of a chat service.",
    ),
    "workload convert": (
        "seatrial.cli.workload_convert:convert",
        "Write a trace in our schema (.parquet, .csv) or as Mooncake JSON lines (.jsonl).",
    ),
    "fit operators": (
        "seatrial.cli.fit_operators:operators",
        "Fit operator curves to tables of measured times, and say how far they are off, on shapes and accelerators left out as well.\n\n"
        "seatrial fit operators tables --report\n"
        "seatrial fit operators tables --out curves --source 'our own H100, CUDA 13'",
    ),
    "fit engine": (
        "seatrial.cli.fit_engine:engine",
        "Fit an engine profile to measured runs, and say how far it is off, on models and accelerators left out as well.\n\n"
        "seatrial fit engine points.csv --where engine=vllm --out mine.toml\n"
        "seatrial run --engine mine.toml",
    ),
    "catalog models": (
        "seatrial.cli.catalog:models",
        "The models that are known by name, or all about one: of the catalogue, or of a config.json.",
    ),
    "catalog routers": (
        "seatrial.cli.catalog_routers:routers",
        "The routers that --router can name, with their options.",
    ),
    "catalog engines": (
        "seatrial.cli.catalog:engines",
        "The engines that have a profile, or every number of one with its source.",
    ),
    "catalog accelerators": (
        "seatrial.cli.catalog:accelerators",
        "The accelerators that are known by name, or every number of one with its source.",
    ),
}


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code: 0 done, 2 wrong input, 130 interrupted, 141 when nobody reads on, 143 terminated.

    All of these are one sentence at most. A bug of ours escapes as a traceback, which Python ends with 1.
    Without tokens it is the program itself, whose arguments it takes; what is left to do then is to end, which no signal disturbs.
    """
    with orderly_interrupts(to_the_end=tokens is None):
        return ended(sys.argv[1:] if tokens is None else tokens)


def ended(tokens: Sequence[str]) -> int:
    try:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="replace")  # a terminal without our marks gets question marks, and no traceback
        app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        return fail(complaint(error))
    except SeatrialError as error:
        return fail(str(error))
    except BrokenPipeError:
        forget_stdout()
        return READER_GONE
    except KeyboardInterrupt as interrupt:
        terminated = isinstance(interrupt, Terminated)
        fail(str(interrupt) or f"{'terminated' if terminated else 'interrupted'}; no file was left half written")
        return TERMINATED if terminated else INTERRUPTED
    except OSError as problem:
        if problem.filename is None:
            forget_stdout()
        return fail(f"cannot read or write {problem.filename or 'the results'} ({in_words(problem)})")
    return DONE


class Terminated(KeyboardInterrupt):
    """SIGTERM came: what Ctrl-C does, by another exit code."""


@contextmanager
def orderly_interrupts(*, to_the_end: bool) -> Iterator[None]:
    """SIGTERM ends what runs here as Ctrl-C does; those that follow add nothing, so that nothing disturbs what is put in order.

    Python drops an exception that is raised in certain callbacks, so the first is raised again until it has got through. Where somebody
    else has a say in a signal, nothing changes. With `to_the_end` no signal does anything afterwards.
    """
    first: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        if not first:
            first.append(number)
            if signal.SIGALRM in ours:
                signal.setitimer(signal.ITIMER_REAL, AGAIN, AGAIN)
        elif number != signal.SIGALRM:
            return
        raise Terminated if first == [signal.SIGTERM] else KeyboardInterrupt

    ours = [number for number, usual in USUAL.items() if signal.getsignal(number) is usual]
    with suppress(ValueError):  # not in the main thread
        for number in ours:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        if first and signal.SIGALRM in ours:
            signal.setitimer(signal.ITIMER_REAL, 0)
        with suppress(ValueError):
            for number in ours:
                signal.signal(number, signal.SIG_IGN if to_the_end else USUAL[number])


USUAL: dict[signal.Signals, Any] = {  # Any: as `signal.signal` takes it
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGALRM: signal.SIG_DFL,
}
AGAIN = 1.5  # seconds, in which all is put in order


def fail(sentence: str) -> int:
    sys.stderr.write(f"seatrial: {' '.join(sentence.split())}\n")
    return WRONG_INPUT


def forget_stdout() -> None:
    """What is still buffered has nowhere to go, and must not raise again when Python ends."""
    with suppress(OSError):  # a stdout without a file, as in tests
        stdout = sys.stdout.fileno()
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout)


def to_value(kind: Any, tokens: Sequence[Token]) -> Any:
    """A flag's word as a value. Cyclopts alone would round 1.5 to an integer, let NaN pass and take an empty path for this directory."""
    if Path in (kind, *get_args(kind)) and not all(token.value.strip() for token in tokens):
        raise ValueError("a path, like . for this directory")
    word = tokens[0].value if len(tokens) == 1 else ""
    if kind is int and not word.strip().removeprefix("-").isdecimal():
        raise ValueError("a whole number")
    value = convert(kind, tokens)
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("a finite number")
    return value


def make_app() -> App:
    common: dict[str, Any] = {"help_format": "plaintext", "version_flags": []}
    look = DefaultFormatter(column_specs=columns)
    root = App(
        name="seatrial",
        help="Puts fleets of LLM accelerators through their sea trial: simulates LLM serving on real request traces, exactly and fast.",
        version=__version__,
        help_format="plaintext",
        help_formatter=look,
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(negative=(), converter=to_value),
    )
    groups = {name: App(name=name, help=text, **common) for name, text in GROUPS.items()}
    for group in groups.values():
        root.command(group)
    for words, (path, text) in COMMANDS.items():
        *group_name, name = words.split()
        (groups[group_name[0]] if group_name else root).command(path, name=name, help=text, **common)
    return root


app = make_app()
