"""Predicted against measured, as pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from seatrial.validate.accuracy import Pair

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22")
BAND = 1.2  # drawn beside the line of equality: so many times too much and too little
BAND_LABEL = f"within a factor of {BAND:g}"
MOST_GROUPS = len(COLOURS)


class Panel(NamedTuple):
    """One picture. `label` is what is measured and predicted; `groups` are drawn in their order, each in its colour."""

    title: str
    label: str
    groups: Mapping[str, Sequence[Pair]]


def write_panels(
    file: Path, panels: Sequence[Panel], colour: Mapping[str, str] | None = None, *, size: float = 5.5, dpi: int = 110
) -> None:
    """Two panels a row. `colour` is each group's; without it groups take the colours in turn. The same panels give the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # heavy: only who wants a picture waits for it
    from matplotlib.figure import Figure

    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=((size + 0.5) * columns, size * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for place, panel in enumerate(panels, 1):
        draw(figure.add_subplot(rows, columns, place), panel, colour or dict(zip(panel.groups, COLOURS * (1 + len(panel.groups)))))
    figure.savefig(file, dpi=dpi, format="png", metadata={"Software": None})


def draw(axes: "Axes", panel: Panel, colour: Mapping[str, str]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # as above

    pairs = [pair for group in panel.groups.values() for pair in group]
    low, high = min(map(min, pairs)) / BAND, max(map(max, pairs)) * BAND
    axes.plot([low, high], [low, high], color="black", linewidth=0.8)
    band = axes.fill_between([low, high], [low / BAND, high / BAND], [low * BAND, high * BAND], color="black", alpha=0.08, linewidth=0)
    for name, group in panel.groups.items():
        measured, predicted = [pair.actual for pair in group], [pair.predicted for pair in group]
        axes.scatter(measured, predicted, s=9, alpha=0.6, linewidths=0, color=colour[name], label=f"{name} ({len(group):,})")
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set(xlabel=f"measured {panel.label}", ylabel=f"predicted {panel.label}")
    scale = (1.0,) if high > 100 * low else (1.0, 2.0, 5.0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=scale))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_title(panel.title, fontsize=10)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend([*handles, band], [*labels, BAND_LABEL], fontsize=7, loc="upper left", frameon=False)
