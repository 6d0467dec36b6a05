"""`seatrial run`: simulate a scenario, and say what its users would see."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from seatrial.cli.flags import Json
from seatrial.cli.output import console, note, print_json, progress
from seatrial.cli.scenario_flags import FigureFlags, FleetFlags, ReplicaFlags, ScenarioFile, WorkloadFlags
from seatrial.report.timeline import Timeline
from seatrial.trial.changes import changed
from seatrial.trial.outcome import outcome
from seatrial.trial.run import resolve, run_trial
from seatrial.trial.scenario import builtin_scenario, read_scenario

Out = Annotated[Path | None, Parameter(help="a directory for summary.json, requests.parquet and scenario.yaml")]
CheckLaws = Annotated[bool, Parameter(help="check on the way that requests, tokens, blocks and time are conserved", show_default=False)]
NOTHING_SAID = ReplicaFlags(), FleetFlags(), WorkloadFlags(), FigureFlags()


def run(
    scenario: ScenarioFile = None,
    /,
    *,
    replica: ReplicaFlags = NOTHING_SAID[0],
    fleet: FleetFlags = NOTHING_SAID[1],
    workload: WorkloadFlags = NOTHING_SAID[2],
    figures: FigureFlags = NOTHING_SAID[3],
    out: Out = None,
    json: Json = False,
    audit: CheckLaws = False,
) -> None:
    asked = changed(
        builtin_scenario() if scenario is None else read_scenario(scenario),
        top=replica.top() | fleet.top() | workload.top() | figures.top(),
        pool=replica.pool() | fleet.pool(),
        workload=workload.workload(),
    )
    trial = resolve(asked)
    timeline = Timeline()
    with progress("simulating", trial.workload.num_requests) as show:
        summary = run_trial(trial, out=out, audit=audit, progress=show, watch=timeline.add)
    if json:
        found = outcome(trial, summary)
        print_json(found)
        for remark in found["notes"]:
            note(remark)
        return
    from seatrial.report.run_report import run_report  # brings rich, which --json need not wait for

    console().print(run_report(trial, summary, timeline))
