"""Files that hold traces: which kind a file is, and what its columns say."""

from seatrial.workload.formats.detect import FORMATS
from seatrial.workload.formats.layout import TIDY_SCHEMA, Layout
from seatrial.workload.formats.sharegpt import CountTokens, bytes_over_four

__all__ = ["FORMATS", "TIDY_SCHEMA", "CountTokens", "Layout", "bytes_over_four"]
