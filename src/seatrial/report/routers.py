"""Routers for people."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from seatrial.policy.named import Described
from seatrial.report.tables import paragraph


def routers_report(known: Sequence[Described]) -> Iterator[RenderableType]:
    made = Table.grid(padding=(0, 2, 1, 0))
    made.add_column(no_wrap=True)
    made.add_column()
    for each in known:
        options = [f"{name}=..." for name in each.needed] + [f"{name}={value}" for name, value in each.options.items() if value is not None]
        options += [name for name, value in each.options.items() if value is None]
        made.add_row(Text(each.name, "bold"), Text.assemble(each.what, "\n", (", ".join(options), "dim")) if options else Text(each.what))
    yield made
    yield paragraph(f"{len(known)} routers. --router NAME, or NAME:option=value,... ; docs/routers.md builds one of your own.")
