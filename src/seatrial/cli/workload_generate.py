"""`seatrial workload generate`: a trace made from parameters."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pyarrow as pa
from cyclopts import Parameter

from seatrial.cli.output import progress, say
from seatrial.core.errors import ScenarioError, WorkloadError
from seatrial.core.request import Workload
from seatrial.trial.scenario import BUILTIN
from seatrial.trial.yaml_file import read_yaml
from seatrial.workload.convert import WRITERS, check_out, replacing
from seatrial.workload.formats.layout import TIDY_SCHEMA
from seatrial.workload.formats.values import MOST_TOKENS
from seatrial.workload.generate import generate as generated
from seatrial.workload.spec import read_spec

Said = dict[str, Any]  # what a file or a flag says, before the spec's own door has checked it
Tokens = Annotated[float | None, Parameter(help="mean length, in tokens; lengths are lognormal unless the file says gamma")]
Spread = Annotated[float | None, Parameter(help="coefficient of variation of the lengths; 0 makes them all alike")]


def generate(
    spec: Annotated[Path | None, Parameter(help="a YAML file with the key `workload`; without one, the traffic of `seatrial run`")] = None,
    /,
    *,
    out: Annotated[Path, Parameter(help="the file to write, as its name ends: .parquet, .csv or .jsonl (Mooncake)")],
    seed: Annotated[int | None, Parameter(help="of all chance; else that of the file, or 0")] = None,
    num_requests: Annotated[int | None, Parameter(help="how many requests")] = None,
    duration: Annotated[float | None, Parameter(help="seconds, in place of a number of requests")] = None,
    arrivals: Annotated[Literal["poisson", "gamma", "weibull", "constant"] | None, Parameter(help="how requests come")] = None,
    rate: Annotated[float | None, Parameter(help="requests per second")] = None,
    cv: Annotated[float | None, Parameter(help="of the gaps between arrivals: 1 is Poisson, above is burstier")] = None,
    input_mean: Tokens = None,
    input_cv: Spread = None,
    output_mean: Tokens = None,
    output_cv: Spread = None,
    correlation: Annotated[float | None, Parameter(help="rank correlation of input and output, from -1 to 1")] = None,
) -> None:
    base = read_base(spec or BUILTIN)
    said = dict(base.workload)
    if num_requests is not None or duration is not None:
        said |= {"num_requests": num_requests, "duration": duration}
    if not (arrivals is None and rate is None and cv is None):
        said["arrivals"] = changed_arrivals(said.get("arrivals"), arrivals, rate, cv)
    said["input"] = changed_lengths(said.get("input"), input_mean, input_cv)
    said["output"] = changed_lengths(said.get("output"), output_mean, output_cv)
    if correlation is not None:
        said["correlation"] = correlation
    said = given(said)
    checked = read_spec(said, str(spec) if said == given(base.workload) else "the flags")
    workload = generated(checked, base.seed if seed is None else seed)
    say(f"{out}: {write_trace(workload, out):,} requests")


# What the file says


class Base(NamedTuple):
    workload: Said
    seed: int


def read_base(file: Path) -> Base:
    """The workload of a scenario or of a fragment, unchecked, and the scenario's seed. Other keys are not looked at."""
    content = read_yaml(file)
    if not isinstance(content, dict) or not isinstance(content.get("workload"), dict):
        raise ScenarioError(f"{file} has no mapping 'workload', which says how requests are made (docs/workloads-generated.md)")
    workload, seed = content["workload"], content.get("seed", 0)
    if "trace" in workload:
        raise ScenarioError(f"{file}: its workload is the trace {workload['trace']}, which is there already; `workload convert` copies it")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ScenarioError(f"{file}: seed must be a whole number, not {seed!r}")
    return Base(workload, seed)


# What the flags change


def changed_arrivals(current: Said | None, process: str | None, rate: float | None, cv: float | None) -> Said:
    """Another process starts from the rate of the one before, where that has one."""
    made = dict(current or {})
    if process is None and cv is not None and made.get("process") in (None, "poisson"):
        process = "gamma"
    if process is not None:
        made = {"process": process} | {key: made[key] for key in ("rate",) if key in made}
    kind = made.get("process")
    if rate is not None and kind == "on-off":
        raise ScenarioError("--rate cannot change on-off arrivals, whose rates are rate_on and rate_off; change them in the file")
    if cv is not None and kind not in ("gamma", "weibull", "windowed-gamma"):
        raise ScenarioError(f"--cv {cv:g} is not for {kind} arrivals; give --arrivals gamma or weibull")
    return made | given({"rate": rate, "cv": cv})


def changed_lengths(current: Said | None, mean: float | None, cv: float | None) -> Any:
    """Bounds of the file fall with its mean, since they were made for that."""
    if mean is None and cv is None:
        return current
    before = current if isinstance(current, dict) and current.get("distribution") in ("lognormal", "gamma") else {}
    made = {"distribution": "lognormal", "cv": 1.0} | before | given({"mean": mean, "cv": cv})
    if mean is not None:
        made = {key: value for key, value in made.items() if key not in ("min", "max")}
    return {"distribution": "fixed", "value": made.get("mean")} if made["cv"] == 0 else made


def given(said: Said) -> Said:
    return {key: value for key, value in said.items() if value is not None}


# What is written


def write_trace(workload: Workload, out: Path) -> int:
    """Writes the requests as they are made, to a file that is there when it is whole; how many there were."""
    if workload.has_follow_ups:
        raise WorkloadError(
            "sessions and closed loops cannot be written as a trace, since when their requests come depends on the answers; "
            "give the file to `seatrial run`"
        )
    check_out(out)
    with progress("generating", workload.num_requests) as advance, replacing(out) as unfinished:
        num_requests = WRITERS[out.suffix](tables(workload, advance), COLUMNS, unfinished)
        if not num_requests:
            raise WorkloadError("no request comes within the duration; give a longer one, or a higher rate")
    return num_requests


COLUMNS = ("row", "arrival_s", "input_tokens", "output_tokens")


def tables(workload: Workload, advance: Callable[[float], None]) -> Iterator[pa.Table]:
    num_made = 0
    for chunk in workload.chunks():
        if (longest := max(chunk.num_prompt_tokens.max(), chunk.num_output_tokens.max())) > MOST_TOKENS:
            raise WorkloadError(f"a length of {longest:,} tokens is more than a trace can hold ({MOST_TOKENS:,}); give the lengths a 'max'")
        columns = dict(zip(COLUMNS, (chunk.row, chunk.arrival_time, chunk.num_prompt_tokens, chunk.num_output_tokens)))
        absent = {field.name: pa.nulls(len(chunk), field.type) for field in TIDY_SCHEMA if field.name not in columns}
        yield pa.table(columns | absent).select(TIDY_SCHEMA.names).cast(TIDY_SCHEMA)
        num_made += len(chunk)
        advance(num_made)
