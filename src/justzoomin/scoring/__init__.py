"""Scores: the predictions file, figures with intervals, rows that need no model, comparisons. Knows no torch."""

from justzoomin.scoring.answer_table import read_answers
from justzoomin.scoring.answers import claim_of, decider
from justzoomin.scoring.baselines import ceiling, cell_errors_m, chance
from justzoomin.scoring.calibration import LEVELS, calibration_of, covered
from justzoomin.scoring.comparing import Change, Compared, Comparison, compare
from justzoomin.scoring.controls import controls_of, density_table, descriptors, nearest_table
from justzoomin.scoring.distances import Distance
from justzoomin.scoring.predictions_file import is_predictions_file, read_predictions, write_predictions
from justzoomin.scoring.protocol import Protocol, baselines_of, check_decision, row_of
from justzoomin.scoring.ranking import Ranking, log_normalize, rank_listed, rank_scores
from justzoomin.scoring.report import protocol_words, score_table
from justzoomin.scoring.resampling import Figure, Resampling, interval, percent, two_sided_p
from justzoomin.scoring.rows import DEFAULT_RADII_M, Row, Score, score_row, share_figure
from justzoomin.scoring.table import DEFAULT_LISTED, Decide, PredictionInfo, PredictionTable, Tabulator
from justzoomin.scoring.tabling import markdown, write_comparison

__all__ = [
    "DEFAULT_LISTED", "DEFAULT_RADII_M", "LEVELS", "Change", "Compared", "Comparison", "Decide", "Distance", "Figure",
    "PredictionInfo", "PredictionTable", "Protocol", "Ranking", "Resampling", "Row", "Score", "Tabulator", "baselines_of",
    "calibration_of", "ceiling", "cell_errors_m", "chance", "check_decision", "claim_of", "compare", "controls_of",
    "covered", "decider", "density_table", "descriptors", "interval", "is_predictions_file", "log_normalize", "markdown",
    "nearest_table", "percent", "protocol_words", "rank_listed", "rank_scores", "read_answers", "read_predictions", "row_of",
    "score_row", "score_table", "share_figure", "two_sided_p", "write_comparison", "write_predictions",
]
