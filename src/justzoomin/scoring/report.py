"""The scores of one predictions file as plain values."""

from __future__ import annotations

from typing import Any

from justzoomin.scoring.answers import LEAST_MASS
from justzoomin.scoring.calibration import calibration_of
from justzoomin.scoring.headings import headings_of
from justzoomin.scoring.protocol import (
    LEAKS,
    Protocol,
    answers_of,
    baselines_of,
    cost_of,
    decision_of,
    figures,
    ranking_of,
    row_of,
)
from justzoomin.scoring.rows import score_row
from justzoomin.scoring.table import PredictionTable

SCORE_FORMAT = "justzoomin-score/1"


def protocol_words(table: PredictionTable, protocol: Protocol) -> dict[str, str]:
    """Return a description of a protocol, as stored in every report."""
    grid = table.grid
    gallery = f"all {grid.actions**grid.depth} terminal cells of the region"
    if protocol.gallery == "occupied":
        gallery = f"the {len(table.gallery)} cells that hold photos of the evaluated split"
    measured = f"straight line in the projection {protocol.crs or table.info.crs}, in its metres"
    if protocol.distance == "sphere":
        measured = "great circle on a sphere of radius 6378137 m"
    words = {
        "gallery": f"{gallery}, of {grid.cell_size_m(grid.depth):g} m",
        "distance": f"{measured}, from the answer to the position",
        "decision": _decision_words(table, protocol),
        "recall_at_1": "percent of photos whose answer is in their own terminal cell",
        "recall_at_m": "percent of photos whose error is at most the radius in metres",
        "recall_at_area": "percent of photos whose own cell is among the best-ranked cells of that area in m2, taken together",
        "intervals": protocol.resampling(table)[1],
    }
    return words | ({"warning": LEAKS} if protocol.gallery == "occupied" else {})


def _decision_words(table: PredictionTable, protocol: Protocol) -> str:
    decision = decision_of(protocol)
    if decision == "stored":
        return f"as stored ({table.info.decision})"
    kept = answers_of(table, protocol).kept
    return f"{decision}, over the listed cells of the gallery" + (
        f"; {kept} photos whose listed cells hold less than {100 * LEAST_MASS:g} % of the mass keep "
        f"{'the stored answer' if protocol.gallery == 'all' else 'the most probable cell'}" if kept else "")


def score_table(table: PredictionTable, protocol: Protocol | None = None) -> dict[str, Any]:
    """Return the scores of a table by a protocol, with chance and ceiling; see docs/scoring.md for the keys.

    Raises:
        DataError: If what the protocol needs was not stored.
        ConfigError: If the projection is unknown.
    """
    protocol, table = protocol or Protocol(), table.in_order()
    areas, (draws, _) = protocol.areas(table), protocol.resampling(table)

    def of(row: Any) -> dict[str, Any]:
        return figures(score_row(row, protocol.radii_m, areas, draws))

    own, headings = row_of(table, protocol), headings_of(table, protocol)
    others = {row.name: of(row) for row in baselines_of(table, protocol)}
    return {
        "format": SCORE_FORMAT, "method": table.info.method, "seed": table.info.seed, "n": len(table),
        "split": table.info.split, "drives": None if table.drives is None else len(set(table.drives)), **of(own),
        "calibration": calibration_of(table, ranking_of(table, protocol), draws), "cost": cost_of(table), **others,
        **({} if headings is None else {"headings": headings}),
        "protocol": protocol_words(table, protocol), "predictions": table.info.model_dump(mode="json"),
    }
