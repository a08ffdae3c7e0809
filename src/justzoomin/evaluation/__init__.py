"""Predictions of a split, reports of an evaluation, calibration on held-out photos."""

from justzoomin.evaluation.calibrating import Calibrated, NotHeldOutWarning, calibrate, posteriors, reliability_report
from justzoomin.evaluation.predictions import Predictions, predict
from justzoomin.evaluation.report import Evaluation, build_report, evaluate, evaluate_path, find_models
from justzoomin.evaluation.tables import greedy_table, prediction_info, search_table

__all__ = [
    "Calibrated", "Evaluation", "NotHeldOutWarning", "Predictions", "build_report", "calibrate", "evaluate", "evaluate_path",
    "find_models", "greedy_table", "posteriors", "predict", "prediction_info", "reliability_report", "search_table",
]
