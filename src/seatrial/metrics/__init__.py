"""Rows of fact and what they amount to. `records.RecordWriter` is not listed: it loads pyarrow, for which not every command should wait."""

from seatrial.metrics.sketch import QuantileSketch
from seatrial.metrics.summary import Distribution, Summary, summarise
from seatrial.metrics.tally import Tally

__all__ = ["Distribution", "QuantileSketch", "Summary", "Tally", "summarise"]
