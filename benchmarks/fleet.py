"""How fast a fleet goes: requests per second of wall time, and the most memory, on one core.

    python benchmarks/fleet.py TRACE [--replicas N] [--router NAME] [--num-requests N] [--speedup X] [--repeats K]

Llama-3.1-8B on one H100 each, under `vllm-v1` as vLLM 0.15 runs it without asynchronous scheduling. The trace is sped up by the number of
replicas unless `--speedup` says otherwise, and repeated end to end. Metrics are kept as `seatrial run` keeps them. `--profile` shows
where the time goes.
"""

import argparse
import cProfile
import resource
from pathlib import Path

from seatrial.metrics import Summary
from seatrial.trial.run import resolve, run_trial
from seatrial.trial.scenario import Scenario, parse_scenario


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", type=Path)
    parser.add_argument("--replicas", type=int, default=16)
    parser.add_argument("--router", default="least-outstanding")
    parser.add_argument("--num-requests", type=int, default=100_000)
    parser.add_argument("--speedup", type=float)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    for _ in range(options.repeats):
        tell(options, run_trial(resolve(scenario(options))))
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    if options.profile:
        with cProfile.Profile() as profile:
            run_trial(resolve(scenario(options)))
        profile.print_stats("tottime")


def scenario(options: argparse.Namespace) -> Scenario:
    content = {
        "model": "llama-3.1-8b",
        "pools": [{"accelerator": "h100_sxm", "replicas": options.replicas, "async_scheduling": False}],
        "router": options.router,
        "workload": {
            "trace": str(options.trace.resolve()),
            "speedup": options.speedup or float(options.replicas),
            "num_requests": options.num_requests,
        },
    }
    return parse_scenario(content, "benchmark", Path.cwd())


def tell(options: argparse.Namespace, summary: Summary) -> None:
    print(
        f"{options.replicas} replicas, {options.router}: {summary.num_completed:,} requests in {summary.wall_s:.2f} s wall: "
        f"{summary.simulated_requests_per_wall_s or 0:,.0f} requests/s; TTFT p99 {summary.ttft_s.p99 or 0:.3f} s, "
        f"busy {100 * (summary.utilization.busy or 0):.0f} %, {summary.num_preemptions} preemptions"
    )


if __name__ == "__main__":
    main()
