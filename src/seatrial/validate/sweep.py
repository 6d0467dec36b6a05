"""All experiments of a validation, over several processes, with what is finished kept for the next time."""

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO

import seatrial
from seatrial.validate.experiment import Experiment
from seatrial.validate.predict import Prediction, predict_one
from seatrial.validate.workers import workers
from seatrial.version import __version__

Progress = Callable[[float], None]


def sweep(experiments: Sequence[Experiment], *, jobs: int, journal: "Journal | None" = None, progress: Progress) -> dict[str, Prediction]:
    """The prediction of every point. `progress` hears how many requests have been simulated.

    With a journal, what it holds is not run again, and whatever ends this early leaves it whole.
    """
    kept = journal.predictions if journal is not None else {}
    found = {prediction.point_id: prediction for experiment in experiments for prediction in kept.get(experiment.key, ())}
    waiting = [experiment for experiment in experiments if experiment.key not in kept]
    done = sum(experiment.effort for experiment in experiments) - sum(experiment.effort for experiment in waiting)
    progress(done)
    waiting.sort(key=lambda experiment: experiment.effort, reverse=True)  # the longest first, so that all end together
    with closing(run(waiting, jobs)) as finished:
        for experiment, predictions in finished:
            if journal is not None:
                journal.write(experiment, predictions)
            found.update((prediction.point_id, prediction) for prediction in predictions)
            done += experiment.effort
            progress(done)
    return found


def run(experiments: Sequence[Experiment], jobs: int) -> Generator[tuple[Experiment, list[Prediction]], None, None]:
    """Each experiment with its predictions, as they end. Closing it early drops those that have not ended."""
    if jobs == 1 or len(experiments) < 2:
        yield from ((experiment, predict_one(experiment)) for experiment in experiments)
        return
    with workers(min(jobs, len(experiments))) as pool:
        yield from ((experiments[place], predictions) for place, predictions in pool.run(predict_one, experiments))


class Journal:
    """What is finished, a line for each experiment. Alive: it grows with `write`.

    The first line says by which version of the code; a journal of another one is started afresh.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.predictions: dict[str, list[Prediction]] = {}
        header = {"seatrial": __version__, "code": code_digest()}
        lines = read_lines(file)
        if lines[:1] == [header]:
            for line in lines[1:]:
                self.predictions[str(line["key"])] = [Prediction(*fields) for fields in line["points"]]
        part = file.with_suffix(".part")
        with part.open("w", encoding="utf-8") as stream:  # anew, without a last line that was cut off
            for line in [header, *(lines[1:] if self.predictions else [])]:
                stream.write(json.dumps(line) + "\n")
        part.replace(file)
        self._stream: TextIO = file.open("a", encoding="utf-8")

    def write(self, experiment: Experiment, predictions: Sequence[Prediction]) -> None:
        self.predictions[experiment.key] = list(predictions)
        self._stream.write(json.dumps({"key": experiment.key, "points": predictions}) + "\n")
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()


def read_lines(file: Path) -> list[dict[str, Any]]:  # Any: as `Journal` wrote it
    """The whole lines of a journal; none where there is no file."""
    if not file.is_file():
        return []
    lines = []
    for text in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:  # cut off in the middle of writing
            break
    return lines


def code_digest() -> str:
    """Of the package as it lies there, data included: a changed formula is another version, whatever its number says."""
    folder = Path(seatrial.__path__[0])
    digest = sha256()
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".py", ".toml", ".yaml", ".json", ".parquet", ".csv"):
            digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:24]
