"""What a prefix cache finds and forgets, worked out by hand."""

from dataclasses import replace

import pytest

from seatrial.core.deployment import EngineConfig
from seatrial.core.errors import PolicyError
from seatrial.core.record import Status
from seatrial.core.request import Arrival, Prefix, Request
from seatrial.cost import AffineCost
from seatrial.policy.schedulers import make_scheduler
from seatrial.sim.audit import Audit
from seatrial.sim.pipeline import make_replica
from seatrial.sim.recorder import Recorder
from seatrial.sim.simulate import simulate
from seatrial.testing import Given

ENGINE = EngineConfig(max_num_seqs=8, max_num_batched_tokens=1000, max_model_len=100_000, block_size=4, enable_prefix_caching=True)
SECOND = AffineCost(base=1.0)


def asked(row, time, num_prompt, ids, num_output=1, block_tokens=4):
    return Arrival(Request(row, time, num_prompt, prefix=Prefix(block_tokens, tuple(ids))), num_output)


def sail(*arrivals, num_blocks=1000, cost=SECOND, engine=ENGINE):
    """By row: cached tokens, first token time and preemptions; audited."""
    replica, found = make_replica(cost, make_scheduler("vllm-v1", engine), engine, num_blocks), {}

    def keep(records):
        assert (records.status == Status.COMPLETED).all()
        rows = zip(records.num_cached_tokens.tolist(), records.first_token_time.tolist(), records.num_preemptions.tolist())
        found.update(zip(records.row.tolist(), rows))

    simulate(Given(list(arrivals)), replica, Recorder(keep, lambda gaps: None, Audit()))
    return found


def cached(*arrivals, **world):
    return [found[0] for _, found in sorted(sail(*arrivals, **world).items())]


def test_a_prompt_that_came_before_computes_what_is_behind_its_full_blocks_and_at_least_one_token():
    assert cached(asked(0, 0, 10, [1, 2, 3]), asked(1, 5, 10, [1, 2, 3])) == [0, 8]
    assert cached(asked(0, 0, 8, [1, 2]), asked(1, 5, 8, [1, 2])) == [0, 4]


def test_what_is_found_takes_no_time():
    cost = AffineCost(base=1.0, per_prompt_token=1.0, per_prompt_pair=0.1)
    found = sail(asked(0, 0, 10, [1, 2]), asked(1, 100, 10, [1, 2]), cost=cost)
    assert found[1][1] == pytest.approx(100 + 1 + 2 + 0.1 * (9 + 10))


def test_prompts_are_alike_as_far_as_their_leading_ids():
    first = asked(0, 0, 20, [1, 2, 3, 4, 5])
    assert cached(first, asked(1, 5, 30, [1, 2, 9, 4, 5])) == [0, 8]
    assert cached(first, asked(1, 5, 30, [2, 1, 3, 4, 5])) == [0, 0]
    assert cached(first, asked(1, 5, 11, [1, 2, 3])) == [0, 8]
    assert cached(first, asked(1, 5, 30, [1, 2, 3])) == [0, 12]  # what is beyond the ids is a prompt's own


def test_ids_need_not_fit_the_blocks():
    first = asked(0, 0, 50, range(10), block_tokens=5)
    assert cached(first, asked(1, 5, 50, [0, 1, 2, 9], block_tokens=5)) == [0, 12]  # of 15 tokens alike, three blocks are full
    first = asked(0, 0, 50, range(17), block_tokens=3)
    assert cached(first, asked(1, 5, 50, [0, 1, 2, 9], block_tokens=3)) == [0, 8]
    assert cached(first, asked(1, 5, 50, [0, 1, 2, 3], block_tokens=4)) == [0, 0]  # ids of another size mean something else


def test_who_is_admitted_later_in_a_step_finds_what_the_step_is_about_to_fill():
    assert cached(asked(0, 0, 10, [1, 2, 3]), asked(1, 0, 10, [1, 2, 3])) == [0, 8]


def test_the_least_recently_used_goes_first_and_the_end_of_a_prompt_before_its_beginning():
    # Six blocks. The first two prompts take three each, and leave two cached; the third uses the first again. The fourth then takes
    # the two that are empty and the second prompt's two, last block first, and one of the first's.
    one, two = [1, 2, 3], [4, 5, 6]
    before = [asked(0, 0, 10, one), asked(1, 5, 10, two), asked(2, 10, 10, one)]
    assert cached(*before, asked(3, 15, 12, [7, 8, 9]), asked(4, 20, 10, one), num_blocks=6) == [0, 0, 8, 0, 8]
    assert cached(*before, asked(3, 15, 12, [7, 8, 9]), asked(4, 20, 10, two), num_blocks=6) == [0, 0, 8, 0, 4]
    assert cached(*before, asked(3, 15, 20, range(7, 12)), asked(4, 20, 10, one), num_blocks=6) == [0, 0, 8, 0, 4]


def test_a_preempted_sequence_finds_its_own():
    # Both need a third block at once, and one is free. The second goes, and waits for the end of the first.
    cost = AffineCost(base=1.0, per_prompt_token=1.0)
    rows = [asked(0, 0, 7, [], 20), asked(1, 0, 7, [], 20)]
    found = sail(*rows, num_blocks=8, cost=cost)
    assert found[1][2] == 1
    assert found[1][0] == 0  # at its first admission there was nothing


def test_blocks_that_several_hold_are_needed_once():
    rows = [asked(row, 0, 41, range(10), 2) for row in range(8)]
    assert cached(*rows, num_blocks=10 + 8) == [0] + [40] * 7
    assert {first for _, first, _ in sail(*rows, num_blocks=10 + 8).values()} == {1.0}


def test_a_long_answer_costs_the_engine_no_more_entries_than_a_short_one():
    def num_entries(num_output):
        replica = make_replica(SECOND, make_scheduler("vllm-v1", ENGINE), ENGINE, 100_000)
        for row in range(8):
            replica.arrive(row, 0.0, 0.0, 8, num_output, Prefix(4, (1, row)))
        replica.run_until(float("inf"))
        assert len(replica.ended) == 8
        return len(replica.log)

    assert num_entries(10) == num_entries(10_000)


def test_who_knows_no_prefix_cache_says_so():
    engine = replace(ENGINE, watermark=0.0)
    with pytest.raises(PolicyError, match="Orca knows no prefix caching"):
        make_replica(SECOND, make_scheduler("orca", engine), engine, 100)
    with pytest.raises(PolicyError, match="2 stages has no prefix cache"):
        make_replica(SECOND, make_scheduler("vllm-v1", engine), engine, 100, 2)
