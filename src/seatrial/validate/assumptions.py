"""What is assumed where a source does not say how its server or its client was set."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from seatrial.trial.yaml_file import read_yaml
from seatrial.validate.point import Point
from seatrial.workload.spec import Spec

FILE = Path(__file__).parent / "data" / "assumptions.yaml"


class Assumption(Spec):
    """`set` holds for the points in each of whose columns in `when` that regular expression is found, whatever its case.

    What a point states itself wins.
    Without `when` it is code that decides where it is made.
    """

    name: str
    when: dict[str, str] | None = None
    set: dict[str, str | int | float | bool] = {}  # noqa: RUF012  # pydantic copies it
    why: str

    def holds(self, point: Point) -> bool:
        return self.when is not None and fits(self.when, point)


def fits(when: Mapping[str, str], point: Point) -> bool:
    """Whether in each of these columns of the point that regular expression is found, whatever its case."""
    return all(re.search(pattern, getattr(point, column), re.IGNORECASE) for column, pattern in when.items())


class Answers:
    """What the assumptions answer about one point. Alive: `used` grows by the names of those that were asked for."""

    def __init__(self, point: Point, assumptions: Sequence[Assumption]) -> None:
        self._holding = [assumption for assumption in assumptions if assumption.holds(point)]
        self.used: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:  # Any: as the key needs it, checked where it is used
        """The answer of the first assumption that has one; asking for it counts as using it."""
        for assumption in self._holding:
            if key in assumption.set:
                self.used.add(assumption.name)
                return assumption.set[key]
        return default

    def note(self, name: str) -> None:
        """Something was assumed that code decides."""
        self.used.add(name)


@cache
def read_assumptions() -> tuple[Assumption, ...]:
    """Those that we ship, the first of two that answer the same wins."""
    content = read_yaml(FILE)
    assert isinstance(content, list)
    return tuple(Assumption.model_validate(entry) for entry in content)


def texts() -> dict[str, str]:
    """Why each is made, by its name."""
    return {assumption.name: assumption.why for assumption in read_assumptions()}
