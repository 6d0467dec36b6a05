"""Writes a fitted engine profile as the data file of the catalogue, over the profile that it was fitted from."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from errno import EISDIR
from math import exp
from pathlib import Path
from tempfile import TemporaryFile

from seatrial.core.engine_profile import EngineProfile
from seatrial.core.errors import FitError, in_words
from seatrial.fit.engine import MOSTLY_BELIEVED, EngineFit
from seatrial.fit.knobs import Knob
from seatrial.fit.toml import quoted, write_whole

HEADER = "# Fitted by `seatrial fit engine`; docs/catalog.md explains the keys. Seconds, scales of a curve's time, shares of the peaks.\n"


def write_engine(fit: EngineFit, base: EngineProfile, file: Path, source: str, date: str) -> None:
    """All that is not fitted is the base's."""
    with writing(file):
        write_whole(file, engine_text(fit, base.name, source, date))


def check_writable(file: Path) -> None:
    """Refuse, before a long fit, what cannot be written after it."""
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        TemporaryFile(dir=file.parent).close()


@contextmanager
def writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise FitError(f"cannot write {file}: {in_words(problem)}") from problem


def engine_text(fit: EngineFit, base: str, source: str, date: str) -> str:
    parts = [HEADER, f"base = {quoted(base)}\n"]
    parts += [_line(knob, fit) for knob in fit.knobs if not knob.architecture]
    parts.append(f"\n[sources]\nruns = {{ text = {quoted(source)}, date = {quoted(date)} }}\n")
    for architecture in sorted({knob.architecture for knob in fit.knobs} - {""}):
        parts.append(f"\n[on.{_key(architecture)}]\n")
        parts += [_line(knob, fit) for knob in fit.knobs if knob.architecture == architecture]
    return "".join(parts)


def _line(knob: Knob, fit: EngineFit) -> str:
    """With its standard error."""
    note = give_or_take(fit.spreads[knob]) + (f", {BELIEVED}" if knob in fit.believed(MOSTLY_BELIEVED) else "")
    return f'{knob.name} = {{ value = {fit.values[knob]:.3g}, source = "runs", note = {quoted(note)} }}\n'


BELIEVED = "mostly what is common among engines"


def give_or_take(error: float) -> str:
    """A standard error of a logarithm: a share of the number where it is small, else what to multiply or divide it by."""
    return f"+- {100 * error:.0f} %" if error <= 0.2 else f"×/÷ {exp(error):.1f}"


def _key(name: str) -> str:
    return name if name.isidentifier() else quoted(name)


def as_plain(values: Mapping[Knob, float]) -> dict[str, float]:
    """By the place in a profile's file."""
    return {knob.place: value for knob, value in values.items()}
