"""The naive reference: `docs/schedulers.md` in plain code, one token and one sequence at a time.

It shares nothing with the package and imports the standard library only. It is what the engine is checked against.
"""

from reference.cost import Cost, Sums
from reference.loop import SCHEDULERS, simulate
from reference.nouns import Config, Outcome, Row, Run, Step

__all__ = ["SCHEDULERS", "Config", "Cost", "Outcome", "Row", "Run", "Step", "Sums", "simulate"]
