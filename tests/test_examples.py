"""Every example runs, at a small size and with the laws checked."""

from pathlib import Path

import pytest

from seatrial.trial.run import resolve, run_trial
from seatrial.trial.scenario import read_scenario

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_it_runs_and_every_law_holds(file):
    scenario = read_scenario(file)
    small = scenario.workload.model_copy(update={"num_requests": 200, "duration": None})
    summary = run_trial(resolve(scenario.model_copy(update={"workload": small, "warmup": 0.0, "cooldown": 0.0})), audit=True)
    assert summary.num_completed == 200
    assert f"seatrial run examples/{file.name}" in file.read_text(encoding="utf-8")
