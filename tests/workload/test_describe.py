"""What `describe` says of a trace, and how near the fitted generator comes."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml

from seatrial.core.errors import WorkloadError
from seatrial.workload.describe import clock_step, describe
from seatrial.workload.fit import fit_spec, fragment
from seatrial.workload.generate import generate
from seatrial.workload.spec import read_spec
from seatrial.workload.tally import GapTally, LengthTally, PairSample, WindowGaps, WindowTally
from seatrial.workload.trace import open_trace

SHARED = Path(os.environ.get("SEATRIAL_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "traces"
needs_traces = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared traces are not here; SEATRIAL_SHARED_DATA can say where they are")

LOGNORMAL = {"distribution": "lognormal", "mean": 1155, "cv": 1.0}
GAMMA = {"distribution": "gamma", "mean": 211, "cv": 0.8}
PROCESSES = [
    {"process": "poisson", "rate": 5},
    {"process": "gamma", "rate": 5, "cv": 3},
    {"process": "gamma", "rate": 5, "cv": 0.4},
    {"process": "weibull", "rate": 5, "cv": 3},
    {"process": "constant", "rate": 5},
    {"process": "on-off", "rate_on": 40, "mean_on": 1, "mean_off": 3},
    {"process": "windowed-gamma", "rate": 5, "cv": 1.5, "window": 300, "rate_cv": 0.4, "cv_spread": 0.3},
]


class Rows:
    """A trace in memory, in tables of some size."""

    def __init__(self, arrival_s, input_tokens, output_tokens, size=10_000, notes=(), **others):
        self._table = pa.table({"arrival_s": arrival_s, "input_tokens": input_tokens, "output_tokens": output_tokens, **others})
        self._size = size
        self._notes = notes

    def tables(self):
        for start in range(0, len(self._table), self._size):
            yield self._table.slice(start, self._size)

    def notes(self):
        return list(self._notes)


def generated(seed=1, *, round_times=lambda times: times, size=10_000, **changes):
    """The rows of a generated workload, with times as some clock would have written them."""
    said = {"num_requests": 30_000, "arrivals": PROCESSES[0], "input": LOGNORMAL, "output": GAMMA} | changes
    chunks = list(generate(read_spec(said, "test.yaml"), seed).chunks())
    names = ("arrival_time", "num_prompt_tokens", "num_output_tokens")
    times, prompts, outputs = (np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in names)
    return Rows(round_times(times), prompts, outputs, size)


# By hand


def test_a_small_trace_worked_out_by_hand():
    told = describe(Rows([2.0, 3.0, 6.0, 6.0], [10, 20, 30, 40], [4, 3, 3, 1], notes=["one row was left out"]))
    assert told.num_requests == 4
    assert told.span == 4.0
    assert told.rate == 0.75
    assert told.interarrival_cv == pytest.approx(np.std([1, 3, 0]) / np.mean([1, 3, 0]))
    assert (told.input.mean, told.input.p50, told.input.p90, told.input.max) == (25, 20, 40, 40)
    assert told.rank_correlation == pytest.approx(-3 / np.sqrt(10))  # ranks 1 2 3 4 against 4 2.5 2.5 1
    assert told.notes[0] == "one row was left out"
    assert told.sessions is None
    assert told.prefixes is None


def test_windows_count_whole_windows_only_and_empty_ones_too():
    window = WindowTally(10.0, 0.0)
    for times in ([0.0, 1.0], [9.0, 31.0], [32.0, 41.0]):
        window.add(np.array(times))
    counts = [3, 0, 0, 2]  # the fifth window may not be over
    assert window.num_windows == 4
    assert window.dispersion == pytest.approx(np.var(counts) / np.mean(counts))
    assert window.peak_over_mean == pytest.approx(3 / np.mean(counts))


def test_sessions_are_counted():
    ids = ["a", "b", None, "a", "c", "a"]
    told = describe(Rows(np.arange(6.0), [1] * 6, [1] * 6, size=2, session_id=pa.array(ids)))
    assert (told.sessions.num_sessions, told.sessions.turns_mean, told.sessions.turns_max) == (3, pytest.approx(5 / 3), 3)
    assert told.sessions.multi_turn_share == pytest.approx(1 / 3)


def test_a_prefix_is_shared_as_far_as_the_leading_ids_were_seen():
    ids = [[1, 2, 3], [1, 2, 9], None, [7, 1], [1, 2, 9]]
    told = describe(
        Rows(
            np.arange(5.0),
            [30, 25, 10, 20, 29],
            [1] * 5,
            size=2,
            prefix_hash_ids=pa.array(ids, pa.list_(pa.int32())),
            prefix_block_tokens=pa.array([10] * 5, pa.int32()),
        )
    )
    assert told.prefixes.num_blocks == 11
    assert told.prefixes.block_hit_share == pytest.approx((0 + 2 + 0 + 3) / 11)
    assert told.prefixes.token_hit_share == pytest.approx((20 + 29) / (30 + 25 + 20 + 29))


@pytest.mark.parametrize("size", [7, 1000])
def test_a_description_does_not_depend_on_the_size_of_the_tables(size):
    pieces, whole = (describe(generated(num_requests=2500, size=s)) for s in (size, 10_000))
    assert pieces.figures()["input"] == whole.figures()["input"]
    assert pieces.rank_correlation == whole.rank_correlation
    assert pieces.interarrival_cv == pytest.approx(whole.interarrival_cv, rel=1e-9)
    assert [w.dispersion for w in pieces.windows] == pytest.approx([w.dispersion for w in whole.windows])


def test_the_figures_are_plain_json():
    told = json.loads(json.dumps(describe(generated(num_requests=500)).figures()))
    assert told["arrival_fit"]["best"]["process"] == "poisson"
    assert told["windows"][0]["window"] == 1.0


# Tallies


def test_lengths_are_counted_whatever_the_pieces():
    rng = np.random.default_rng(1)
    lengths = rng.integers(0, 50, 1000)
    tally = LengthTally()
    for piece in np.split(lengths, [10, 400, 401]):
        tally.add(piece)
    assert np.repeat(tally.values, tally.counts).tolist() == sorted(lengths.tolist())
    assert tally.cv == pytest.approx(lengths.std() / lengths.mean())
    assert tally.quantile(0.5) == np.sort(lengths)[499]


def test_a_large_trace_gives_a_thinned_but_faithful_correlation():
    rng = np.random.default_rng(1)
    first = rng.integers(0, 1000, 20_000)
    second = first + rng.integers(0, 1000, 20_000)
    everything, thinned = PairSample(), PairSample(limit=3000)
    everything.add(first, second)
    for start in range(0, 20_000, 777):
        thinned.add(first[start : start + 777], second[start : start + 777])
    assert thinned.rank_correlation() == pytest.approx(everything.rank_correlation(), abs=0.03)


def test_windows_of_an_endless_trace_are_joined_in_twos():
    times = np.sort(np.random.default_rng(1).uniform(0, 1000, 500))
    joined, plain = WindowGaps(1.0, 0.0, most=128), WindowGaps(8.0, 0.0)
    for tally in (joined, plain):
        for piece in np.split(times, [13, 100, 350]):
            tally.add(piece, np.ones(len(piece)))
    assert joined.window == 8.0
    assert np.array_equal(joined.by(1), plain.by(1))


def test_every_gap_is_in_a_bin():
    tally = GapTally()
    tally.add(np.array([0.0, 1e-9, 0.5, 3.0, 1e9]))
    assert tally.histogram.sum() == 5
    assert tally.num_zero == 1


# Which law


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_the_process_that_made_the_arrivals_is_recognised(process):
    assert describe(generated(arrivals=process)).arrival_fit.best.process == process["process"]


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_the_fitted_generator_has_the_rate_cv_and_lengths_of_the_trace(process):
    told = describe(generated(arrivals=process, correlation=0.4))
    again = describe(generated(2, **fit_spec(told).model_dump(exclude_unset=True)))
    assert again.rate == pytest.approx(told.rate, rel=0.06)
    assert again.interarrival_cv == pytest.approx(told.interarrival_cv, rel=0.06, abs=1e-6)
    assert again.input.mean == pytest.approx(told.input.mean, rel=0.02)
    assert again.input.cv == pytest.approx(told.input.cv, rel=0.05)
    assert again.output.mean == pytest.approx(told.output.mean, rel=0.02)
    assert again.output.p99 == pytest.approx(told.output.p99, rel=0.05)
    assert again.rank_correlation == pytest.approx(told.rank_correlation, abs=0.03)


def test_length_laws_are_recognised():
    told = describe(generated(input=GAMMA, output=LOGNORMAL))
    assert told.input_fit.best.distribution == "gamma"
    assert told.output_fit.best.distribution == "lognormal"


def test_one_length_is_a_fixed_one():
    assert describe(Rows([0.0, 1.0], [7, 7], [1, 2])).input_fit.best.value == 7


def test_lengths_of_two_kinds_are_kept_as_seen():
    rng = np.random.default_rng(1)
    lengths = np.where(rng.random(20_000) < 0.3, rng.integers(50, 60, 20_000), rng.integers(3000, 4000, 20_000))
    told = describe(Rows(np.arange(20_000.0), lengths, lengths))
    assert told.input_fit.best.distribution == "empirical"
    spec = fit_spec(told)
    prompts = next(generate(spec, 1).chunks()).num_prompt_tokens
    assert prompts.mean() == pytest.approx(lengths.mean(), rel=0.01)
    assert np.mean(prompts < 100) == pytest.approx(0.3, abs=0.01)


def test_a_few_requests_are_described_without_pretending():
    told = describe(generated(num_requests=5))
    assert told.arrival_fit.best.process == "poisson"
    assert "too few" in told.arrival_fit.criterion


def test_a_single_request_has_no_rate():
    told = describe(generated(num_requests=1))
    assert told.rate is None
    assert told.arrival_fit is None


# Clocks


@pytest.mark.parametrize(
    ("process", "cv"), [({"process": "poisson", "rate": 5}, None), ({"process": "gamma", "rate": 5, "cv": 3}, 3.0)], ids=str
)
def test_a_clock_of_whole_seconds_is_noticed_and_not_fitted(process, cv):
    told = describe(generated(arrivals=process, round_times=np.floor))
    assert told.time_step == 1.0
    assert "steps of 1 s" in told.notes[-1]
    assert told.arrival_fit.best.process == process["process"]
    if cv is not None:
        assert told.arrival_fit.best.cv == pytest.approx(cv, rel=0.15)


def test_windowed_rates_show_through_a_coarse_clock():
    process = {"process": "windowed-gamma", "rate": 5, "cv": 1, "window": 600, "rate_cv": 0.5}
    fit = describe(generated(arrivals=process, round_times=np.floor)).arrival_fit.best
    assert fit.process == "windowed-gamma"
    assert fit.rate_cv == pytest.approx(0.5, rel=0.35)


def test_a_clock_that_ticks_a_little_unevenly_is_a_clock():
    ticks = np.random.default_rng(1).choice([2.999, 3.0, 3.003], 500)
    assert clock_step(np.where(np.arange(500) % 10 == 0, ticks, 0.0)) == 3.0


def test_continuous_times_have_no_step():
    assert clock_step(np.random.default_rng(1).exponential(0.2, 5000)) == 0.0


def test_gaps_of_all_sizes_are_described():
    gaps = np.concatenate([np.logspace(-5, 15, 40), np.full(4, 1e15)])
    assert clock_step(gaps) == 0.0
    found = describe(Rows(np.concatenate([[0.0], np.cumsum(gaps)]), np.full(45, 10), np.full(45, 10)))
    assert found.num_requests == 45


def test_equal_gaps_are_called_what_they_may_be():
    told = describe(Rows(np.arange(50.0), [1] * 50, [1] * 50))
    assert told.arrival_fit.best.process == "constant"
    assert "no times" in told.notes[-1]


def test_requests_all_at_once_have_lengths_but_no_rate_to_fit():
    told = describe(Rows([0.0] * 50, list(range(50)), [1] * 50))
    assert told.rate is None
    with pytest.raises(WorkloadError, match="closed loop"):
        fit_spec(told)


# At the door


def test_an_empty_trace_is_refused():
    with pytest.raises(WorkloadError, match="nothing to describe"):
        describe(Rows(pa.array([], pa.float64()), pa.array([], pa.int32()), pa.array([], pa.int32())))


def test_times_that_run_back_are_refused():
    with pytest.raises(WorkloadError, match="back in time, to 1 s"):
        describe(Rows([0.0, 2.0, 1.0], [1, 1, 1], [1, 1, 1], size=2))


def test_a_fitted_fragment_can_be_read_back():
    told = describe(generated(arrivals=PROCESSES[-1], correlation=0.4))
    text = fragment(told, "some trace")
    assert text.startswith("# Fitted to some trace: 30,000 requests in ")
    assert read_spec(yaml.safe_load(text)["workload"], "fit.yaml") == fit_spec(told)


# Real traces


@needs_traces
def test_mooncake_conversations_share_the_published_blocks_and_tick_in_3_s():
    told = describe(open_trace(SHARED / "mooncake_conversation.parquet"))
    assert told.prefixes.num_blocks == 288_500
    assert told.prefixes.block_hit_share == pytest.approx(0.366, abs=0.0005)
    assert told.time_step == 3.0
    assert told.arrival_fit.best.cv < 2 < told.interarrival_cv


@needs_traces
def test_the_azure_conversations_have_the_catalogue_s_figures_and_a_generator_near_them():
    told = describe(open_trace(SHARED / "azure2023_conv.parquet"))
    assert told.num_requests == 19_366
    assert told.rate == pytest.approx(5.530, abs=0.001)
    assert told.interarrival_cv == pytest.approx(1.09, abs=0.005)
    assert (told.input.p50, told.output.p50, told.output.p99) == (1020, 129, 601)
    again = describe(generated(**fit_spec(told).model_dump(exclude_unset=True)))
    assert again.rate == pytest.approx(told.rate, rel=0.04)
    assert again.interarrival_cv == pytest.approx(told.interarrival_cv, rel=0.04)
    assert again.input.mean == pytest.approx(told.input.mean, rel=0.02)
    assert again.output.mean == pytest.approx(told.output.mean, rel=0.02)
