"""The look of our tables and the units of their numbers: everything fits in 80 columns, and is plain text where there is no terminal."""

import textwrap
from collections.abc import Sequence
from math import floor, log10

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

WIDTH = 78
NOTHING = "-"


def table(*columns: str) -> Table:
    """An empty table: words to the left, numbers to the right. A column whose name begins with `<` holds words.

    Where it is too wide, words go on in the next line; numbers are never cut.
    """
    made = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), header_style="bold")
    for column in columns:
        if column.startswith("<"):
            made.add_column(Text(column.removeprefix("<")), overflow="fold")
        else:
            made.add_column(Text(column), justify="right", no_wrap=True)
    return made


def pairs(rows: Sequence[tuple[str, str]]) -> Table:
    """Names and values, two of them side by side."""
    made = Table.grid(padding=(0, 2))
    for _ in range(2):
        made.add_column(no_wrap=True)
        made.add_column(justify="right", no_wrap=True)
    half = -(-len(rows) // 2)
    right = [*rows[half:], ("", "")]
    for (name, value), (other_name, other_value) in zip(rows[:half], right):
        made.add_row(Text(f"  {name}"), Text(value), Text(f"  {other_name}"), Text(other_value))
    return made


def paragraph(text: str, *, label: str = "", style: str = "") -> Text:
    """Prose, wrapped; its further lines stand under the first one's words."""
    lines = textwrap.wrap(label + text, WIDTH, subsequent_indent=" " * len(label), break_long_words=False, break_on_hyphens=False)
    return Text("\n".join(lines), style=style)


def heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def share_text(share: float | None) -> str:
    """0.123 -> '12.3 %'. What is below the whole never shows as the whole, to four digits."""
    if share is None:
        return NOTHING
    return f"{100 * share:.2f} %" if 0.99 < share < 0.99995 else f"{number_text(100 * share)} %"


def number_text(number: float | None) -> str:
    """Three digits, or all where there are more before the point: 0.0123, 4.57, 13.0, 1,234."""
    if number is None:
        return NOTHING
    rounded = float(f"{number:.3g}")
    decimals = 2 - floor(log10(abs(rounded))) if rounded else 0
    return f"{number:,.{max(decimals, 0)}f}"


def seconds_in(unit: str, seconds: float | None) -> str:
    return NOTHING if seconds is None else number_text(seconds / UNITS[unit])


UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def unit_for(seconds: float | None) -> str:
    """In which of the units a row of numbers about this large is read most easily."""
    known = seconds or 0.0
    return "us" if 0 < known < 1e-3 else "ms" if known < 1 else "s"
