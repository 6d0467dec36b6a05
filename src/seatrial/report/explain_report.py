"""What `seatrial explain` shows people: where a step's milliseconds go, and why the KV cache is as large as it is."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from seatrial.core.units import bytes_text, seconds_text
from seatrial.report.setup_report import setup_lines
from seatrial.report.tables import number_text, pairs, paragraph, share_text, table
from seatrial.trial.notes import setup_notes
from seatrial.trial.probe import KvFacts, Peaks, Step, kv_facts, peaks, step_notes
from seatrial.trial.setup import ReplicaSetup


def explain_report(setup: ReplicaSetup, steps: Sequence[Step], context: int) -> RenderableType:
    return Group(*_parts(setup, steps, context))


def _parts(setup: ReplicaSetup, steps: Sequence[Step], context: int) -> Iterator[RenderableType]:
    yield setup_lines(setup)
    for step in steps:
        yield Text()
        yield paragraph(f"A step with {step.name} takes {seconds_text(step.seconds)}", style="bold")
        if step.operators:
            yield operator_table(step)
        else:
            yield paragraph("A price per token, as --cost gives it, has no operators to tell apart.")
    if rates := peaks(setup):
        yield peaks_line(rates)
        yield Text()
        yield paragraph("How these times are known", style="bold")
        yield curve_table(steps)
        yield from (confidence_line(step) for step in steps if step.confidence is not None)
    yield Text()
    yield paragraph(f"The KV cache holds {setup.capacity.capacity_tokens:,} tokens", style="bold")
    yield pairs(memory_rows(setup, kv_facts(setup, context)))
    notes = [*step_notes(setup, steps), *setup_notes(setup)]
    yield from (paragraph(note, label="note: ", style="dim") for note in notes)


def operator_table(step: Step) -> Table:
    """FLOPs and bytes are those of one accelerator."""
    made = table("<operator", "ms", "share", "<bound by", "GFLOP", "GB")
    for part in step.operators:
        flops = number_text(part.flops / 1e9) if part.flops else ""
        num_bytes = number_text(part.bytes / 1e9) if part.bytes else ""
        made.add_row(Text(part.name), f"{part.seconds * 1e3:.3f}", f"{100 * part.share:.1f} %", part.bound, flops, num_bytes)
    return made


def curve_table(steps: Sequence[Step]) -> Table:
    """Whose curve each operator has, and its error: half of such times are nearer. Twice where the steps differ in how it is known."""
    made = table("<operator", "<curve of", "<for", "<known", "error")
    seen: set[tuple[str, str]] = set()
    for part in (part for step in steps for part in step.operators):
        known = part.estimate
        if known is not None and (part.name, known.provenance) not in seen:
            seen.add((part.name, known.provenance))
            what = known.curve.partition(".")[2]
            made.add_row(Text(part.name), Text(known.accelerator), Text(what), known.provenance, f"{100 * known.error.median:.0f} %")
    return made


def confidence_line(step: Step) -> Text:
    assert step.confidence is not None
    known = step.confidence
    return paragraph(
        f"{step.name}: {share_text(known.share)} of the time has a curve, {known.provenance} or better but for small parts; half of such "
        f"times are off by {100 * known.error.median:.0f} % or less, nine in ten by {100 * known.error.p90:.0f} %. The rest is the "
        "engine's profile."
    )


def peaks_line(rates: Peaks) -> Text:
    return paragraph(
        f"Peaks of all accelerators together: {number_text(rates.flops / 1e12)} TFLOP/s and {number_text(rates.bandwidth / 1e12)} TB/s; "
        f"work of more than {number_text(rates.ridge)} FLOPs per byte is bound by compute, else by memory."
    )


def memory_rows(setup: ReplicaSetup, facts: KvFacts) -> list[tuple[str, str]]:
    """The memory is that of one accelerator, in the order in which vLLM takes it away."""
    memory, capacity = setup.capacity.memory, setup.capacity
    share = setup.engine.gpu_memory_utilization
    rows = [
        ("memory", bytes_text(memory.total)),
        (f"requested ({share:g} of it)", bytes_text(memory.requested)),
        ("- weights", bytes_text(memory.weights)),
        ("- activations", bytes_text(memory.activations)),
        ("- outside PyTorch", bytes_text(memory.non_torch)),
        ("- CUDA graphs", bytes_text(memory.cuda_graphs)),
        ("- recurrent states", bytes_text(capacity.sequence_states)),
        ("= left for blocks", bytes_text(max(memory.available - capacity.sequence_states, 0))),
        ("bytes per token", bytes_text(facts.bytes_per_token)),
        ("tokens per block", f"{capacity.block_size}"),
        ("bytes per block", bytes_text(capacity.block_bytes)),
        ("blocks", f"{capacity.num_blocks:,}"),
        ("tokens", f"{capacity.capacity_tokens:,}"),
        (f"of {facts.context:,} tokens fit", f"{facts.num_sequences:,} sequences"),
        ("max_num_seqs allows", f"{facts.most_sequences:,}"),
        ("max_model_len", f"{setup.engine.max_model_len:,}"),
    ]
    return [(name, value) for name, value in rows if not (name in ("- CUDA graphs", "- recurrent states") and value == "0 B")]
