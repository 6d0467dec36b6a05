"""A run directory: there as a whole, or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seatrial.core.errors import ScenarioError, in_words

FILES = ("requests.parquet", "scenario.yaml", "summary.json")


@contextmanager
def run_directory(path: Path) -> Iterator[Path]:
    """A folder to write into, which takes the name `path` at the end; after an exception nothing is left of it.

    An empty directory, or an earlier run and nothing else, is replaced; anything else at that place is refused at once.
    """
    path = path.expanduser().resolve()
    _refuse_what_is_no_run(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    except OSError as problem:
        raise ScenarioError(f"--out {path} cannot be written ({in_words(problem)}); give another place") from None
    try:
        yield part
        part.chmod(0o777 & ~_umask())  # mkdtemp made it for one user only
        _replace(path, part)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _refuse_what_is_no_run(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_dir():
        raise ScenarioError(f"--out {path} is a file; give a directory")
    names = {entry.name for entry in path.iterdir()}
    if names and "summary.json" not in names:
        raise ScenarioError(f"--out {path} is not empty, and no run of ours; give a new directory, or that of an earlier run")
    if foreign := sorted(names.difference(FILES)):
        raise ScenarioError(f"--out {path} also holds {foreign[0]}, which no run wrote and replacing would lose; give another directory")


def _replace(path: Path, part: Path) -> None:
    """Rename `part` to `path`. What was there stays whole beside it until then."""
    old = part.with_suffix(".old")
    if path.exists():
        os.replace(path, old)
    try:
        os.replace(part, path)
    except OSError:
        if old.exists():
            os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
