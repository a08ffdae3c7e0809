"""Scores: rows of photos' errors and ranks, figures with intervals, chance and ceiling. Knows no torch."""

from justzoomin.scoring.baselines import ceiling, cell_errors_m, chance
from justzoomin.scoring.resampling import Figure, Resampling, bootstrap, interval, percent, two_sided_p
from justzoomin.scoring.rows import DEFAULT_RADII_M, Row, Score, score, score_row

__all__ = [
    "DEFAULT_RADII_M", "Figure", "Resampling", "Row", "Score", "bootstrap", "ceiling", "cell_errors_m", "chance", "interval",
    "percent", "score", "score_row", "two_sided_p",
]
