"""Predictions of a split, and reports of an evaluation."""

from justzoomin.evaluation.predictions import Predictions, predict
from justzoomin.evaluation.report import Evaluation, build_report, evaluate, evaluate_path, find_models

__all__ = ["Evaluation", "Predictions", "build_report", "evaluate", "evaluate_path", "find_models", "predict"]
