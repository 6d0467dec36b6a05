"""The accuracy page's limits: how surely times are known, where it is bad, what is not simulated, what is assumed."""

from collections import Counter
from collections.abc import Iterable, Sequence

from seatrial.core.curves import PROVENANCES
from seatrial.report.markdown import Lines, paragraph, table
from seatrial.report.percent import both, signed
from seatrial.validate.accuracy import errors
from seatrial.validate.compared import Compared
from seatrial.validate.sections import Judged
from seatrial.validate.validation import GROUPINGS, Validation

REASONS_SHOWN = 15
WORST_SHOWN = 10
LEAST_IN_GROUP = 5  # points; fewer make no group that could be called bad


def by_provenance(points: Sequence[Compared]) -> Lines:
    groups = {name: [c.pairs for c in points if GROUPINGS["provenance"](c) == name] for name in PROVENANCES}
    found = {name: (len(pairs), errors(pairs)) for name, pairs in groups.items() if pairs}
    metrics = [metric for metric in ("ttft_mean", "tpot_mean", "output_tokens_per_s") if any(metric in of for _, of in found.values())]
    if not metrics:
        return
    yield from ("", "## By how the times of steps are known")
    yield from paragraph(
        "The least sure provenance of the kernels that make up a tenth of a run's steps or more, from the surest on; median / p90 %."
        " The error bars that go with it are those of kernels ([cost.md](cost.md)): the error of a run holds that of the engine, of the"
        " traffic, and the source's own as well."
    )
    yield ""
    rows = [[name, f"{count:,}", *(both(of.get(metric)) for metric in metrics)] for name, (count, of) in found.items()]
    yield from table(["provenance", "points", *metrics], rows)


def where_it_is_bad(judged: Sequence[Judged]) -> Lines:
    rows: list[tuple[float, list[str]]] = []
    for one in judged:
        if one.section.again:
            continue
        for value, group in model_on_gpu(one.points).items():
            found = errors(compared.pairs for compared in group)
            metric = next((metric for metric in ("tpot_mean", "output_tokens_per_s") if metric in found), None)
            if metric is not None and len(group) >= LEAST_IN_GROUP:
                error = found[metric]
                cells = [one.section.name, value, f"{error.n:,}", metric, both(error), signed(error.median_signed_pct)]
                rows.append((error.median_ape_pct, cells))
    if not rows:
        return
    rows.sort(key=lambda row: (-row[0], row[1]))
    yield from ("", "## Where it is bad")
    yield from paragraph(
        f"The groups of one engine, model and accelerator with the largest median error, of those with {LEAST_IN_GROUP} points or more."
    )
    heads = ["section", "engine, model, accelerator", "points", "metric", "median / p90 %", "signed %"]
    yield ""
    yield from table(heads, [cells for _, cells in rows[:WORST_SHOWN]], words=2)


def model_on_gpu(points: Iterable[Compared]) -> dict[str, list[Compared]]:
    groups: dict[str, list[Compared]] = {}
    for compared in points:
        value = f"{compared.system.engine}, {compared.system.model_text}, {compared.system.pool.accelerator}"
        groups.setdefault(value, []).append(compared)
    return groups


def skipped(validation: Validation) -> Lines:
    if not validation.skipped:
        return
    yield from ("", "## What is not simulated")
    yield from paragraph(f"{len(validation.skipped):,} points are skipped:")
    yield from reasons(skip.reason for skip in validation.skipped)


def reasons(given: Iterable[str]) -> Lines:
    """The most frequent first; those that name a point's own figures are many, and rare."""
    counts = sorted(Counter(given).items(), key=lambda entry: (-entry[1], entry[0]))
    if counts:
        yield ""
    for reason, count in counts[:REASONS_SHOWN]:
        yield f"- {count:,}: {reason}"
    if rest := counts[REASONS_SHOWN:]:
        yield f"- {sum(count for _, count in rest):,}: {len(rest)} other reasons"


def assumptions(validation: Validation) -> Lines:
    if validation.assumed:
        yield from ("", "## Assumed where a source is silent")
        yield from paragraph("[validate.md](validate.md#what-is-assumed) says what and why; of how many points:")
        yield from ("", ", ".join(f"{name} ({count:,})" for name, count in validation.assumed.items()))
