"""`seatrial explain`: where the milliseconds of a step go, and why the KV cache is as large as it is."""

from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import Group, Parameter

from seatrial.cli.flags import Json
from seatrial.cli.output import console, note, print_json
from seatrial.cli.scenario_flags import Count, ReplicaFlags, ScenarioFile, whole
from seatrial.core.curves import Confidence, Estimate
from seatrial.core.errors import ScenarioError, nearest
from seatrial.cost import OperatorTime
from seatrial.trial.changes import changed
from seatrial.trial.notes import setup_notes
from seatrial.trial.outcome import described_replica
from seatrial.trial.probe import Step, kv_facts, peaks, probe, step_notes
from seatrial.trial.scenario import Scenario, builtin_scenario, read_scenario
from seatrial.trial.setup import ReplicaSetup, resolve_replica

BATCH = Group("Batch", sort_key=1)
Decodes = Annotated[
    int | None,
    Parameter(converter=whole(0), group=BATCH, help="sequences that each take one token; without any batch: 32, and a prompt on its own"),
]
Context = Annotated[int, Count, Parameter(group=BATCH, help="tokens of each of them, the new one included")]
PromptTokens = Annotated[int | None, Parameter(converter=whole(0), group=BATCH, help="tokens of a prompt, or of a chunk of one")]
PromptOffset = Annotated[int, Parameter(converter=whole(0), group=BATCH, help="tokens of that prompt that are computed already")]
NOTHING_SAID = ReplicaFlags()


def explain(
    scenario: ScenarioFile = None,
    /,
    *,
    decodes: Decodes = None,
    context: Context = 1000,
    prompt_tokens: PromptTokens = None,
    prompt_offset: PromptOffset = 0,
    replica: ReplicaFlags = NOTHING_SAID,
    pool: Annotated[str | None, Parameter(help="of several pools the one to explain; without it, the first")] = None,
    json: Json = False,
) -> None:
    """Without --decodes and --prompt-tokens two steps are shown: 32 decodes, and one prompt of 1,000 tokens."""
    asked = first_pool(builtin_scenario() if scenario is None else read_scenario(scenario), pool)
    if pool is None and len(asked.pools) > 1:
        note(f"this is the pool {asked.pool.name!r}, the first of {len(asked.pools)}; --pool chooses another")
    asked = changed(asked, top=replica.top(), pool=replica.pool(), workload={})
    setup = resolve_replica(asked)
    if decodes is None and prompt_tokens is None:
        steps = [probe(setup, 32, context, 0, 0), probe(setup, 0, context, 1000, prompt_offset)]
    else:
        steps = [probe(setup, decodes or 0, context, prompt_tokens or 0, prompt_offset)]
    if json:
        print_json(explained(setup, asked.cost, steps, context))
        return
    from seatrial.report.explain_report import explain_report  # brings rich, which --json need not wait for

    console().print(explain_report(setup, steps, context))


def first_pool(scenario: Scenario, name: str | None) -> Scenario:
    """With the pool of this name, which the flags then change, before the others."""
    if name is None:
        return scenario
    names = [pool.name for pool in scenario.pools]
    if name not in names:
        raise ScenarioError(f"the scenario has no pool {name!r}; {nearest(name, names)}")
    chosen = scenario.pools[names.index(name)]
    return scenario.model_copy(update={"pools": [chosen, *(pool for pool in scenario.pools if pool is not chosen)]})


def explained(setup: ReplicaSetup, cost: str, steps: list[Step], context: int) -> dict[str, Any]:  # Any: as nested as JSON is
    rates, facts = peaks(setup), kv_facts(setup, context)
    return {
        "replica": described_replica(setup, cost),
        "steps": [
            {
                "name": step.name,
                "batch": step.batch._asdict(),
                "step_time_s": step.seconds,
                "operators": [operator_figures(part) for part in step.operators],
                "confidence": step.confidence and estimate_figures(step.confidence) | {"share": step.confidence.share},
            }
            for step in steps
        ],
        "peaks": rates and rates._asdict() | {"ridge": rates.ridge},
        "kv_cache": asdict(setup.capacity) | {"capacity_tokens": setup.capacity.capacity_tokens} | facts._asdict(),
        "notes": [*step_notes(setup, steps), *setup_notes(setup)],
    }


def operator_figures(part: OperatorTime) -> dict[str, object]:
    return asdict(part) | {"estimate": part.estimate and estimate_figures(part.estimate)}


def estimate_figures(known: Estimate | Confidence) -> dict[str, object]:
    return known._asdict() | {"error": known.error._asdict()}
