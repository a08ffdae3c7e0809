"""Predictions of a split, and reports of an evaluation."""

from justzoomin.evaluation.predictions import Predictions, predict
from justzoomin.evaluation.report import Evaluation, build_report, evaluate, evaluate_path, find_models
from justzoomin.evaluation.tables import greedy_table, predict_posterior, prediction_info

__all__ = [
    "Evaluation", "Predictions", "build_report", "evaluate", "evaluate_path", "find_models", "greedy_table", "predict",
    "predict_posterior", "prediction_info",
]
