"""How fast the engine goes: requests and steps per second of wall time, and the most memory, on one core.

    python benchmarks/engine.py [--trace FILE] [--num-requests N] [--rate R] [--repeats K] [--naive ROWS]
        [--enable-prefix-caching] [--async-scheduling]

Llama-3.1-8B on one H100 under `vllm-v1`. With `--trace` the trace is repeated end to end, at its own rate or rescaled to `--rate`;
without one, chat-like traffic is generated. Metrics are kept as `seatrial run` keeps them. `--naive` also times the tests' naive
reference on that many rows.
"""

import argparse
import resource
import sys
import time
from pathlib import Path

from seatrial.catalog import load_accelerator, load_curves, load_engine, load_model
from seatrial.core.batch import Batch
from seatrial.core.deployment import EngineConfig, Parallelism
from seatrial.core.record import EngineTotals
from seatrial.core.request import Workload
from seatrial.cost import RooflineCost, engine_config, kv_capacity
from seatrial.metrics import Tally
from seatrial.policy.schedulers import make_scheduler
from seatrial.sim.pipeline import make_replica
from seatrial.sim.recorder import Recorder
from seatrial.sim.simulate import simulate
from seatrial.workload import at_rate, limited, open_trace, repeated
from seatrial.workload.generate import generate
from seatrial.workload.spec import read_spec

ALONE = Parallelism()
CHAT = {
    "arrivals": {"process": "poisson", "rate": 5.5},
    "input": {"distribution": "lognormal", "mean": 1155, "cv": 1.0, "max": 8192},
    "output": {"distribution": "gamma", "mean": 211, "cv": 0.8, "max": 2048},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trace", type=Path)
    parser.add_argument("--num-requests", type=int, default=200_000)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scheduler", default="vllm-v1")
    parser.add_argument("--enable-prefix-caching", action="store_true")
    parser.add_argument("--async-scheduling", action="store_true")
    parser.add_argument("--naive", type=int, default=0, metavar="ROWS")
    options = parser.parse_args()
    arguments = {name: getattr(options, name) for name in ("enable_prefix_caching", "async_scheduling")}
    for _ in range(options.repeats):
        measure(workload(options), options.scheduler, **arguments)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    if options.naive:
        compare_with_naive(workload(options), options.naive)


def workload(options: argparse.Namespace) -> Workload:
    if options.trace is None:
        arrivals = {"process": "poisson", "rate": options.rate or CHAT["arrivals"]["rate"]}
        return generate(read_spec({**CHAT, "arrivals": arrivals, "num_requests": options.num_requests}, "benchmark"), seed=0)
    trace: Workload = open_trace(options.trace)
    if options.rate:
        trace = at_rate(trace, options.rate)
    return repeated(trace, options.num_requests)


def engine(**arguments: bool) -> tuple[RooflineCost, EngineConfig, int]:
    model, accelerator = load_model("llama-3.1-8b"), load_accelerator("h100_sxm")
    config = engine_config(model, accelerator, ALONE, **arguments)
    cost = RooflineCost(model, accelerator, ALONE, config, load_curves(accelerator), load_engine("vllm", accelerator.architecture))
    return cost, config, kv_capacity(model, accelerator, ALONE, config).num_blocks


def measure(requests: Workload, scheduler: str, **arguments: bool) -> EngineTotals:
    cost, config, num_blocks = engine(**arguments)
    replica = make_replica(cost, make_scheduler(scheduler, config), config, num_blocks)
    tally = Tally()
    recorder = Recorder(tally.add, tally.add_gaps)
    start, cpu = time.perf_counter(), time.process_time()
    simulate(requests, replica, recorder)
    tally.close()
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    totals, count = recorder.totals, tally.num_requests
    print(
        f"{count} requests, {totals.num_steps} steps in {wall:.2f} s wall, {cpu:.2f} s cpu:"
        f" {count / wall:,.0f} requests/s ({count / cpu:,.0f} per cpu second), {totals.num_steps / wall:,.0f} steps/s;"
        f" simulated {replica.now:,.0f} s, TTFT p99 {tally.sketches['ttft'].quantile(0.99):.3g} s, {totals.num_preemptions} preemptions,"
        f" {tally.num_cached_tokens / max(1, tally.num_prompt_tokens):.1%} of prompt tokens found cached"
    )
    return totals


def compare_with_naive(requests: Workload, num_rows: int) -> None:
    """The same rows through both, with the same cost."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from reference import Config, Row  # the tests' own, found only here
    from reference import simulate as simulate_naively

    cost, config, num_blocks = engine()
    few = limited(requests, num_rows)
    rows = [
        Row(*row)
        for chunk in few.chunks()
        for row in zip(chunk.arrival_time.tolist(), chunk.num_prompt_tokens.tolist(), chunk.num_output_tokens.tolist())
    ]
    naive = Config("vllm-v1", num_blocks, config.block_size, config.max_num_seqs, config.max_num_batched_tokens, config.max_model_len)
    start = time.perf_counter()
    run = simulate_naively(rows, naive, lambda sums: cost.step_time(Batch(*sums)))
    wall = time.perf_counter() - start
    print(f"naive: {len(rows)} requests, {run.num_steps} steps in {wall:.2f} s wall: {len(rows) / wall:,.0f} requests/s")
    totals = measure(few, "vllm-v1")
    assert totals.num_steps == run.num_steps


if __name__ == "__main__":
    main()
