"""Steps one after another, each over every sequence: time, tokens, and the stages of a pipeline."""

from collections import deque
from collections.abc import Callable
from math import inf
from typing import NamedTuple

from reference import orca, sarathi, sglang, static, vllm_v0, vllm_v1
from reference.cache import CachingReplica, tokens
from reference.cost import Sums, sums_of
from reference.nouns import Config, Outcome, Row, Run, Step
from reference.replica import Batch, Replica, Sequence

SCHEDULERS: dict[str, Callable[[Replica], Batch]] = {
    "vllm-v1": vllm_v1.schedule,
    "vllm-v0": vllm_v0.schedule,
    "sarathi": sarathi.schedule,
    "sglang": sglang.schedule,
    "orca": orca.schedule,
    "static": static.schedule,
}


class InFlight(NamedTuple):
    batch: Batch
    sums: Sums
    start: float
    end: float


def simulate(rows: list[Row], config: Config, cost: Callable[[Sums], float], *, window: int | None = None) -> Run:
    """Run the workload to its end. `window` is what sliding-window attention looks back; None leaves its sums zero.

    At any moment, first the batch that is done comes out, then arrivals join the queue, then batches are scheduled.
    """
    if config.async_scheduling:
        return simulate_ahead(rows, config, cost, window=window)
    run, replica, schedule = Run(), make_replica(config), SCHEDULERS[config.scheduler]
    sequences = [Sequence(row.arrival, row.prompt, row.output, tokens=tokens(number, row, config)) for number, row in enumerate(rows)]
    accepted = [sequence for sequence, row in zip(sequences, rows) if not config.rejects(row)]
    to_come = deque(sorted(accepted, key=lambda sequence: sequence.arrival))
    replica.known = list(to_come)
    in_flight: deque[InFlight] = deque()
    stage_left = [-inf] * config.pipeline_parallel  # when the latest batch has left each stage

    while to_come or in_flight:
        now = min(to_come[0].arrival if to_come else inf, in_flight[0].end if in_flight else inf)
        if in_flight and in_flight[0].end == now:
            come_out(in_flight.popleft(), replica, run)
        while to_come and to_come[0].arrival <= now:
            replica.waiting.append(to_come.popleft())
        if not in_flight:  # a step takes along whom it began with
            replica.give_up(now)
        while len(in_flight) < config.pipeline_parallel and (batch := schedule(replica)):
            sums = sums_of((work for _, work in batch), window)
            end = flow_through(stage_left, now, cost(sums))
            in_flight.append(InFlight(batch, sums, now, end))
            note_start(batch, now)
            run.peak_blocks = max(run.peak_blocks, config.num_blocks - replica.num_free_blocks)
            replica.check()

    return finish(run, replica, sequences)


def simulate_ahead(rows: list[Row], config: Config, cost: Callable[[Sums], float], *, window: int | None = None) -> Run:
    """The same with `async_scheduling`: when a step starts it is taken as ended, and the next is planned at once, to start when it has.

    Where that plan is empty, the next step is planned when something has arrived, at the earliest when the last step has ended.
    """
    run, replica, schedule = Run(), make_replica(config), SCHEDULERS[config.scheduler]
    sequences = [Sequence(row.arrival, row.prompt, row.output, tokens=tokens(number, row, config)) for number, row in enumerate(rows)]
    accepted = [sequence for sequence, row in zip(sequences, rows) if not config.rejects(row)]
    to_come = deque(sorted(accepted, key=lambda sequence: sequence.arrival))
    replica.known = list(to_come)
    now, planned = -inf, []

    def plan() -> Batch:
        while to_come and to_come[0].arrival <= now:
            replica.waiting.append(to_come.popleft())
        replica.give_up(now)
        batch = schedule(replica)
        run.peak_blocks = max(run.peak_blocks, config.num_blocks - replica.num_free_blocks)
        return batch

    while planned or to_come:
        if not planned:
            now = max(now, to_come[0].arrival)
            planned = plan()
            if not planned:  # who came has gone again
                continue
        sums = sums_of((work for _, work in planned), window)
        end = now + cost(sums)
        note_start(planned, now)
        come_out(InFlight(planned, sums, now, end), replica, run)
        planned = plan()
        now = end
    return finish(run, replica, sequences)


def finish(run: Run, replica: Replica, sequences: list[Sequence]) -> Run:
    assert not replica.waiting
    assert not replica.running
    run.num_preemptions = replica.num_preemptions
    run.outcomes = [outcome(sequence, replica.config.timeout) for sequence in sequences]
    return run


def make_replica(config: Config) -> Replica:
    return CachingReplica(config) if config.enable_prefix_caching else Replica(config)


def flow_through(stage_left: list[float], now: float, step_time: float) -> float:
    """Send a batch through the stages behind the one before it; the time at which it leaves the last."""
    for stage, left in enumerate(stage_left):
        now = max(now, left) + step_time / len(stage_left)
        stage_left[stage] = now
    return now


def note_start(batch: Batch, now: float) -> None:
    for sequence, _ in batch:
        if sequence.queue_time is None:
            sequence.queue_time = now - sequence.arrival


def come_out(step: InFlight, replica: Replica, run: Run) -> None:
    """The batch's tokens come out; those that have them all leave."""
    for sequence, work in step.batch:
        sequence.num_in_flight -= 1
        if not work.samples or sequence.has_ended:
            continue
        sequence.generated += 1
        if sequence.first_token is None:
            sequence.first_token = step.end
        else:
            run.gaps.append(step.end - sequence.last_token)
        sequence.last_token = step.end

    num_free_blocks = replica.num_free_blocks
    ended = [sequence for sequence in replica.running if sequence.has_ended]
    if replica.config.scheduler == "static" and len(ended) < len(replica.running):
        ended = []  # who has ended stays as padding
    for sequence in ended:
        replica.running.remove(sequence)
        replica.hold(sequence, 0)
    run.steps.append(Step(step.start, step.end, step.sums, num_free_blocks, replica.num_free_blocks))


def outcome(sequence: Sequence, timeout: float | None) -> Outcome:
    """An answer that ends when its client has gone is none."""
    is_late = sequence.has_ended and timeout is not None and sequence.last_token > sequence.arrival + timeout
    status = "failed" if is_late or sequence.has_failed else "completed" if sequence.has_ended else "rejected"
    times = (sequence.queue_time, sequence.first_token, sequence.last_token)
    return Outcome(status, *times, sequence.num_preemptions, sequence.num_cached_tokens)
