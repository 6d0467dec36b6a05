"""Where the engine is configured to be a queue that theory has solved, its means are those of the theory, within sampling error.

A step takes 5 ms whatever it computes, and a request needs one step for each token of its answer: 200 of them on average are a second of
service. Errors are allowed three standard errors of the mean wait of an M/M/1 queue over so many requests (Whitt 1989), at most.
"""

from math import factorial, sqrt
from pathlib import Path

import pytest

from seatrial.trial.run import resolve, run_trial
from seatrial.trial.scenario import parse_scenario

STEP, TOKENS, NUM_REQUESTS = 0.005, 200, 60_000
SERVICE = STEP * TOKENS
EXPONENTIAL = {"distribution": "gamma", "mean": TOKENS, "cv": 1.0}
FIXED = {"distribution": "fixed", "value": TOKENS}
ERROR = (
    3 * sqrt(2 * 0.7 * (2 + 5 * 0.7 - 4 * 0.7**2 + 0.7**3) / (0.3**4 * NUM_REQUESTS)) / (0.7 / 0.3)
)  # of the mean wait, at a load of 0.7


def sail(rate, *, seats=1, output=EXPONENTIAL, cost=f"affine:base={STEP}", replicas=1, router="round-robin", process="poisson"):
    pool = {
        "accelerator": "h100_sxm",
        "replicas": replicas,
        "scheduler": "vllm-v1",
        "max_num_seqs": seats,
        "num_gpu_blocks_override": 1_000_000,
    }
    workload = {
        "arrivals": {"process": process, "rate": rate},
        "num_requests": NUM_REQUESTS,
        "input": {"distribution": "fixed", "value": 1},
        "output": output,
    }
    content = {"model": "llama-3.1-8b", "pools": [pool], "cost": cost, "router": router, "workload": workload}
    return run_trial(resolve(parse_scenario(content, "theory", Path.cwd())))


def erlang_c(load, servers):
    """The chance to wait, with `load` servers' worth of work for so many of them."""
    busy = load**servers / factorial(servers) * servers / (servers - load)
    return busy / (sum(load**k / factorial(k) for k in range(servers)) + busy)


def test_one_seat_is_an_mm1_queue():
    summary = sail(0.7 / SERVICE)
    assert summary.queue_s.mean == pytest.approx(0.7 / 0.3 * SERVICE, rel=ERROR)
    assert summary.utilization.busy == pytest.approx(0.7, rel=0.03)


def test_answers_of_one_length_make_it_an_md1_queue():
    """Half the wait of exponential ones (Pollaczek and Khinchine)."""
    assert sail(0.7 / SERVICE, output=FIXED).queue_s.mean == pytest.approx(0.5 * 0.7 / 0.3 * SERVICE, rel=ERROR)


def test_four_seats_are_an_mm4_queue():
    """Those who find a seat still wait for the step that is under way, half of one on average."""
    load = 4 * 0.7
    expected = erlang_c(load, 4) * SERVICE / (4 - load)
    assert sail(load / SERVICE, seats=4).queue_s.mean == pytest.approx(expected + STEP / 2, rel=ERROR)


@pytest.mark.parametrize("output", [EXPONENTIAL, FIXED])
def test_steps_as_long_as_their_sequences_are_many_share_the_processor(output):
    """The mean time from start to finish does not depend on how lengths are distributed: service / (1 - load)."""
    summary = sail(0.7 / SERVICE, seats=1000, output=output, cost=f"affine:per_decode={STEP},per_prompt_token={STEP}")
    assert summary.e2e_s.mean == pytest.approx(SERVICE / 0.3, rel=ERROR)


def test_random_routing_makes_a_queue_of_each_replica_and_the_shortest_queue_beats_it():
    """A Poisson stream split at random is Poisson streams. Two choices of the shorter queue do most of what all of them do."""
    found = {router: sail(4 * 0.7 / SERVICE, replicas=4, router=router).queue_s.mean for router in ROUTERS}
    assert found["random"] == pytest.approx(0.7 / 0.3 * SERVICE, rel=ERROR)
    together = erlang_c(4 * 0.7, 4) * SERVICE / (4 - 4 * 0.7)  # one queue for all: nobody who must choose at once can do better
    assert together < found["least-outstanding"] < found["power-of-two"] < 0.6 * found["random"]


ROUTERS = ("random", "power-of-two", "least-outstanding")
