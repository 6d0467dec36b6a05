"""The cost whose every figure can be worked out by hand: a step is a weighted sum of its work."""

from dataclasses import dataclass, fields

from seatrial.core.batch import Batch, DecodeLaw, RequestOverhead
from seatrial.core.errors import ScenarioError, nearest
from seatrial.core.record import EngineTotals
from seatrial.cost.explain import OperatorTime

MOST_SECONDS = 1e6


@dataclass(frozen=True, slots=True)
class AffineCost:
    """`base + per_prompt_token * prompt tokens + per_prompt_pair * pairs + per_decode * decodes + per_context_token * context`, in seconds.

    Every step takes time: where `base` is zero, prompts need a price (per token or per pair) and so do decodes (each or per context).
    """

    base: float = 0.0
    per_prompt_token: float = 0.0
    per_prompt_pair: float = 0.0
    per_decode: float = 0.0
    per_context_token: float = 0.0

    def __post_init__(self) -> None:
        for term in TERMS:
            seconds = getattr(self, term)
            if not 0 <= seconds <= MOST_SECONDS:
                raise ScenarioError(
                    f"affine cost: {term} is {seconds!r}; it must be a number of seconds from 0 to {MOST_SECONDS:g}, like 2e-5"
                )
        prompts_take_time = self.per_prompt_token > 0 or self.per_prompt_pair > 0
        decodes_take_time = self.per_decode > 0 or self.per_context_token > 0
        if not (self.base > 0 or (prompts_take_time and decodes_take_time)):
            raise ScenarioError(
                "affine cost: a step could take no time at all; give a base above zero, "
                "or prices for both prompts (per_prompt_token or per_prompt_pair) and decodes (per_decode or per_context_token)"
            )

    @classmethod
    def parse(cls, text: str) -> "AffineCost":
        """Read `base=0.005,per_prompt_token=2e-5` (seconds; terms that are not named are zero)."""
        terms: dict[str, float] = {}
        for part in text.split(","):
            name, equals, word = (piece.strip() for piece in part.partition("="))
            if not equals:
                raise ScenarioError(f"affine cost {text!r}: {part.strip()!r} has no value; write TERM=SECONDS, like base=0.005")
            if name not in TERMS:
                raise ScenarioError(f"affine cost {text!r}: no term {name!r}; {nearest(name, TERMS)}")
            if name in terms:
                raise ScenarioError(f"affine cost {text!r}: {name} is given twice; leave one")
            try:
                terms[name] = float(word)
            except ValueError:
                raise ScenarioError(f"affine cost {text!r}: {name} is {word!r}, not a number of seconds like 2e-5") from None
        return cls(**terms)

    @property
    def attention_window(self) -> None:
        return None

    @property
    def request_overhead(self) -> RequestOverhead:
        return RequestOverhead(0.0, 0.0)

    def step_time(self, batch: Batch) -> float:
        return (
            self.base
            + self.per_prompt_token * batch.num_prompt_tokens
            + self.per_prompt_pair * batch.prompt_pairs
            + self.per_decode * batch.num_decodes
            + self.per_context_token * batch.decode_context
        )

    def decode_law(self, num_decodes: int, context: int) -> DecodeLaw:
        return DecodeLaw(self.base + self.per_decode * num_decodes, self.per_context_token)

    def work(self, totals: EngineTotals) -> None:
        """Nothing: prices per token say nothing of FLOPs or bytes."""

    def run_provenance(self, totals: EngineTotals) -> None:
        """Nothing: whoever names a price knows how sure it is."""

    def run_parts(self, totals: EngineTotals) -> list[OperatorTime]:
        """None: it knows no operators."""
        return []


TERMS = tuple(field.name for field in fields(AffineCost))
