"""Where the milliseconds of one step go, operator by operator."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from seatrial.cost.attention import AttentionTimes, AttentionWork
from seatrial.cost.operators import Load, Operator


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """Where some of a step's time goes: all runs of an operator together, on one accelerator.

    `bound` is what took most of it: `compute`, `memory`, `network` or `overhead`. `bytes` travel over the link where that is `network`.
    """

    name: str
    seconds: float
    flops: float
    bytes: float
    bound: str
    share: float = 0.0


class Sums(NamedTuple):
    """What attention sees of a batch; `cached` is prompt context that an earlier step computed."""

    pairs: float
    cached: int
    prompt_context: int
    decode_context: int


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
        yield OperatorTime(operator.name, float(count * seconds), float(count * flops), float(count * num_bytes), bound)


def attention_parts(suffix: str, sums: Sums, work: AttentionWork, times: AttentionTimes, ranks: int) -> Iterator[OperatorTime]:
    seconds = times.prompt(sums.pairs, sums.cached, sums.prompt_context)
    flops = (work.flops_per_pair * sums.pairs + work.flops_per_cached_token * sums.cached) / ranks
    num_bytes = work.bytes_per_prompt_context * sums.prompt_context / ranks
    bound = "memory" if times.read * sums.prompt_context >= seconds else "compute"
    yield OperatorTime("prompt attention" + suffix, seconds, flops, num_bytes, bound)
    flops = work.flops_per_decode_context * sums.decode_context / ranks
    num_bytes = work.bytes_per_decode_context * sums.decode_context / ranks
    yield OperatorTime("decode attention" + suffix, times.decode_context * sums.decode_context, flops, num_bytes, times.decode_bound)


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


def _together(parts: list[OperatorTime], total: float) -> OperatorTime:
    seconds = sum(part.seconds for part in parts)
    longest = max(parts, key=lambda part: part.seconds)
    flops, num_bytes = sum(part.flops for part in parts), sum(part.bytes for part in parts)
    return OperatorTime(longest.name, seconds, flops, num_bytes, longest.bound, seconds / total)
