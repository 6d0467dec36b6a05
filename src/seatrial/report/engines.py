"""Engine profiles for people: all that are known, or every number of one."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from seatrial.core.engine_profile import EngineProfile, Setting
from seatrial.report.tables import NOTHING, paragraph, table

LEGEND = (
    "Milliseconds that the engine adds to each step, to a step with prompts, and to a request before it is scheduled; whether it plans a "
    "step while the one before it runs. A version that is not listed has the profile of the nearest before it. "
    "`seatrial catalog engines NAME` gives every number of one with its source and date."
)


def engines_report(known: Sequence[EngineProfile]) -> Iterator[RenderableType]:
    made = table("<engine", "<scheduler", "<async", "step", "prompts", "request")
    for each in known:
        times = (each.per_step, each.per_prompt_step, each.before_request)
        made.add_row(
            each.name, each.scheduler, said(each.defaults.get("async_scheduling", False)), *(f"{1e3 * time:.2f}" for time in times)
        )
    yield made
    yield paragraph(f"{len(known)} engines. {LEGEND}")


def engine_report(found: EngineProfile) -> Iterator[RenderableType]:
    yield paragraph(found.scheduler, label="scheduler  ")
    made = table("<figure", "value", "<date", "<source")
    made.padding = (0, 1, 0, 0)
    made.columns[-1].no_wrap = False
    numbers = {name: getattr(found, name) for name in found.sources if hasattr(found, name)}
    for name, value in (numbers | dict(found.defaults)).items():
        fact = found.sources[name]
        made.add_row(name, said(value), fact.date, fact.source)
    yield made


def said(value: Setting | None) -> str:
    if value is None:
        return NOTHING
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value:.4g}" if isinstance(value, float) else f"{value:,}"
