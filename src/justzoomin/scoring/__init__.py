"""Predictions files, scores and comparisons. Knows no model and no torch."""
