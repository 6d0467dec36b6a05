"""Predictions beside measurements: points that others measured, simulated as they were."""

from seatrial.validate.experiment import Experiment, Prepared, prepare
from seatrial.validate.names import read_names
from seatrial.validate.point import METRICS, Point
from seatrial.validate.points import read_points
from seatrial.validate.predict import Prediction, predict

__all__ = ["METRICS", "Experiment", "Point", "Prediction", "Prepared", "predict", "prepare", "read_names", "read_points"]
