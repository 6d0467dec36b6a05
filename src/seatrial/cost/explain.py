"""Where the milliseconds of one step go, operator by operator."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from seatrial.core.curves import PROFILE, PROVENANCES, Confidence, ErrorBar, Estimate
from seatrial.cost.attention import AttentionTimes, AttentionWork
from seatrial.cost.operators import Load, Operator


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """Where some of a step's time goes: all runs of an operator together, on one accelerator.

    `bound` is what took most of it: `compute`, `memory`, `network` or `overhead`. `bytes` travel over the link where that is `network`.
    `estimate` tells how the time is known; None where the engine's profile gives it.
    """

    name: str
    seconds: float
    flops: float
    bytes: float
    bound: str
    share: float = 0.0
    estimate: Estimate | None = None


class Sums(NamedTuple):
    """What attention sees of a batch; `cached` is prompt context that an earlier step computed."""

    num_prompts: int
    num_decodes: int
    tokens: int
    pairs: float
    cached: int
    prompt_context: int
    decode_context: int

    @property
    def num_seqs(self) -> int:
        return self.num_prompts + self.num_decodes


def operator_times(operators: Iterable[Operator], load: Load) -> Iterator[OperatorTime]:
    """Of a load of one element."""
    for operator in operators:
        demand, count = operator.demand(load), operator.count
        times = {
            "compute": demand.compute_time[0],
            "memory": demand.memory_time[0],
            "network": demand.network_time[0],
            "overhead": demand.fixed_time[0],
        }
        bound = max(times, key=lambda kind: float(times[kind]))
        seconds, flops, num_bytes = demand.seconds[0], demand.flops[0], demand.bytes[0]
        yield OperatorTime(
            operator.name,
            float(count * seconds),
            float(count * flops),
            float(count * num_bytes),
            bound,
            estimate=operator.estimate(load),
        )


def attention_parts(
    suffix: str, sums: Sums, work: AttentionWork, times: AttentionTimes, alone: AttentionTimes, ranks: int
) -> Iterator[OperatorTime]:
    """`alone` are the times without what the engine's profile makes of them."""
    seconds = times.prompt(sums.pairs, sums.cached, sums.prompt_context, sums.tokens)
    flops = (work.flops_per_pair * sums.pairs + work.flops_per_cached_token * sums.cached) / ranks
    num_bytes = work.bytes_per_prompt_context * sums.prompt_context / ranks
    bound = "memory" if 2 * (times.read * sums.prompt_context + times.token * sums.tokens) >= seconds else "compute"
    known = _prompt_estimate(sums, times, seconds, alone) if seconds else None
    yield OperatorTime("prompt attention" + suffix, seconds, flops, num_bytes, bound, estimate=known)
    flops = work.flops_per_decode_context * sums.decode_context / ranks
    num_bytes = work.bytes_per_decode_context * sums.decode_context / ranks
    seconds = times.decode(sums.decode_context, sums.num_seqs)
    known = _decode_estimate(sums, times, seconds, alone, ranks) if seconds else None
    yield OperatorTime("decode attention" + suffix, seconds, flops, num_bytes, times.decode_bound, estimate=known)


AT_AN_OFFSET = 0.01  # of a prompt's context that earlier steps computed; less than that makes no other kernel of it


def _prompt_estimate(sums: Sums, times: AttentionTimes, seconds: float, alone: AttentionTimes) -> Estimate | None:
    """Of chunks of the mean length."""
    before = alone.prompt(sums.pairs, sums.cached, sums.prompt_context, sums.tokens)
    offset = sums.cached > AT_AN_OFFSET * sums.prompt_context
    load = {"length": sums.tokens / max(1, sums.num_prompts), "offset": float(offset)}
    return times.prompt_use and times.prompt_use.estimate(moved=seconds / before, **load)


def _decode_estimate(sums: Sums, times: AttentionTimes, seconds: float, alone: AttentionTimes, ranks: int) -> Estimate | None:
    """Of sequences of the mean context."""
    before = alone.decode(sums.decode_context, sums.num_seqs)
    load = {"context": sums.decode_context / sums.num_decodes, "sequences": sums.num_decodes / ranks} if sums.num_decodes else {}
    return times.decode_use and times.decode_use.estimate(moved=seconds / before, **load)


def overhead(name: str, seconds: float) -> OperatorTime:
    return OperatorTime(name, seconds, 0.0, 0.0, "overhead")


def merge(parts: Iterable[OperatorTime]) -> tuple[OperatorTime, ...]:
    """One line per name that takes time, the longest first, with its share of the whole; the bound is that of its longest part."""
    by_name: dict[str, list[OperatorTime]] = {}
    for part in parts:
        if part.seconds > 0:
            by_name.setdefault(part.name, []).append(part)
    total = sum(part.seconds for same in by_name.values() for part in same)
    return tuple(sorted((_together(same, total) for same in by_name.values()), key=lambda part: -part.seconds))


def confidence(parts: Iterable[OperatorTime]) -> Confidence:
    timed = [part for part in parts if part.seconds > 0]
    known = [(part.seconds, part.estimate) for part in timed if part.estimate is not None]
    if not known:
        return Confidence(PROVENANCES[-1], ErrorBar(0.0, 0.0), {PROFILE: 1.0}, (), ())
    total = sum(part.seconds for part in timed)
    by_kind = _shares((part.seconds, part.estimate.provenance if part.estimate else PROFILE) for part in timed)
    least = LEAST_SHARE * sum(seconds for seconds, _ in known)
    kinds = [kind for kind in PROVENANCES if by_kind.get(kind, 0.0) >= least]
    return Confidence(
        kinds[-1],  # there is one: of four kinds one has a quarter
        _mean_bar(known),
        {kind: by_kind[kind] / total for kind in (*PROVENANCES, PROFILE) if kind in by_kind},
        tuple(_shares((seconds, f"{estimate.accelerator} {estimate.curve}") for seconds, estimate in known)),
        tuple(_shares((seconds, estimate.source) for seconds, estimate in known)),
    )


def _shares(times: Iterable[tuple[float, str]]) -> dict[str, float]:
    """Seconds by name, the longest first."""
    found: dict[str, float] = {}
    for seconds, name in times:
        found[name] = found.get(name, 0.0) + seconds
    return dict(sorted(found.items(), key=lambda item: -item[1]))


LEAST_SHARE = 0.1  # of the time that has curves; less than this of it does not decide how well the whole is known


def _mean_bar(known: list[tuple[float, Estimate]]) -> ErrorBar:
    """As if every part were as far off as the same share of its kind at once: a large error of one does not make up for another's."""
    total = sum(seconds for seconds, _ in known)
    return ErrorBar(
        sum(seconds * estimate.error.median for seconds, estimate in known) / total,
        sum(seconds * estimate.error.p90 for seconds, estimate in known) / total,
    )


def _together(parts: list[OperatorTime], total: float) -> OperatorTime:
    seconds = sum(part.seconds for part in parts)
    longest = max(parts, key=lambda part: part.seconds)
    flops, num_bytes = sum(part.flops for part in parts), sum(part.bytes for part in parts)
    return OperatorTime(longest.name, seconds, flops, num_bytes, longest.bound, seconds / total, _estimate(parts, longest))


def _estimate(parts: list[OperatorTime], longest: OperatorTime) -> Estimate | None:
    """The curve of the longest, the mean error of all that have one, and the provenance of the least sure; None if the longest has none."""
    known = [(part.seconds, part.estimate) for part in parts if part.estimate is not None]
    if longest.estimate is None or not known:
        return None
    kind = max((estimate.provenance for _, estimate in known), key=PROVENANCES.index)
    return longest.estimate._replace(provenance=kind, error=_mean_bar(known))
