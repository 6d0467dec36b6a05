"""The reference itself: every figure here was worked out by hand from `docs/schedulers.md`, and laws hold on drawn workloads.

Unless a cost is given, every step takes one second, so that a time is the number of a step. Rows are (arrival, prompt, output).
"""

from itertools import pairwise

import pytest
from hypothesis import given, settings

from reference import Config, Cost, Outcome, Row, Run, simulate
from reference.cost import Work, sums_of
from strategies import Case, cases

ONE_SECOND = Cost(1.0)

many = settings(max_examples=60, deadline=None)
few = settings(max_examples=30, deadline=None)


def run(scheduler: str, *rows: tuple[float, int, int], cost: Cost = ONE_SECOND, **config) -> Run:
    """Blocks of one token, a thousand of them, unless told otherwise."""
    return simulate([Row(*row) for row in rows], Config(scheduler, **{"num_blocks": 1000, "block_size": 1, **config}), cost)


def times(run: Run) -> list[tuple[float, float, float]]:
    """Queue time, first token, finish of each row."""
    return [(outcome.queue_time, outcome.first_token, outcome.finish) for outcome in run.outcomes]


def preemptions(run: Run) -> list[int]:
    return [outcome.num_preemptions for outcome in run.outcomes]


def of_steps(run: Run, name: str) -> list[int]:
    return [getattr(step.sums, name) for step in run.steps]


class TestSums:
    def test_an_affine_cost_counts_tokens_pairs_decodes_and_context(self):
        cost = Cost(base=1, per_prompt_token=0.1, per_prompt_pair=0.01, per_decode=0.2, per_context_token=0.03)
        lone = run("vllm-v1", (2.0, 5, 3), cost=cost, block_size=4)
        prompt = 1 + 0.1 * 5 + 0.01 * 15
        decodes = [1 + 0.2 + 0.03 * 6, 1 + 0.2 + 0.03 * 7]
        assert lone.outcomes[0][:5] == pytest.approx(("completed", 0, 2 + prompt, 2 + prompt + sum(decodes), 0))
        assert lone.gaps == pytest.approx(decodes)
        assert lone.peak_blocks == 2  # 7 of the 8 tokens are computed

    def test_a_chunk_pairs_with_what_came_before_it(self):
        sums = sums_of([Work(offset=4, num_tokens=3, is_decode=False, samples=False)], window=None)
        assert sums.prompt_pairs == 5 + 6 + 7
        assert sums.prompt_context == 7
        assert (sums.window_pairs, sums.window_prompt_context, sums.num_sampled) == (0, 0, 0)

    def test_a_window_cuts_every_span_to_itself(self):
        head = Work(offset=0, num_tokens=4, is_decode=False, samples=False)
        tail = Work(offset=2, num_tokens=3, is_decode=False, samples=True)
        young, old = (Work(offset, 1, is_decode=True, samples=True) for offset in (1, 6))
        sums = sums_of([head, tail, young, old], window=3)
        assert sums.window_pairs == (1 + 2 + 3 + 3) + (3 + 3 + 3)
        assert sums.window_prompt_context == 4 + 5  # the tail's first token, the third, looks back at two others
        assert sums.window_decode_context == 2 + 3
        assert sums.prompt_pairs == (1 + 2 + 3 + 4) + (3 + 4 + 5)

    def test_a_window_that_slides_past_the_first_tokens_reads_fewer_of_them(self):
        sums = sums_of([Work(offset=10, num_tokens=2, is_decode=False, samples=False)], window=3)
        assert sums.window_prompt_context == 4  # tokens 9 to 12
        assert sums.prompt_context == 12


class TestEveryScheduler:
    pytestmark = pytest.mark.parametrize("scheduler", ["vllm-v1", "vllm-v0", "sarathi", "sglang", "orca", "static"])

    def test_one_token_in_and_one_out_is_one_step(self, scheduler):
        lone = run(scheduler, (0.5, 1, 1), max_model_len=8)
        assert lone.outcomes == [Outcome("completed", 0.0, 1.5, 1.5, 0)]
        assert (lone.num_steps, lone.gaps) == (1, [])
        assert of_steps(lone, "num_prompt_tokens") == [1]

    def test_an_idle_replica_starts_at_the_arrival(self, scheduler):
        assert times(run(scheduler, (0.25, 3, 2), (7.75, 3, 1), max_model_len=8)) == [(0, 1.25, 2.25), (0, 8.75, 8.75)]

    def test_what_can_never_fit_is_rejected_and_disturbs_nobody(self, scheduler):
        rows = [(0.0, 8, 1), (0.5, 8, 2), (0.5, 2, 1)]
        mixed = run(scheduler, *rows, num_blocks=2, block_size=4, max_model_len=10)
        assert mixed.outcomes[1] == Outcome("rejected", None, None, None, 0)  # 9 tokens to compute, room for 8
        assert times(mixed)[::2] == [(0, 1, 1), (0.5, 2, 2)]

    def test_what_is_longer_than_the_model_is_rejected(self, scheduler):
        statuses = [outcome.status for outcome in run(scheduler, (0, 8, 2), (0, 8, 3), max_model_len=10).outcomes]
        assert statuses == ["completed", "rejected"]

    def test_a_tie_goes_to_the_first_row(self, scheduler):
        assert times(run(scheduler, (0, 4, 1), (0, 4, 1), max_num_seqs=1, max_model_len=8)) == [(0, 1, 1), (1, 2, 2)]


class TestVllmV1:
    def test_an_arrival_at_a_steps_end_joins_the_next_step_and_a_later_one_waits(self):
        joined = run("vllm-v1", (0, 1, 3), (1.0, 1, 1), (1.5, 1, 1))
        assert times(joined) == [(0, 1, 3), (0, 2, 2), (0.5, 3, 3)]

    def test_a_long_prompt_is_cut_to_the_budget(self):
        lone = run("vllm-v1", (0, 10, 2), max_num_batched_tokens=4)
        assert of_steps(lone, "num_prompt_tokens") == [4, 4, 2, 0]
        assert of_steps(lone, "prompt_pairs") == [10, 26, 19, 0]
        assert of_steps(lone, "prompt_context") == [4, 8, 10, 0]
        assert of_steps(lone, "decode_context") == [0, 0, 0, 11]
        assert of_steps(lone, "num_sampled") == [0, 0, 1, 1]
        assert [step.num_free_blocks for step in lone.steps] == [996, 992, 990, 989]
        assert times(lone) == [(0, 3, 4)]

    def test_a_long_prompt_is_cut_to_the_threshold(self):
        lone = run("vllm-v1", (0, 10, 1), max_num_batched_tokens=4, long_prefill_token_threshold=3)
        assert of_steps(lone, "num_prompt_tokens") == [3, 3, 3, 1]

    def test_what_runs_comes_first_and_who_waits_takes_the_rest(self):
        pair = run("vllm-v1", (0, 2, 3), (0, 5, 1), max_num_batched_tokens=4)
        assert of_steps(pair, "num_prompt_tokens") == [4, 3, 0]
        assert of_steps(pair, "num_decodes") == [0, 1, 1]
        assert times(pair) == [(0, 1, 3), (0, 2, 2)]

    def test_decodes_that_spend_the_budget_keep_others_waiting(self):
        trio = run("vllm-v1", (0, 1, 3), (0, 1, 3), (0, 1, 3), max_num_batched_tokens=2)
        assert times(trio) == [(0, 1, 3), (0, 1, 3), (3, 4, 6)]

    def test_the_last_is_preempted_and_computed_again(self):
        pair = run("vllm-v1", (0, 2, 4), (0, 2, 2), num_blocks=3, block_size=2)
        # 1: both prompts. 2: the first takes the last block, the second preempts itself. 3, 4: the first alone. 5: three tokens again.
        assert times(pair) == [(0, 1, 4), (0, 1, 5)]
        assert preemptions(pair) == [0, 1]
        assert sorted(pair.gaps) == [1, 1, 1, 4]
        assert of_steps(pair, "prompt_pairs") == [6, 0, 0, 0, 6]
        assert [step.num_free_blocks for step in pair.steps] == [1, 1, 1, 0, 1]
        assert [step.num_free_blocks_after for step in pair.steps] == [1, 1, 1, 3, 3]
        assert (pair.num_preemptions, pair.peak_blocks) == (1, 3)

    def test_a_preempted_sequence_waits_in_front_and_its_step_admits_nobody(self):
        trio = run("vllm-v1", (0, 2, 4), (0, 2, 2), (1.0, 1, 1), num_blocks=3, block_size=2)
        # a block is free for the third from its arrival on
        assert times(trio) == [(0, 1, 4), (0, 1, 5), (3, 5, 5)]

    def test_the_last_token_computed_again_alone_is_a_decode(self):
        pair = run("vllm-v1", (0, 2, 4), (0, 2, 2), num_blocks=3, block_size=2, long_prefill_token_threshold=2)
        assert times(pair) == [(0, 1, 4), (0, 1, 6)]
        assert of_steps(pair, "num_prompt_tokens") == [4, 0, 0, 0, 2, 0]
        assert of_steps(pair, "num_sampled")[-2:] == [0, 1]
        assert (pair.steps[5].sums.num_decodes, pair.steps[5].sums.decode_context) == (1, 3)

    def test_one_sequence_may_preempt_several(self):
        trio = run("vllm-v1", (0, 8, 1), (0, 1, 3), (0, 1, 3), num_blocks=4, block_size=2, long_prefill_token_threshold=4)
        # 2: the prompt's second chunk wants both other blocks. 3: two tokens each again, then decodes of context 3.
        assert times(trio) == [(0, 2, 2), (0, 1, 4), (0, 1, 4)]
        assert preemptions(trio) == [0, 1, 1]
        assert sorted(trio.gaps) == [1, 1, 2, 2]
        assert of_steps(trio, "decode_context") == [0, 0, 0, 6]

    def test_nobody_overtakes_a_head_that_does_not_fit(self):
        trio = run("vllm-v1", (0, 3, 2), (0, 2, 1), (0, 1, 1), num_blocks=4)
        assert times(trio) == [(0, 1, 2), (2, 3, 3), (2, 3, 3)]

    @pytest.mark.parametrize(("watermark", "second_finish"), [(0.5, 2), (0.25, 2), (0.2, 1), (None, 1)])
    def test_the_watermark_stays_free_while_something_runs(self, watermark, second_finish):
        pair = run("vllm-v1", (0, 3, 1), (0, 1, 1), num_blocks=4, watermark=watermark)
        assert [finish for _, _, finish in times(pair)] == [1, second_finish]

    @pytest.mark.parametrize(("reserve", "queue_time", "num_preemptions"), [(True, 3, 0), (False, 0, 1)])
    def test_without_the_full_check_a_head_needs_this_steps_blocks_only(self, reserve, queue_time, num_preemptions):
        rows = (0, 2, 3), (0, 3, 1)
        pair = run("vllm-v1", *rows, num_blocks=4, max_num_batched_tokens=4, scheduler_reserve_full_isl=reserve)
        assert times(pair) == [(0, 1, 3), (queue_time, 4, 4)]
        assert preemptions(pair) == [0, num_preemptions]

    @pytest.mark.parametrize(("chunked", "queue_time"), [(True, 0), (False, 1)])
    def test_without_chunks_a_head_waits_for_a_budget_that_holds_it(self, chunked, queue_time):
        budget = {"max_num_batched_tokens": 4, "max_model_len": 4, "enable_chunked_prefill": chunked}
        trio = run("vllm-v1", (0, 3, 1), (0, 2, 1), (0, 1, 1), **budget)
        assert times(trio) == [(0, 1, 1), (queue_time, 2, 2), (1, 2, 2)]


class TestVllmV0:
    def test_a_step_of_prompts_runs_no_decode(self):
        pair = run("vllm-v0", (0, 2, 3), (1.0, 2, 1))
        assert times(pair) == [(0, 1, 4), (0, 2, 2)]
        assert pair.gaps == [2, 1]
        assert of_steps(pair, "num_decodes") == [0, 0, 1, 1]

    def test_prompts_are_whole_and_nobody_overtakes(self):
        trio = run("vllm-v0", (0, 3, 1), (0, 2, 1), (0, 1, 1), max_num_batched_tokens=4)
        assert times(trio) == [(0, 1, 1), (1, 2, 2), (1, 2, 2)]

    def test_a_prompt_beyond_the_budget_has_a_step_of_its_own(self):
        trio = run("vllm-v0", (0, 1, 1), (0, 9, 1), (0, 1, 1), max_num_batched_tokens=4)
        assert of_steps(trio, "num_prompt_tokens") == [1, 9, 1]

    def test_decodes_may_exceed_the_budget(self):
        five = run("vllm-v0", *[(0, 1, 2)] * 5, max_num_batched_tokens=2)
        assert of_steps(five, "num_prompts") == [2, 2, 1, 0]
        assert of_steps(five, "num_decodes") == [0, 0, 0, 5]
        assert [queue for queue, _, _ in times(five)] == [0, 0, 1, 1, 2]

    @pytest.mark.parametrize(("watermark", "second"), [(None, (2, 3, 3)), (0.0, (0, 1, 1))])
    def test_one_block_in_a_hundred_stays_free(self, watermark, second):
        pair = run("vllm-v0", (0, 50, 2), (0, 50, 1), num_blocks=100, watermark=watermark)
        assert times(pair) == [(0, 1, 2), second]

    def test_a_decode_without_a_block_preempts_the_last(self):
        pair = run("vllm-v0", (0, 2, 3), (0, 2, 3), num_blocks=6)
        assert times(pair) == [(0, 1, 3), (0, 1, 4)]
        assert preemptions(pair) == [0, 1]
        assert of_steps(pair, "num_prompt_tokens") == [4, 0, 0, 4]
        assert [step.num_free_blocks for step in pair.steps] == [2, 0, 2, 2]


class TestSarathi:
    def test_prompts_take_what_decodes_leave_of_the_budget(self):
        pair = run("sarathi", (0, 2, 4), (0, 9, 1), max_num_batched_tokens=4)
        assert of_steps(pair, "num_prompt_tokens") == [4, 3, 3, 1]
        assert of_steps(pair, "num_decodes") == [0, 1, 1, 1]
        assert times(pair) == [(0, 1, 4), (0, 4, 4)]

    def test_a_prompt_holds_all_its_blocks_from_the_start(self):
        pair = run("sarathi", (0, 2, 4), (0, 9, 1), max_num_batched_tokens=4)
        assert [step.num_free_blocks for step in pair.steps] == [1000 - 11, 1000 - 12, 1000 - 13, 1000 - 14]

    def test_a_decode_may_preempt_a_prompt_half_way(self):
        pair = run("sarathi", (0, 2, 4), (0, 6, 1), num_blocks=8, max_num_batched_tokens=3)
        # 1: the second holds six blocks and computes one token. 2: it is preempted. 5, 6: three tokens each.
        assert times(pair) == [(0, 1, 4), (0, 6, 6)]
        assert preemptions(pair) == [0, 1]
        assert of_steps(pair, "num_prompt_tokens") == [3, 0, 0, 0, 3, 3]
        assert [step.num_free_blocks for step in pair.steps] == [0, 5, 4, 3, 2, 2]


class TestSglang:
    def test_prompts_in_chunks_keep_decodes_waiting(self):
        pair = run("sglang", (0, 2, 3), (0.5, 9, 1), max_num_batched_tokens=4)
        assert of_steps(pair, "num_prompt_tokens") == [2, 4, 4, 1, 0, 0]
        assert of_steps(pair, "num_decodes") == [0, 0, 0, 0, 1, 1]
        assert times(pair) == [(0, 1, 6), (0.5, 4, 4)]

    def test_what_a_prompt_leaves_of_the_budget_begins_the_next(self):
        pair = run("sglang", (0, 3, 1), (0, 6, 1), max_num_batched_tokens=4)
        assert of_steps(pair, "num_prompt_tokens") == [4, 4, 1]
        assert of_steps(pair, "num_prompts") == [2, 1, 1]


class TestOrca:
    def test_a_reservation_is_for_the_longest_that_may_come(self):
        trio = run("orca", (0, 1, 2), (0, 1, 2), (0, 1, 1), num_blocks=5, block_size=4, max_model_len=8)
        assert times(trio) == [(0, 1, 2), (0, 1, 2), (2, 3, 3)]
        assert [step.num_free_blocks for step in trio.steps] == [1, 1, 3]
        assert trio.peak_blocks == 4

    def test_a_reservation_is_at_most_all_there_is(self):
        pair = run("orca", (0, 1, 1), (0, 1, 1), num_blocks=3, block_size=4, max_model_len=100)
        assert times(pair) == [(0, 1, 1), (1, 2, 2)]

    def test_a_step_mixes_decodes_with_whole_prompts_of_any_length(self):
        pair = run("orca", (0, 1, 3), (1.0, 5, 1), max_num_batched_tokens=2, max_model_len=8)
        assert times(pair) == [(0, 1, 3), (0, 2, 2)]
        assert pair.steps[1].sums[:7] == (1, 5, 15, 5, 1, 2, 2)


class TestStatic:
    def test_a_batch_runs_until_its_longest_has_ended_and_the_ended_are_padding(self):
        cost = Cost(base=1.0, per_decode=0.5, per_context_token=0.25)
        trio = run("static", (0, 2, 3), (0, 2, 1), (0.5, 1, 1), cost=cost, max_model_len=8)
        # 1: both prompts. 2: two rows, context 3: 2.75. 3: two rows, context 4: 3. 4: the newcomer.
        assert times(trio) == [(0, 1, 6.75), (0, 1, 1), (6.25, 7.75, 7.75)]
        assert of_steps(trio, "num_decodes") == [0, 2, 2, 0]
        assert of_steps(trio, "num_sampled") == [2, 2, 2, 1]
        assert of_steps(trio, "decode_context") == [0, 3, 4, 0]
        assert trio.gaps == [2.75, 3.0]

    def test_blocks_are_freed_when_the_batch_ends(self):
        pair = run("static", (0, 1, 1), (0, 1, 3), max_model_len=8)
        assert [step.num_free_blocks_after for step in pair.steps] == [984, 984, 1000]

    def test_a_batch_has_as_many_as_reservations_and_seats(self):
        rows = [(0, 1, 1)] * 5
        by_blocks = run("static", *rows, num_blocks=17, max_model_len=8)
        by_seats = run("static", *rows, max_num_seqs=3, max_model_len=8)
        assert of_steps(by_blocks, "num_prompts") == [2, 2, 1]
        assert of_steps(by_seats, "num_prompts") == [3, 2]


class TestPipeline:
    def test_a_lone_sequence_gains_nothing(self):
        assert times(run("vllm-v1", (0, 1, 3), pipeline_parallel=2)) == [(0, 1, 3)]

    def test_two_batches_share_the_stages(self):
        pair = run("vllm-v1", (0, 2, 3), (0, 2, 3), max_num_batched_tokens=2, pipeline_parallel=2)
        # the second waits half a second for the first stage, but is scheduled at once
        assert times(pair) == [(0, 1, 3), (0, 1.5, 3.5)]
        assert [step.start for step in pair.steps] == [0, 0, 1, 1.5, 2, 2.5]

    def test_an_arrival_enters_behind_the_batch_in_flight(self):
        assert times(run("vllm-v1", (0, 1, 2), (0.25, 1, 1), pipeline_parallel=2)) == [(0, 1, 2), (0, 1.5, 1.5)]

    def test_a_prompt_has_several_chunks_in_flight(self):
        lone = run("vllm-v1", (0, 6, 1), max_num_batched_tokens=2, pipeline_parallel=2)
        assert [(step.start, step.end) for step in lone.steps] == [(0, 1), (0, 1.5), (1, 2)]
        assert times(lone) == [(0, 2, 2)]

    def test_a_short_batch_waits_behind_a_long_one_at_each_stage(self):
        per_token = Cost(base=0.0, per_prompt_token=1.0)
        pair = run("vllm-v1", (0, 4, 1), (0, 2, 1), cost=per_token, max_num_batched_tokens=4, pipeline_parallel=2)
        # the first: 0 to 2, 2 to 4. The second: 2 to 3, then 4 to 5.
        assert times(pair) == [(0, 4, 4), (0, 5, 5)]

    def test_what_is_in_flight_is_not_preempted(self):
        pair = run("vllm-v1", (0, 2, 3), (0, 2, 3), num_blocks=5, max_num_batched_tokens=2, pipeline_parallel=2)
        # 1.5: the second wants a block, the first is in flight: it preempts itself. 3: two tokens again, the third right behind.
        assert times(pair) == [(0, 1, 3), (0, 1.5, 5.5)]
        assert preemptions(pair) == [0, 1]
        assert sorted(pair.gaps) == [1, 1, 1, 3]
        assert [(step.start, step.end) for step in pair.steps][-3:] == [(3, 4), (3, 4.5), (4.5, 5.5)]

    def test_a_prompt_in_flight_that_finds_no_block_is_passed_over_and_nobody_is_admitted(self):
        rows = (0, 2, 2), (0, 9, 1), (0.5, 1, 1)
        trio = run("vllm-v1", *rows, num_blocks=10, max_num_batched_tokens=4, pipeline_parallel=2, scheduler_reserve_full_isl=False)
        # 1: the first takes a block, the second wants three of the one left; that would do for the third, who may not.
        # 1.5: no chunk of the second is in flight any more, and it preempts itself. 2: the first has ended, the second starts afresh.
        assert times(trio) == [(0, 1, 2), (0, 4, 4), (2.5, 4, 4)]
        assert preemptions(trio) == [0, 1, 0]
        assert of_steps(trio, "num_prompt_tokens") == [4, 4, 0, 4, 4, 2]
        assert [step.start for step in trio.steps] == [0, 0, 1, 2, 2, 3]

    def test_static_has_one_batch_in_flight(self):
        pair = run("static", (0, 1, 2), (0, 1, 2), max_num_seqs=1, pipeline_parallel=2, max_model_len=8)
        assert times(pair) == [(0, 1, 2), (2, 3, 4)]


def run_case(case: Case, **changes) -> Run:
    config = Config(**{**vars(case.config), **changes})
    return simulate(case.rows, config, case.cost, window=case.window)


class TestLaws:
    @many
    @given(cases(max_pipeline_parallel=4))
    def test_tokens_and_requests_are_conserved(self, case):
        run = run_case(case)
        served = [(row, outcome) for row, outcome in zip(case.rows, run.outcomes) if outcome.status == "completed"]
        assert all((outcome.status == "rejected") == case.config.rejects(row) for row, outcome in zip(case.rows, run.outcomes))
        assert len(run.gaps) == sum(row.output - 1 for row, _ in served)
        assert sum(run.gaps) == pytest.approx(sum(outcome.finish - outcome.first_token for _, outcome in served))
        if case.config.scheduler != "static":
            assert sum(of_steps(run, "num_sampled")) == sum(row.output for row, _ in served)
        if run.num_preemptions == 0:
            assert sum(of_steps(run, "num_prompt_tokens")) == sum(row.prompt for row, _ in served)
            assert sum(of_steps(run, "prompt_pairs")) == sum(row.prompt * (row.prompt + 1) // 2 for row, _ in served)
            assert sum(of_steps(run, "decode_context")) == sum(sum(range(row.prompt + 1, row.prompt + row.output)) for row, _ in served)

    @many
    @given(cases(max_pipeline_parallel=4))
    def test_blocks_are_never_short_and_all_come_back(self, case):
        run = run_case(case)
        free = [num for step in run.steps for num in (step.num_free_blocks, step.num_free_blocks_after)]
        assert all(0 <= num <= case.config.num_blocks for num in free)
        assert not free or free[-1] == case.config.num_blocks
        # where one batch is in flight, what is free at its end is what was when it was scheduled
        lowest = min(free, default=case.config.num_blocks)
        peak = case.config.num_blocks - lowest
        assert run.peak_blocks == peak if case.config.pipeline_parallel == 1 else run.peak_blocks >= peak

    @many
    @given(cases(max_pipeline_parallel=4))
    def test_time_runs_forward_and_at_most_one_batch_is_in_flight_per_stage(self, case):
        run = run_case(case)
        ends = [step.end for step in run.steps]
        assert all(before < after for before, after in pairwise(ends))
        for now in {step.start for step in run.steps}:
            assert sum(step.start <= now < step.end for step in run.steps) <= case.config.pipeline_parallel
        for row, outcome in zip(case.rows, run.outcomes):
            if outcome.status == "completed":
                assert row.arrival <= row.arrival + outcome.queue_time < outcome.first_token <= outcome.finish

    @many
    @given(cases("vllm-v1", max_pipeline_parallel=4))
    def test_v1_never_exceeds_its_budget(self, case):
        run = run_case(case)
        assert all(step.sums.num_prompt_tokens + step.sums.num_decodes <= case.config.max_num_batched_tokens for step in run.steps)

    @many
    @given(cases("sarathi"))
    def test_a_window_as_long_as_everything_changes_no_sum(self, case):
        for step in run_case(case._replace(window=1000)).steps:
            assert (step.sums.window_pairs, step.sums.window_prompt_context) == (step.sums.prompt_pairs, step.sums.prompt_context)
            assert step.sums.window_decode_context == step.sums.decode_context

    @few
    @given(cases(max_pipeline_parallel=4))
    def test_one_at_a_time_with_ample_budget_and_memory_all_schedulers_agree(self, case):
        assert_all_agree(case, ["vllm-v1", "vllm-v0", "sarathi", "sglang", "orca", "static"], max_num_seqs=1)

    @few
    @given(cases(max_pipeline_parallel=4))
    def test_with_ample_budget_and_memory_the_mixing_schedulers_agree(self, case):
        assert_all_agree(case, ["vllm-v1", "sarathi", "orca"])


def assert_all_agree(case: Case, schedulers: list[str], **changes) -> None:
    ample = {"num_blocks": 100_000, "max_num_batched_tokens": 10_000, "watermark": 0.0, "long_prefill_token_threshold": None}
    runs = [run_case(case, scheduler=scheduler, **ample, **changes) for scheduler in schedulers]
    assert all(run.outcomes == runs[0].outcomes for run in runs)
    assert all([step.sums for step in run.steps] == [step.sums for step in runs[0].steps] for run in runs)
