"""The directory of a validation: its journal from the start, its results at the end."""

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from seatrial.core.errors import PointsError, in_words
from seatrial.validate.accuracy import Error
from seatrial.validate.validation import GROUPINGS, Validation

JOURNAL = "finished.jsonl"
RESULTS = ("errors.csv", "points.parquet", "summary.json", "parity.png", "validation.html")


def opened(folder: Path) -> Path:
    """The directory, made if need be; one that holds anything else than a validation is refused."""
    folder = folder.expanduser().resolve()
    if folder.exists() and not folder.is_dir():
        raise PointsError(f"--out {folder} is a file; give a directory")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = sorted({entry.name for entry in folder.iterdir()} - {JOURNAL, *RESULTS})
    except OSError as problem:
        raise PointsError(f"--out {folder} cannot be written ({in_words(problem)}); give another place") from None
    foreign = [name for name in foreign if not name.endswith(".part")]
    if foreign:
        raise PointsError(f"--out {folder} also holds {foreign[0]}, which no validation wrote; give a new directory, or an earlier one's")
    return folder


def write_results(folder: Path, validation: Validation) -> None:
    """The tables; each is whole or not there."""
    with replacing(folder / "summary.json") as file:
        file.write_text(json.dumps(validation.as_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    with replacing(folder / "errors.csv") as file, file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["grouping", "value", "metric", *Error._fields])
        writer.writerows(error_rows(validation))
    with replacing(folder / "points.parquet") as file:
        pq.write_table(pa.Table.from_pylist(list(point_rows(validation)), SCHEMA), file)


def error_rows(validation: Validation) -> Iterator[list[object]]:
    """Of all points, then of each group."""
    groups = {"all": {"all": validation.errors}} | validation.groups()
    for grouping, values in groups.items():
        for value, found in values.items():
            for metric, error in found.items():
                yield [grouping, value, metric, *(f"{part:.4f}" if isinstance(part, float) else part for part in error)]


FIGURES = ("predicted", "actual", "signed_pct")
SCHEMA = pa.schema(
    [("point_id", pa.string()), ("metric", pa.string()), *((name, pa.float64()) for name in FIGURES)]
    + [(name, pa.string()) for name in (*GROUPINGS, "exp_id", "stage", "skipped")]
)


def point_rows(validation: Validation) -> Iterable[dict[str, object]]:
    """A row per point and metric, and one with the reason per point that was skipped."""
    for compared in validation.points:
        point = compared.point
        about = {name: key(compared) for name, key in GROUPINGS.items()}
        about |= {"point_id": point.point_id, "exp_id": point.exp_id, "stage": point.stage}
        for metric, pair in compared.pairs.items():
            signed = pair.signed_pct if pair.actual > 0 else None
            yield about | {"metric": metric, "predicted": pair.predicted, "actual": pair.actual, "signed_pct": signed}
    for point_id, reason in validation.skipped:
        yield {"point_id": point_id, "skipped": reason}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write, which takes the name `path` when all went well; else nothing is left of it."""
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
