"""Contract tests that any scheduler or cost model can inherit, ours and a stranger's alike. Needs pytest."""

from seatrial.testing.cost import StepCostContract
from seatrial.testing.scheduler import SchedulerContract
from seatrial.testing.workloads import Given

__all__ = ["Given", "SchedulerContract", "StepCostContract"]
