"""Predictions of a split, figures with intervals, reports."""

from justzoomin.evaluation.calibrating import Calibrated, NotHeldOutWarning, calibrate, posteriors, reliability_report
from justzoomin.evaluation.metrics import (
    DEFAULT_RADII_M,
    Figure,
    Score,
    ceiling,
    chance,
    percent,
    score,
    score_predictions,
)
from justzoomin.evaluation.predictions import Predictions, errors_m, predict
from justzoomin.evaluation.report import Evaluation, build_report, evaluate, evaluate_path, find_models

__all__ = [
    "DEFAULT_RADII_M", "Calibrated", "Evaluation", "Figure", "NotHeldOutWarning", "Predictions", "Score", "build_report",
    "calibrate", "ceiling", "chance", "errors_m", "evaluate", "evaluate_path", "find_models", "percent", "posteriors",
    "predict", "reliability_report", "score", "score_predictions",
]
