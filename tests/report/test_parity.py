"""Pictures of predictions beside measurements say what is drawn in them."""

from matplotlib.figure import Figure

from seatrial.report.parity_plot import Panel, draw
from seatrial.validate.accuracy import Pair


def test_the_legend_has_every_group_and_the_band():
    axes = Figure().add_subplot()
    draw(axes, Panel("ttft", "ttft (s)", {"h100": [Pair(1, 2), Pair(3, 3)], "a100": [Pair(2, 2)]}), {"h100": "red", "a100": "blue"})
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["h100 (2)", "a100 (1)", "within a factor of 1.2"]
