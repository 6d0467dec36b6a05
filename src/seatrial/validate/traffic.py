"""Which requests a point's client sent, as values: enough to make them again."""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from math import ceil, floor
from pathlib import Path

from seatrial.validate.assumptions import Answers
from seatrial.validate.point import Point
from seatrial.validate.unsimulated import Unsimulated


@dataclass(frozen=True, slots=True)
class Lengths:
    """Whole tokens from `low` to `high`, all alike likely."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Prompts:
    """`num_distinct` prompts that are sent over and over in one order; each of `num_groups` begins with `num_shared_tokens` of its own."""

    num_distinct: int
    num_groups: int
    num_shared_tokens: int


@dataclass(frozen=True, slots=True)
class Stages:
    """Open-loop stages: exponential gaps, rescaled so that each holds exactly rate x duration requests.

    A stage starts `drain_gap` seconds after the last answer to the one before.
    """

    rates: tuple[float, ...]
    durations: tuple[float, ...]
    input: Lengths
    output: Lengths
    prompts: Prompts | None = None
    drain_gap: float = 0.0

    @property
    def num_requests(self) -> int:
        return sum(round(rate * duration) for rate, duration in zip(self.rates, self.durations))


@dataclass(frozen=True, slots=True)
class Users:
    """A closed loop: `concurrency` users start at once and ask again after each answer, `num_requests` times in all."""

    concurrency: int
    num_requests: int
    input: Lengths
    output: Lengths


@dataclass(frozen=True, slots=True)
class Burst:
    """All requests at time zero."""

    num_requests: int
    input: Lengths
    output: Lengths


@dataclass(frozen=True, slots=True)
class Recorded:
    """Requests of a file, at their own times; `prompts` says how those that share a `prompt_id` begin.

    Of a trace that several replicas shared in turn, `share` is (which, of how many), and `output_scale` makes the answers as long
    as those that were really given.
    """

    file: str
    digest: str  # of its content
    num_requests: int
    prompts: Prompts | None = None
    share: tuple[int, int] = (0, 1)
    output_scale: float = 1.0


Traffic = Stages | Users | Burst | Recorded


def traffic_of(point: Point, answers: Answers, folders: tuple[Path, ...], *, must_find: bool) -> Traffic:
    """The traffic of a point. `folders` are where its requests file may be; with `must_find` it is not made up where it is missing."""
    if point.requests_file and (found := recorded(point, answers, folders, must_find=must_find)) is not None:
        return found
    prompt, output = lengths(point, "input", answers), lengths(point, "output", answers)
    if point.kind.startswith("offline") or point.arrival.startswith(("all", "one static batch")):
        return Burst(int(point.num_requests or point.concurrency or 1), prompt, output)
    if point.concurrency is not None:
        users = int(point.concurrency)
        per_user = 0 if point.num_requests is not None else answers.get("requests_per_user", 10)
        num_requests = int(users * per_user if point.num_requests is None else point.num_requests)
        if users < 1 or num_requests < 1:
            raise Unsimulated(f"it asks no request: its concurrency is {users} and its num_requests {num_requests}")
        return Users(users, num_requests, prompt, output)
    rates, durations = stages(point)
    return Stages(rates, durations, prompt, output, prompts_of(point), float(answers.get("drain_gap", 0.0)))


def tells_prefixes(traffic: Traffic) -> bool:
    """Whether it is known which prompts begin alike."""
    return isinstance(traffic, Stages | Recorded) and traffic.prompts is not None


def stages(point: Point) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Rates and durations of the whole run."""
    if point.stage_rates_rps and point.stage_durations_s:
        rates, durations = numbers(point.stage_rates_rps), numbers(point.stage_durations_s)
        if len(rates) == len(durations) and rates and min(*rates, *durations) > 0:
            if any(round(rate * duration) < 1 for rate, duration in zip(rates, durations)):
                raise Unsimulated("a stage of it asks no request: rate times duration is less than half of one")
            return rates, durations
        raise Unsimulated("stage_rates_rps and stage_durations_s are not two lists of as many numbers above 0")
    if point.rate_rps and point.num_requests:
        return (point.rate_rps,), (point.num_requests / point.rate_rps,)
    raise Unsimulated("neither the rate and number of its requests nor its concurrency are stated")


def numbers(text: str) -> tuple[float, ...]:
    try:
        found = json.loads(text)
        return tuple(float(value) for value in (found if isinstance(found, list) else [found]))
    except (ValueError, TypeError):
        raise Unsimulated(f"{text!r} is no list of numbers like [5, 10]") from None


def lengths(point: Point, what: str, answers: Answers) -> Lengths:
    """From least to greatest where both are stated; else the mean, or the greatest alone."""
    mean, low, high = (getattr(point, f"{what}_{end}") for end in ("mean", "min", "max"))
    if low is not None and high is not None and 0 < low <= high:
        if mean is not None and abs(mean - (low + high) / 2) > UNEVEN * mean:
            answers.note("uniform-lengths")
        return Lengths(floor(low), ceil(high))
    value = mean if mean is not None else high
    if value is None or value < 1:
        raise Unsimulated("the lengths of its requests are not stated")
    return Lengths(round(value), round(value))


UNEVEN = 0.02  # of a mean, that lengths evenly drawn may be off by

PROMPTS = re.compile(r"(\d+) distinct prompts = (\d+) groups? x \d+ \(shared system prompt of (\d+)")
WRITTEN = re.compile(r"(\d+)\+(\d+) random tokens")


def prompts_of(point: Point) -> Prompts | None:
    """From words like `100 distinct prompts = 10 groups x 10 (shared system prompt of 100 tokens ...)`; None where all differ.

    The server counts more tokens than the client wrote: the shared part is longer in the same proportion.
    """
    if (found := PROMPTS.search(point.prefix_structure)) is None:
        return None
    distinct, groups, shared = (int(word) for word in found.groups())
    if (written := WRITTEN.search(point.input_spec)) and point.input_mean:
        client = sum(int(word) for word in written.groups())
        shared = round(shared * max(point.input_mean, point.input_max or 0) / client) if client else shared
    return Prompts(distinct, groups, shared)


# Recorded requests


def recorded(point: Point, answers: Answers, folders: tuple[Path, ...], *, must_find: bool) -> Recorded | None:
    """None where the file is not at hand and the workload can be made up from the row."""
    file = located(point.requests_file, folders)
    if file is None:
        if must_find or not point.stage_rates_rps:
            raise Unsimulated(f"its requests file {Path(point.requests_file).name} is not there; --requests DIR says where to look")
        answers.note("arrivals-drawn")
        return None
    if "agentic" in file.stem:
        raise Unsimulated("a replay of agents' turns needs what their prompts have in common, which its requests file does not say")
    which, scale = (0, 1), 1.0
    if (shared := re.search(r"(\d+)DP\d*TP_(\d+)", point.exp_id)) and answers.get("share_in_name", False):
        which = (int(shared.group(2)), int(shared.group(1)))
    num_requests, output = requests_in(file, *which)
    if (served := re.search(r"served output tokens (\d+)", point.notes)) and answers.get("served_in_notes", False):
        scale = int(served.group(1)) / output
    return Recorded(str(file), digest_of(file), num_requests, prompts_of(point), which, scale)


def located(name: str, folders: tuple[Path, ...]) -> Path | None:
    """The file of that path or name in one of the folders."""
    places = [folder / part for folder in folders for part in (name, Path(name).name)]
    return next((place.resolve() for place in places if place.is_file()), None)


@cache
def digest_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


@cache
def requests_in(file: Path, which: int, of: int) -> tuple[int, int]:
    """How many of a file's requests one of several replicas gets in turn, and their output tokens."""
    from seatrial.validate.requests_file import requests_table  # only who has recorded requests waits for pyarrow

    output = requests_table(str(file))["output_tokens"].to_numpy()[which::of]
    return len(output), int(output.sum())
