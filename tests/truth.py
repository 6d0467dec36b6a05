"""Where the whole truth lies, for tests that read it; it is no part of this repository."""

import os
from pathlib import Path

import pytest

TRUTH = Path(os.environ.get("SEATRIAL_TRUTH", Path(__file__).parents[2] / "shared" / "data" / "truth"))
needs_truth = pytest.mark.skipif(not (TRUTH / "engine_points.csv").is_file(), reason="the whole truth is not at hand")
