"""Requests over time: read from traces, or made from laws."""

from seatrial.workload.convert import Converted, convert
from seatrial.workload.trace import Trace, open_trace
from seatrial.workload.transform import at_rate, limited, repeated, speedup

__all__ = ["Converted", "Trace", "at_rate", "convert", "limited", "open_trace", "repeated", "speedup"]
