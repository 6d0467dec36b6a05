"""Kinds of points that are judged apart: which belong to each, and how near they should be."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from seatrial.trial.yaml_file import read_yaml
from seatrial.validate.accuracy import Error, errors
from seatrial.validate.assumptions import fits
from seatrial.validate.compared import Compared
from seatrial.validate.point import Point
from seatrial.workload.spec import Spec

FILE = Path(__file__).parent / "data" / "sections.yaml"


class Section(Spec):
    """`goals` are median and p90 (None: none is set) of the error of a metric over the points, `each` is for every single one; per cent.

    With `again` its points are those that fit it, whichever other section they are in.
    """

    name: str
    title: str
    what: str
    when: dict[str, str] = {}  # noqa: RUF012  # pydantic copies it
    metrics: tuple[str, ...]
    goals: dict[str, tuple[float, float | None]] = {}  # noqa: RUF012
    each: dict[str, float] = {}  # noqa: RUF012
    by: tuple[str, ...] = ()
    again: bool = False


OTHERS = Section(
    name="others",
    title="All other points",
    what="Sources that are too small or too loosely stated to be judged by themselves.",
    metrics=("ttft_mean", "tpot_mean", "e2e_mean", "output_tokens_per_s"),
    by=("source", "gpu"),
)


Goal = tuple[float, float | None]
"""Median and p90 of the size of an error, per cent; None where none is set."""


class Goals(Spec):
    """Those of single steps by engine and metric, of what a fit left out by the fit and by what that is, of each overloaded run, and of
    ratios by the kind of change."""

    steps: dict[str, dict[str, Goal]]
    left_out: dict[str, dict[str, dict[str, Goal]]]
    overloaded: dict[str, float]
    ratios: dict[str, Goal]


@cache
def read_goals() -> Goals:
    return Goals.model_validate(read_yaml(FILE.with_name("goals.yaml")), strict=False)


@cache
def read_sections() -> tuple[Section, ...]:
    content = read_yaml(FILE)
    assert isinstance(content, list)
    return tuple(Section.model_validate(entry, strict=False) for entry in content)


class Judged(NamedTuple):
    section: Section
    points: list[Compared]

    @property
    def errors(self) -> dict[str, Error]:
        """In the section's own metrics."""
        found = errors(compared.pairs for compared in self.points)
        return {metric: found[metric] for metric in self.section.metrics if metric in found}


def by_section(points: Iterable[Compared]) -> list[Judged]:
    """Each point in its section, and in those that want it again; sections without points are left out."""
    judged = [Judged(section, []) for section in (*read_sections(), OTHERS)]
    for compared in points:
        own = section_of(compared.point)
        for section, members in judged:
            if section is own or (section.again and fits(section.when, compared.point)):
                members.append(compared)
    return [one for one in judged if one.points]


def section_of(point: Point) -> Section:
    """The first that it fits, of those that do not take points again."""
    return next((section for section in read_sections() if not section.again and fits(section.when, point)), OTHERS)
