"""The cost of a step: operators over the roofline of an accelerator and its measured curves, plus the engine's own overheads."""

from collections.abc import Iterator
from dataclasses import replace
from math import inf

import numpy as np

from seatrial.core.accelerator import Accelerator
from seatrial.core.batch import Batch, DecodeLaw, RequestOverhead
from seatrial.core.curves import Confidence, Curves
from seatrial.core.deployment import EngineConfig, Parallelism
from seatrial.core.engine_profile import EngineProfile
from seatrial.core.model import ModelSpec, Sampling
from seatrial.core.record import EngineTotals, Work
from seatrial.cost.attention import attention_times, attention_work
from seatrial.cost.explain import OperatorTime, Sums, attention_parts, confidence, merge, operator_times, overhead
from seatrial.cost.formats import kv_cache_format, main_compute_rate
from seatrial.cost.forward import sampled_operators, token_operators
from seatrial.cost.kernels import FloatArray
from seatrial.cost.launches import num_launches
from seatrial.cost.operators import Device, Load, Overhead
from seatrial.cost.parallelism import check_parallelism
from seatrial.cost.run import typical_steps
from seatrial.cost.table import MAX_LENGTH, GraphSizes, StepTable
from seatrial.cost.work import run_need


class RooflineCost:
    """Step times of a model on accelerators under an engine. docs/cost.md has every formula.

    Under data parallelism the tokens and sequences of a step are spread evenly over the ranks, which go in lockstep; experts spread over
    all ranks see all tokens. Under pipeline parallelism the time is that of all stages, one after the other, hops included.
    """

    def __init__(
        self,
        model: ModelSpec,
        accelerator: Accelerator,
        parallelism: Parallelism,
        engine: EngineConfig,
        curves: Curves,
        profile: EngineProfile,
    ) -> None:
        check_parallelism(model, accelerator, parallelism)
        self.model = model
        self.parallelism = parallelism
        self.profile = profile
        self._engine = engine
        self.attention_window = model.attention_window
        self.request_overhead = RequestOverhead(profile.before_request, profile.after_token)
        self._device = Device(accelerator, curves, profile)
        self._kv_cache = kv_cache_format(model, engine)
        self._graphs = GraphSizes(engine)
        self._captured_tokens = self._graphs.prompts * parallelism.data_parallel
        self._captured_decodes = self._graphs.decodes * parallelism.data_parallel
        self._sampling = model.sampling if engine.generation_config == "auto" else Sampling()
        self._set_operators()
        self._set_rates()

    def _set_operators(self) -> None:
        forward = token_operators(self.model, self.parallelism, self._kv_cache, self._device)
        self._token_operators = (*forward, Overhead("engine, per step", self.profile.per_step))
        self._sampled_operators = sampled_operators(self.model, self.parallelism, self._device, self._sampling)
        self._tokens = StepTable(self._token_operators, self._token_load)
        self._sampled = StepTable(self._sampled_operators, self._sampled_load)
        self._sampled.seconds[0] = 0.0  # nobody emits a token: no LM head
        self._launching = self.profile.launch * num_launches((*self._token_operators, *self._sampled_operators))
        self._token_seconds = self._tokens.seconds
        self._sampled_seconds = self._sampled.seconds

    def _set_rates(self) -> None:
        """The linear part, in seconds per unit of the batch's sums."""
        ranks = self.parallelism.data_parallel
        self._full_work = attention_work(self.model, self.parallelism, self._kv_cache, windowed=False)
        self._near_work = attention_work(self.model, self.parallelism, self._kv_cache, windowed=True)
        self._full = attention_times(self.model, self.parallelism, self._kv_cache, self._device, windowed=False)
        self._near = attention_times(self.model, self.parallelism, self._kv_cache, self._device, windowed=True)
        self._full_alone, self._near_alone = (
            attention_times(self.model, self.parallelism, self._kv_cache, self._device.alone, windowed=windowed)
            for windowed in (False, True)
        )
        full, near = self._full, self._near
        token = full.token + near.token
        self._prompt_rates = (full.pair, full.cached_token, full.read, token, self.profile.per_prompt_step)
        self._near_pair, self._near_read = near.pair, near.read
        # a recurrent state is read and written once per sequence and step
        self._state_bytes = 2 * self.model.state_bytes_per_sequence() / (self.parallelism.tensor_parallel * ranks)
        self._state_seconds = self._state_bytes / (self._device.accelerator.memory_bandwidth * self.profile.elementwise_memory)
        self._sequence = self._state_seconds + full.row + near.row + self.profile.per_sequence / ranks
        self._context = self._full.decode_context
        self._near_context = self._near.decode_context

    def under(self, profile: EngineProfile) -> "RooflineCost":
        """The same replica under another profile."""
        device = self._device
        return RooflineCost(self.model, device.accelerator, self.parallelism, self._engine, device.curves, profile)

    def step_time(self, batch: Batch) -> float:
        """A step that is not captured takes at least as long as the host needs to launch its kernels.

        The attention of windowed layers comes on top of that, so that the law of decodes stays linear.
        """
        # the engine calls this for every step with a prompt in it, hence the few, flat operations; `explain` tells them apart
        num_prompts, num_prompt_tokens, pairs, context, num_decodes, decode_context, num_sampled, near_pairs, near_context, near_decode = (
            batch
        )
        try:
            seconds = self._token_seconds[num_prompt_tokens + num_decodes] + self._sampled_seconds[num_sampled]
        except IndexError:
            return self._beyond_tables(batch)
        seconds += self._sequence * (num_prompts + num_decodes) + self._context * decode_context
        captured = self._captured_decodes
        if num_prompts:
            captured = self._captured_tokens
            pair, cached, read, token, overhead = self._prompt_rates
            compute = pair * pairs + cached * (context - num_prompt_tokens)
            reading = read * context
            seconds += overhead + token * num_prompt_tokens + (compute if compute > reading else reading)
        if seconds < self._launching and num_prompt_tokens + num_decodes > captured:
            seconds = self._launching
        if near_context:
            compute, reading = self._near_pair * near_pairs, self._near_read * near_context
            seconds += compute if compute > reading else reading
        return seconds + self._near_context * near_decode

    def decode_law(self, num_decodes: int, context: int) -> DecodeLaw:
        """The same law for every context, as the bounds of a decode's attention keep their order, or one on either side of where the
        host is as slow as the accelerator."""
        batch = Batch(num_decodes=num_decodes, num_sampled=num_decodes)
        base = self.step_time(batch)
        if num_decodes <= self._captured_decodes or base > self._launching:
            return DecodeLaw(base, self._context, self._near_context)
        base = sum(part.seconds for part in self._busy_parts(batch))
        host_bound = (self._launching - base) / self._context if self._context else inf
        if context <= host_bound:
            return DecodeLaw(self._launching, 0.0, self._near_context, max_context=host_bound)
        return DecodeLaw(base, self._context, self._near_context, min_context=host_bound)

    def explain(self, batch: Batch) -> tuple[OperatorTime, ...]:
        """The parts whose seconds sum up to `step_time`, the longest first."""
        return merge(self._parts(batch))

    def provenance(self, batch: Batch) -> Confidence:
        """How well the time of this step is known, over all operators that have a curve."""
        return confidence(self._parts(batch))

    def run_provenance(self, totals: EngineTotals) -> Confidence | None:
        """The same of all steps of a run; None if there were none."""
        parts = self.run_parts(totals)
        return confidence(parts) if parts else None

    def run_parts(self, totals: EngineTotals) -> list[OperatorTime]:
        """Whose seconds sum up to about the time of all steps of a run."""
        return [replace(part, seconds=steps * part.seconds) for batch, steps in typical_steps(totals) for part in self._parts(batch)]

    def work(self, totals: EngineTotals) -> Work:
        """FLOPs and bytes that a run needed, all accelerators together; against the peaks and busy time they give MFU and MBU."""
        need = run_need(self.model, self.parallelism, self._kv_cache, self._device, totals)
        return Work(*need, self.peak_flops, self.peak_bandwidth)

    @property
    def lenders(self) -> tuple[str, ...]:
        """Whose curves the matrix products use, if not this accelerator's own."""
        one = self._token_load(np.ones(1))
        estimates = (operator.estimate(one) for operator in (*self._token_operators, *self._sampled_operators))
        names = {estimate.accelerator for estimate in estimates if estimate is not None and estimate.curve.startswith("gemm.")}
        return tuple(sorted(names - {self._device.accelerator.name}))

    @property
    def peak_flops(self) -> float:
        """FLOP/s of all accelerators in the format that most of the model's weights are multiplied in."""
        return main_compute_rate(self.model, self._device.accelerator).peak_flops * self.parallelism.num_accelerators

    @property
    def peak_bandwidth(self) -> float:
        """Bytes per second of all accelerators' memory."""
        return self._device.accelerator.memory_bandwidth * self.parallelism.num_accelerators

    def _beyond_tables(self, batch: Batch) -> float:
        num_tokens = batch.num_prompt_tokens + batch.num_decodes
        if max(num_tokens, batch.num_sampled) >= MAX_LENGTH:
            return sum(part.seconds for part in self._parts(batch))
        self._tokens.grow(num_tokens)
        self._sampled.grow(batch.num_sampled)
        return self.step_time(batch)

    def _token_load(self, tokens: FloatArray) -> Load:
        return Load(tokens, self._graphs.pad(np.ceil(tokens / self.parallelism.data_parallel)))

    def _sampled_load(self, sampled: FloatArray) -> Load:
        return Load(sampled, np.ceil(sampled / self.parallelism.data_parallel))

    def _parts(self, batch: Batch) -> Iterator[OperatorTime]:
        busy = -self._on_top(batch)
        for part in self._busy_parts(batch):
            busy += part.seconds
            yield part
        num_tokens = batch.num_prompt_tokens + batch.num_decodes
        if num_tokens > (self._captured_tokens if batch.num_prompts else self._captured_decodes):
            yield overhead("waiting for launches", max(0.0, self._launching - busy))

    def _on_top(self, batch: Batch) -> float:
        """What no waiting for the host hides."""
        prompts = max(self._near_pair * batch.window_pairs, self._near_read * batch.window_prompt_context)
        return prompts + self._near_context * batch.window_decode_context

    def _busy_parts(self, batch: Batch) -> Iterator[OperatorTime]:
        num_tokens, num_sampled = batch.num_prompt_tokens + batch.num_decodes, batch.num_sampled
        yield from operator_times(self._token_operators, self._token_load(np.array([float(num_tokens)])))
        if num_sampled:
            yield from operator_times(self._sampled_operators, self._sampled_load(np.array([float(num_sampled)])))
        ranks, num_prompts, num_decodes = self.parallelism.data_parallel, batch.num_prompts, batch.num_decodes
        num_seqs = num_prompts + num_decodes
        tokens, cached = batch.num_prompt_tokens, batch.prompt_context - batch.num_prompt_tokens
        full = Sums(num_prompts, num_decodes, tokens, batch.prompt_pairs, cached, batch.prompt_context, batch.decode_context)
        near = Sums(num_prompts, num_decodes, tokens, batch.window_pairs, 0, batch.window_prompt_context, batch.window_decode_context)
        yield from attention_parts("", full, self._full_work, self._full, self._full_alone, ranks)
        yield from attention_parts(" (window)", near, self._near_work, self._near, self._near_alone, ranks)
        yield OperatorTime("recurrent states", self._state_seconds * num_seqs, 0.0, self._state_bytes * num_seqs, "memory")
        yield overhead("engine, per sequence", self.profile.per_sequence / ranks * num_seqs)
        if batch.num_prompts:
            yield overhead("engine, per step with prompts", self.profile.per_prompt_step)
