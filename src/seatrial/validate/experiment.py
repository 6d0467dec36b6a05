"""Experiments: points that one run answers, made ready."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from seatrial.core.errors import SeatrialError
from seatrial.validate.assumptions import Answers, read_assumptions
from seatrial.validate.names import Names, read_names
from seatrial.validate.observe import Window
from seatrial.validate.point import Point
from seatrial.validate.system import System, on_or_off, system_of
from seatrial.validate.traffic import Traffic, Users, tells_prefixes, traffic_of


@dataclass(frozen=True, slots=True)
class Experiment:
    """One run: a system under a traffic whose clients give up after `client_timeout` seconds.

    `windows` has each point that it answers, and what of the run that point is about.
    """

    system: System
    traffic: Traffic
    seed: int
    client_timeout: float | None
    windows: tuple[tuple[str, Window], ...]

    @property
    def key(self) -> str:
        """The same for the same run and windows, and for no other."""
        told = [self.system.model, self.system.pool.model_dump(), type(self.traffic).__name__, asdict(self.traffic), self.seed]
        told.append(self.client_timeout)
        windows = [[point_id, asdict(window)] for point_id, window in self.windows]
        return hashlib.sha256(json.dumps([told, windows], sort_keys=True).encode()).hexdigest()[:24]

    @property
    def effort(self) -> float:
        """About how long it takes, relative to others: a step or two per request, which cost more the more there are at a time."""
        return self.traffic.num_requests * (2.0 if isinstance(self.traffic, Users) else 1.0)


class Skipped(NamedTuple):
    point_id: str
    reason: str


class Prepared(NamedTuple):
    """`systems` has the system of each point that will be run, `assumed` the names of the assumptions made for it."""

    experiments: list[Experiment]
    skipped: list[Skipped]
    systems: dict[str, System]
    assumed: dict[str, tuple[str, ...]]


def prepare(
    points: Iterable[Point],
    *,
    names: Names | None = None,
    requests: Sequence[Path] = (),
    must_find: bool = False,
    seed: int = 0,
) -> Prepared:
    """Decide for each point what is to be run, or why nothing is. `requests` are the folders where recorded requests may be."""
    names = read_names() if names is None else names
    prepared = Prepared([], [], {}, {})
    runs: dict[tuple[System, Traffic, float | None], list[tuple[str, Window]]] = {}
    for point in points:
        answers = Answers(point, read_assumptions())
        try:
            if point.fault:
                raise SeatrialError(point.fault)
            system = system_of(point, names, answers)
            traffic = traffic_of(point, answers, tuple(requests), must_find=must_find)
            if tells_prefixes(traffic) and on_or_off(point.prefix_caching, answers) is not False:
                system = system.with_prefix_caching()
            window = window_of_point(point, answers)
            if not point.measured:
                raise SeatrialError("it has no measured figure that is compared")
        except SeatrialError as reason:
            prepared.skipped.append(Skipped(point.point_id, str(reason)))
            continue
        runs.setdefault((system, traffic, window.client_timeout), []).append((point.point_id, window))
        prepared.systems[point.point_id] = system
        prepared.assumed[point.point_id] = tuple(sorted(answers.used))
    for (system, traffic, timeout), windows in runs.items():
        prepared.experiments.append(Experiment(system, traffic, seed, timeout, tuple(windows)))
    return prepared


def window_of_point(point: Point, answers: Answers) -> Window:
    timeout = point.client_timeout_s if point.client_timeout_s is not None else answers.get("client_timeout")
    return Window(
        stage=point.stage,
        engine_clock=answers.get("engine_clock", False),
        client_timeout=None if timeout is None else float(timeout),
        tpot_of_whole_answer=answers.get("tpot_of_whole_answer", False),
    )
