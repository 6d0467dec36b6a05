"""A small chart of columns, in characters."""

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

BLOCKS = " ▁▂▃▄▅▆▇█"
PLAIN = " .:|"  # where the terminal or the file knows only ASCII


class Columns:
    """A column per value, from zero up to the greatest; a gap where there is none. `top` and the axis' ends are their words."""

    def __init__(self, values: Sequence[float | None], *, top: str, left: str, right: str, height: int = 4) -> None:
        self.values = values
        self.top = top
        self.left = left
        self.right = right
        self.height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text("\n".join(self.lines(PLAIN if options.ascii_only else BLOCKS)))

    def lines(self, marks: str = BLOCKS) -> list[str]:
        margin = max(len(self.top), 1) + 2
        labels = [self.top, *[""] * (self.height - 2), "0"]
        rows = column_rows(self.values, self.height, marks)
        drawn = [f"{label:>{margin}} |{row}".rstrip() for label, row in zip(labels, rows)]
        axis = self.left + self.right.rjust(max(len(self.values) - len(self.left), len(self.right) + 1))
        return [*drawn, " " * (margin + 2) + axis]


def column_rows(values: Sequence[float | None], height: int, marks: str) -> list[str]:
    """The rows of the chart, the highest first. What is above zero shows, however little it is."""
    steps = len(marks) - 1
    greatest = max((value for value in values if value), default=1.0)
    heights = [max(round(value / greatest * height * steps), 1) if value else 0 for value in values]
    return ["".join(marks[min(max(tall - row * steps, 0), steps)] for tall in heights) for row in reversed(range(height))]
