"""How `--help` looks: names of flags are never split, whatever the width."""

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

from cyclopts.help.specs import AsteriskColumn, ColumnSpec, DescriptionRenderer, NameRenderer

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry
    from rich.console import Console, ConsoleOptions

LONGEST_NAME = 34  # `--long-prefill-token-threshold INT`; cyclopts alone gives names a third of the width, and breaks them there


def columns(console: "Console", options: "ConsoleOptions", entries: "Sequence[HelpEntry]") -> tuple[ColumnSpec, ...]:
    """A mark where something is required, names, and what they are."""
    width = max(LONGEST_NAME, ceil(console.width * 0.35))
    names = ColumnSpec(renderer=NameRenderer(max_width=width), header="Option", style="cyclopts.name", max_width=width)
    described = ColumnSpec(renderer=DescriptionRenderer(), header="Description", overflow="fold")
    return (AsteriskColumn, names, described) if any(entry.required for entry in entries) else (names, described)
