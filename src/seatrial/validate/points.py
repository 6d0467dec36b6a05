"""Measured points from a CSV file, every row checked on the way in."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from pathlib import Path

from seatrial.core.errors import PointsError, in_words, nearest
from seatrial.validate.point import METRICS, NUMBERS, REQUIRED, TEXTS, Point

Row = Mapping[str, str]

WHAT = "a points file is CSV with a header, and a row per measured point"
MEASURED = tuple(column.name for column in METRICS.values())
QUANTILES = [f"{name}_{quantile}_ms" for name in ("ttft", "tpot", "e2e", "itl") for quantile in ("p50", "p90", "p95", "p98", "p99")]
NOT_READ = frozenset(
    ["split", "source_ref", "licence", "seed", "tpot_as_published_ms", "total_tok_per_s", "out_tok_per_s_per_gpu", *QUANTILES]
)
"""Columns of the schema that nothing here needs; others that are not known are worth a word."""


def read_points(file: Path) -> list[Point]:
    """All points of a file, in its order. A PointsError says what is wrong with the file or with what its points are called.

    A cell that is no number is a fault of its point alone.
    """
    columns, rows = read_csv(file)
    check_columns(file, columns)
    if not rows:
        raise PointsError(f"{file} has a header and no row; {WHAT}")
    points = [to_point(file, number, row) for number, row in enumerate(rows, 1)]
    seen: set[str] = set()
    for number, point in enumerate(points, 1):
        if point.point_id in seen:
            raise PointsError(f"{file}, row {number}: the point_id {point.point_id!r} is there already; give each point its own")
        seen.add(point.point_id)
    return points


def read_csv(file: Path, what: str = WHAT) -> tuple[Sequence[str], list[dict[str, str]]]:
    """The header and the rows of a CSV file, as texts. `what` says what it should have been."""
    if file.exists() and not file.is_file():
        raise PointsError(f"{file} is a directory, a device or a pipe; {what}")
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restval="", strict=True)
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = list(reader)
    except FileNotFoundError:
        raise PointsError(f"there is no file {file}; {what}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise PointsError(f"{file} cannot be read ({in_words(problem)}); {what}") from None
    for number, row in enumerate(rows, 1):
        if None in row:
            raise PointsError(f"{file}, row {number}: it has more cells than the {len(columns)} columns; quote texts that hold commas")
    return columns, rows


def unknown_columns(columns: Iterable[str]) -> list[str]:
    """Those that no points file has."""
    return sorted(name for name in columns if name not in {*TEXTS, *NUMBERS, *MEASURED, *NOT_READ})


def check_columns(file: Path, columns: Sequence[str]) -> None:
    if not columns:
        raise PointsError(f"{file} is empty; {WHAT}")
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise PointsError(f"{file} has the column {twice[0]!r} twice; leave one out")
    for name in REQUIRED:
        if name not in columns:
            raise PointsError(f"{file} has no column {name!r}, which every point needs; its columns: {nearest(name, columns)}")
    if not set(MEASURED) & set(columns):
        raise PointsError(f"{file} has no measured column, so there is nothing to compare; give one of {', '.join(MEASURED)}")


def to_point(file: Path, number: int, row: Row) -> Point:
    for name in REQUIRED:
        if not row[name].strip() and name == "point_id":
            raise PointsError(f"{file}, row {number}: {name} is empty; every point needs one")
    texts = {name: row[name].strip() for name in TEXTS if row.get(name, "").strip()}
    cells = {name: row[name].strip() for name in (*NUMBERS, *MEASURED) if row.get(name, "").strip()}
    known = {name: value for name, text in cells.items() if (value := possible(text)) is not None}
    faults = [not_a_number(name, text) for name, text in cells.items() if name not in known]
    measured = {metric: known[column.name] * column.factor for metric, column in METRICS.items() if column.name in known}
    numbers = {name: known[name] for name in NUMBERS if name in known}
    names = {name: texts.pop(name, "") for name in REQUIRED}
    fault = faults[0] if faults else ""
    return Point(names["point_id"], names["model"], names["gpu"], measured, fault=fault, **texts, **numbers)  # type: ignore[arg-type]  # by their names


def to_number(file: Path, number: int, column: str, text: str) -> float:
    """Where a row without it says nothing."""
    value = possible(text)
    if value is None:
        raise PointsError(f"{file}, row {number}: {column} is {text.strip()!r}; it must be a number, 0 or more")
    return value


def possible(text: str) -> float | None:
    """The number, if it is one that can be measured or set."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) and value >= 0 else None


def not_a_number(column: str, text: str) -> str:
    return f"{column} is {text!r}; it must be a number, 0 or more, or empty"
