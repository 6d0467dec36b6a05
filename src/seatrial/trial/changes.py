"""What flags change in a scenario."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seatrial.core.errors import ScenarioError
from seatrial.policy.schedulers import unused_options
from seatrial.trial.scenario import Scenario, parse_scenario

Said = Mapping[str, Any]  # Any: as a file or a flag gives it; the scenario's own door checks every value

ONLY_FOR_TRACES = {"format": "--format", "columns": "--column", "speedup": "--speedup"}
"""Keys of a workload, and the flags that say them."""


def changed(scenario: Scenario, *, top: Said, pool: Said, workload: Said, where: str = "the flags") -> Scenario:
    """The scenario with what is given, by its keys; a value of None is not given. Paths are relative to the current directory.

    `workload` may have the keys of a trace and `concurrency` and `think_time`. A new trace takes the place of the whole workload.
    """
    top, pool, workload = _given(top), _given(pool), _given(workload)
    if not (top or pool or workload):
        return scenario
    content = scenario.model_dump(exclude_none=True) | top
    content["pools"] = [_changed_pool(content["pools"][0], pool), *content["pools"][1:]]
    content["workload"] = _changed_workload(content["workload"], workload)
    return parse_scenario(content, where, Path.cwd())


def _given(said: Said) -> dict[str, Any]:
    return {key: value for key, value in said.items() if value is not None}


def _changed_pool(current: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """Another scheduler does not inherit what the file tells the one before it, and it has no use for."""
    if "engine" in said:
        current = {key: value for key, value in current.items() if key != "scheduler"}
    if "scheduler" in said:
        unused = unused_options(said["scheduler"])
        current = {key: value for key, value in current.items() if key not in unused}
    return current | said


def _changed_workload(current: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    paces = [f"--{key}" for key in ("rate", "speedup", "concurrency") if key in said]
    if len(paces) > 1:
        raise ScenarioError(f"{' and '.join(paces)} each set the pace of the requests; give one of them")
    if "trace" in said:
        current = {"trace": said["trace"]}
    if "trace" in current:
        return _changed_trace(current, said)
    if for_traces := [flag for key, flag in ONLY_FOR_TRACES.items() if key in said]:
        raise ScenarioError(f"{for_traces[0]} is for traces, and the workload is a generated one; give --trace, or leave it out")
    return _changed_generator(current, said)


def _changed_trace(current: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """A pace that is given takes the place of the one in the file."""
    if {"rate", "speedup", "concurrency"} & said.keys():
        current = {key: value for key, value in current.items() if key not in ("rate", "speedup")}
    if "rate" in said or "speedup" in said:
        current.pop("closed_loop", None)
    plain = {key: value for key, value in said.items() if key not in ("concurrency", "think_time")}
    return current | plain | _changed_loop(current, said)


def _changed_generator(current: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    made = dict(current)
    if "concurrency" in said:
        made.pop("arrivals", None)
    if "rate" in said:
        if "arrivals" not in made:
            raise ScenarioError("--rate is for requests that come by themselves, and the workload is a closed loop; give --concurrency")
        made["arrivals"] = _at_rate(made["arrivals"], said["rate"])
    if "num_requests" in said:
        made.pop("duration", None)
        made["num_requests"] = said["num_requests"]
    if "limit" in said:
        if "duration" in made:
            raise ScenarioError("--limit is for a number of requests, and the workload has a duration; give --num-requests")
        made["num_requests"] = min(made["num_requests"], said["limit"])
    if "timeout" in said:
        made["timeout"] = said["timeout"]
    return made | _changed_loop(made, said)


def _changed_loop(current: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    loop = current.get("closed_loop", {}) | {key: said[key] for key in ("concurrency", "think_time") if key in said}
    if loop and "concurrency" not in loop:
        raise ScenarioError("--think-time is for a closed loop; give --concurrency too")
    return {"closed_loop": loop} if loop else {}


def _at_rate(process: dict[str, Any], rate: float) -> dict[str, Any]:
    """The arrival process at another mean rate, with the same shape."""
    if "rate" in process:
        return process | {"rate": rate}
    mean_on, mean_off = process["mean_on"], process["mean_off"]
    mean = (process["rate_on"] * mean_on + process["rate_off"] * mean_off) / (mean_on + mean_off)
    return process | {key: process[key] * (rate / mean) for key in ("rate_on", "rate_off")}
