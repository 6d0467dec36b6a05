"""Which numbers of an engine profile whole runs decide, and what is believed of them before."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import NamedTuple

from seatrial.core.engine_profile import EngineProfile
from seatrial.core.errors import FitError, nearest


class Knob(NamedTuple):
    """A number of a profile, for all accelerators or for those of one `architecture`.

    What is believed of its logarithm: that it is normal around `prior`, give or take `spread`. It is `most` at most.
    """

    name: str
    prior: float
    spread: float
    architecture: str = ""
    most: float = inf

    @property
    def place(self) -> str:
        """Where it stands in a profile's file."""
        return f"on.{self.architecture}.{self.name}" if self.architecture else self.name


KNOBS = (
    Knob("gemm_scale", 1.0, 0.1),
    Knob("experts_scale", 1.0, 0.15),
    Knob("expert_skew", 0.4, 0.7),
    Knob("attention_fixed", 6e-6, 0.6),
    Knob("small_kernel_fixed", 3e-6, 0.5),
    Knob("all_reduce_fixed", 5e-6, 0.7),
    Knob("per_step", 0.3e-3, 1.0),
    Knob("per_prompt_step", 0.2e-3, 1.0),
    Knob("per_sequence", 3e-6, 1.2),
    Knob("sort_operations_per_logit", 8000.0, 1.0),
    Knob("before_request", 5e-3, 0.7),
)
"""Of an engine; the priors are what is common among engines, and wide enough to be overruled by a few runs."""

OF_ARCHITECTURES = Knob("attention_memory", 0.8, 0.4, most=1.0)
"""Decode attention belongs to an engine on an architecture: it chooses the kernel by it."""

BY_NAME = (
    Knob("expert_imbalance", 1.3, 0.3),
    Knob("attention_scale", 1.2, 0.4),
    Knob("unpacking_scale", 1.2, 0.4),
    Knob("narrow_attention_memory", 0.6, 0.4, most=1.0),
    Knob("launch", 25e-6, 0.5),
)
"""What only few runs feel, and so is fitted for who asks: experts on several ranks, long prompts, unpacked weights, fp8 caches, steps that
are not captured."""

Values = Mapping[Knob, float]


def knobs_for(architectures: Sequence[str], names: Sequence[str] | None = None) -> tuple[Knob, ...]:
    """The knobs that runs can tell on these architectures, or those of the given names.

    A name like `on.Hopper.gemm_scale` is a number for that architecture alone, where it takes the place of the plain one.
    """
    usual = (*KNOBS, *(OF_ARCHITECTURES._replace(architecture=name) for name in sorted(set(architectures))))
    if names is None:
        return usual
    known = (*usual, *BY_NAME)
    found: list[Knob] = []
    for name in dict.fromkeys(names):
        prefix, _, number = name.rpartition(".")
        alike = [knob for knob in known if knob.name == number]
        if not alike or (prefix and prefix.removeprefix("on.") not in architectures):
            numbers = {knob.name for knob in known}
            close = nearest(number, numbers, few=len(numbers))
            raise FitError(f"no number of a profile is called {name!r}, or none that is fitted here; {close}")
        found += [alike[0]._replace(architecture=prefix.removeprefix("on."))] if prefix else alike
    return tuple(dict.fromkeys(found))  # one that is named twice is fitted once


def start_values(knobs: Sequence[Knob], profiles: Mapping[str, EngineProfile]) -> dict[Knob, float]:
    """What the profile says now (`profiles` by architecture), or the prior where it says nothing or zero."""
    plain = next(iter(profiles.values()))
    return {knob: getattr(profiles.get(knob.architecture, plain), knob.name) or knob.prior for knob in knobs}


def turned(profile: EngineProfile, architecture: str, values: Values) -> EngineProfile:
    """The profile with these values, as far as they are for all architectures or for this one, which comes first."""
    own = {knob.name: value for kind in ("", architecture) for knob, value in values.items() if knob.architecture == kind}
    return replace(profile, **own)  # type: ignore[arg-type]  # knobs are numbers
