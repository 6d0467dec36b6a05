"""What can go wrong because of what somebody gave us.

    SeatrialError
    ├── CatalogError     a model, accelerator or config.json that is unknown or unreadable
    ├── ScenarioError    a scenario file or flag that says something impossible
    ├── WorkloadError    a trace or generator that cannot be read or run
    ├── PolicyError      a scheduler or router that is unknown or answers nonsense
    ├── CapacityError    a model that does not fit where it was put
    ├── FitError         measured tables that cannot be read or fitted
    └── PointsError      a file of measured points, or what goes with it, that cannot be used

Every message says what was given, what is allowed and what to try. The command line prints it and exits with 2.
"""

import errno
import os
from collections.abc import Iterable
from difflib import get_close_matches


class SeatrialError(Exception):
    """Root of everything we raise on purpose."""


class CatalogError(SeatrialError, LookupError):
    pass


class ScenarioError(SeatrialError, ValueError):
    pass


class WorkloadError(SeatrialError, ValueError):
    pass


class PolicyError(SeatrialError, ValueError):
    pass


class FitError(SeatrialError, ValueError):
    pass


class CapacityError(SeatrialError, ValueError):
    pass


class PointsError(SeatrialError, ValueError):
    pass


def in_words(problem: Exception) -> str:
    """What went wrong with a file, for the middle of a sentence: no error numbers, no positions of bytes, one line."""
    if isinstance(problem, UnicodeError):
        return "it is not text in UTF-8"
    if isinstance(problem, OSError) and problem.errno:
        text = os.strerror(problem.errno)
        return OF_PATHS.get(problem.errno, text[:1].lower() + text[1:])
    return (str(problem).strip() or type(problem).__name__).splitlines()[0].rstrip(".")


OF_PATHS = {
    errno.ENOENT: "there is no such file",
    errno.EISDIR: "it is a directory",
    errno.ENOTDIR: "a part of its path is a file and no directory",
    errno.EEXIST: "a part of its path is a file and no directory",  # so says `mkdir`
}


def nearest(name: str, known: Iterable[str], most: int = 3, aliases: Iterable[str] = (), few: int = 12) -> str:
    """The end of a sentence about an unknown name: the nearest known ones, or all of them if no more than `few`.

    `aliases` may be the nearest, but are neither listed nor counted.
    """
    names = sorted(known)
    lower = {n.lower(): n for n in (*sorted(aliases), *names)}
    close = [lower[n] for n in get_close_matches(name.lower(), lower, n=most, cutoff=0.5)]
    if close:
        return "did you mean " + " or ".join(close) + "?"
    return "known are " + ", ".join(names) if len(names) <= few else f"{len(names)} are known"
