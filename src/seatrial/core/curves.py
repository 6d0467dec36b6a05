"""What real kernels reach on an accelerator: a few numbers per operator and number format, their source and their error."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class GemmCurve:
    """A matrix product of `rows x K` by `K x N`. Shares of the peaks are in (0, 1], times in seconds.

    compute = 2 (rows + half_rows) (K + half_inputs) (N + half_outputs) / (peak * compute)
    memory  = bytes / (bandwidth * memory)
    seconds = (compute^blend + memory^blend)^(1/blend) + fixed + per_input * K
    """

    compute: float
    memory: float
    fixed: float
    per_input: float
    half_rows: float
    half_inputs: float
    half_outputs: float
    blend: float


@dataclass(frozen=True, slots=True)
class ExpertsCurve:
    """The routed experts of one layer: as a GEMM of all their rows, of which `half_rows` more for each expert reached are empty.

    To sort rows by expert, and to add up a token's experts, every row of the hidden size is written and read again, whatever part of
    an expert's width a rank holds: at a share `rows_memory` of the bandwidth. `spread` comes on top where ranks hold whole experts, and
    so must find out which tokens are theirs.
    """

    compute: float
    memory: float
    fixed: float
    half_rows: float
    rows_memory: float
    spread: float
    blend: float


@dataclass(frozen=True, slots=True)
class PromptCurve:
    """Attention of one layer over prompt chunks; `pairs` are query-key products, head dimensions and formats as in docs/cost.md.

    arithmetic = flops of the pairs * (1 + half_heads / heads) / (peak * compute)
    seconds    = max(arithmetic, reading of keys and values) + bytes of queries and outputs / (bandwidth * memory) + fixed
    """

    compute: float
    memory: float
    fixed: float
    half_heads: float


@dataclass(frozen=True, slots=True)
class DecodeCurve:
    """Attention of one layer for decodes.

    seconds = max(flops / (peak * compute), bytes of the cache / (bandwidth * memory)) + per_row * heads * sequences + fixed
    """

    compute: float
    memory: float
    fixed: float
    per_row: float


@dataclass(frozen=True, slots=True)
class AllReduceCurve:
    """The sum of a message of `m` bytes over `n` ranks of a node, `B` the bandwidth of a device's links.

    seconds = latency + per_rank (n - 1) + min((n - 1) m / (B one_shot), second_latency + 2 (n - 1) / n * m / (B two_shots))

    Where ranks get in each other's way (cards that meet over the host's PCIe), `B` shrinks to `B (2 / n)^crowding`.
    """

    latency: float
    per_rank: float
    one_shot: float
    two_shots: float
    second_latency: float
    crowding: float


@dataclass(frozen=True, slots=True)
class TransferCurve:
    """Bytes that a rank sends: all-gather, all-to-all, point to point. `B` and `crowding` as in an all-reduce.

    seconds = latency + per_rank (n - 1) + sent / (B * bandwidth)
    """

    latency: float
    per_rank: float
    bandwidth: float
    crowding: float


Curve = GemmCurve | ExpertsCurve | PromptCurve | DecodeCurve | AllReduceCurve | TransferCurve

KINDS: dict[str, type[Curve]] = {
    "gemm": GemmCurve,
    "experts": ExpertsCurve,
    "prompt_attention": PromptCurve,
    "decode_attention": DecodeCurve,
    "latent_prompt_attention": PromptCurve,
    "latent_decode_attention": DecodeCurve,
    "all_reduce": AllReduceCurve,
    "all_gather": TransferCurve,
    "all_to_all": TransferCurve,
    "point_to_point": TransferCurve,
}
"""Every operator that has curves, and their form."""

PROVENANCES = ("measured", "interpolated", "scaled", "roofline")
"""From the surest to the least sure: the very shape was measured on this accelerator; another shape within those that were; the curve
is a sibling's, of another format, goes beyond what was measured, or the engine's profile moves it; nothing of the kind was measured, a
common share of the peaks."""

CAUSES = {name: name for name in PROVENANCES} | {"reformatted": "scaled", "extrapolated": "scaled"}
"""What each error bar of a curve is for, and the provenance of such times. `scaled` itself is for a sibling's curve."""


class ErrorBar(NamedTuple):
    """Absolute relative error of a time: half of the times are nearer than `median`, nine in ten nearer than `p90`."""

    median: float
    p90: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """A curve and how it came about. `number_format` is the weights' or the cache's (`any` where it does not matter).

    `multiplied` is the format in which the accelerator multiplied, which may be a wider one; empty where nothing is multiplied.
    `sizes` are what was measured of each dimension of a shape, sorted, and `shapes` which of them together, in the order of `sizes`;
    without them nothing was. `reach` is from where to where each dimension of the load was measured.
    `errors` holds a bar for each cause of an error that such a time can have, as far as one is known.
    """

    operator: str
    number_format: str
    multiplied: str
    curve: Curve
    accelerator: str
    source: str
    sizes: Mapping[str, tuple[float, ...]]
    errors: Mapping[str, ErrorBar]
    shapes: frozenset[tuple[float, ...]] = frozenset()
    reach: Mapping[str, tuple[float, float]] = field(default_factory=dict)


class Estimate(NamedTuple):
    """How an operator's time is known: by which accelerator's curve, and how far that may be off."""

    provenance: str
    error: ErrorBar
    accelerator: str
    curve: str
    source: str


class Confidence(NamedTuple):
    """How well the time of a step, or of a run's steps, is known.

    `provenance` is the least sure one of what makes up a tenth of the time or more, `error` the mean of the bars by time.
    `classes` has the share of the time by provenance, and under `profile` that which the engine's profile gives: its error is not in the
    bar. `curves` are named `ACCELERATOR OPERATOR.FORMAT`, the one that most of the time rests on first; `sources` are theirs.
    """

    provenance: str
    error: ErrorBar
    classes: Mapping[str, float]
    curves: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def share(self) -> float:
        """Of the time that has a curve."""
        return 1.0 - self.classes.get(PROFILE, 0.0)


PROFILE = "profile"


@dataclass(frozen=True, slots=True)
class Curves:
    """All that may be used for one accelerator, the nearest first: its own, those of its relatives, at last the generic ones."""

    accelerator: str
    fitted: tuple[Fitted, ...]

    def find(self, operator: str, number_format: str, multiplied: str) -> Fitted:
        """The nearest curve of this very format; else the nearest that multiplies so; else the nearest of the operator."""
        known = [each for each in self.fitted if each.operator == operator]
        assert known, f"no curve of {operator}; the generic ones have every operator"
        exact = (each for each in known if each.number_format == number_format and each.multiplied == multiplied)
        alike = (each for each in known if each.multiplied == multiplied and each.number_format in ("bf16", "any"))
        return next(exact, None) or next(alike, None) or known[0]

    def estimate(self, fitted: Fitted, number_format: str, sizes: Mapping[str, float], *, moved: float = 1.0) -> Estimate:
        """Of a time that `fitted` gives for these sizes, of the shape and of the load, and that an engine's profile makes `moved` times
        as long. Where several things make it less sure, the widest bar counts."""
        causes = self._causes(fitted, number_format, sizes)
        if fitted.sizes and max(moved, 1 / moved) > 1 + self._bar(fitted, causes).median:
            causes = (*causes, "scaled")
        provenance = max((CAUSES[cause] for cause in causes), key=PROVENANCES.index)
        name = f"{fitted.operator}.{fitted.number_format}"
        return Estimate(provenance, self._bar(fitted, causes), fitted.accelerator, name, fitted.source)

    def _causes(self, fitted: Fitted, number_format: str, sizes: Mapping[str, float]) -> tuple[str, ...]:
        if not fitted.sizes:
            return ("roofline",)
        found = {
            "scaled": fitted.accelerator != self.accelerator,
            "reformatted": fitted.number_format not in (number_format, "any"),
            "extrapolated": _beyond(fitted, sizes),
        }
        causes = tuple(cause for cause, so in found.items() if so)
        if "scaled" in causes or "reformatted" in causes:
            return causes
        return ("measured" if _very_shape(fitted, sizes) else "interpolated", *causes)

    def _bar(self, fitted: Fitted, causes: Iterable[str]) -> ErrorBar:
        bars = [self._bar_of(fitted, cause) for cause in causes]
        return ErrorBar(max(bar.median for bar in bars), max(bar.p90 for bar in bars))

    def _bar_of(self, fitted: Fitted, cause: str) -> ErrorBar:
        """Its own, else that of the nearest curve of the operator that has one; the least sure of its own if none has."""
        alike = (each for each in self.fitted if each.operator == fitted.operator and cause in each.errors)
        known = fitted if cause in fitted.errors else next(alike, None)
        return known.errors[cause] if known else max(fitted.errors.values(), key=lambda bar: bar.p90)

    def __iter__(self) -> Iterator[Fitted]:
        return iter(self.fitted)


def _beyond(fitted: Fitted, sizes: Mapping[str, float]) -> bool:
    """Whether a dimension leaves what was measured of it."""
    reach = {name: (known[0], known[-1]) for name, known in fitted.sizes.items()} | dict(fitted.reach)
    return any(not least <= sizes[name] <= most for name, (least, most) in reach.items() if name in sizes)


def _very_shape(fitted: Fitted, sizes: Mapping[str, float]) -> bool:
    """Whether all dimensions of the shape were measured together. Of one that is not asked for, any will do."""
    asked = [(place, sizes[name]) for place, name in enumerate(fitted.sizes) if name in sizes]
    return any(all(shape[place] == size for place, size in asked) for shape in fitted.shapes)
