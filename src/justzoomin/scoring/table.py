"""Predictions of a split: a method's output for every photo, the truth, and how the predictions were made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from justzoomin.errors import ConfigError, DataError
from justzoomin.geometry import ZoomGrid, grid_from_dict, haversine_m
from justzoomin.posterior import turned_deg
from justzoomin.scoring.ranking import Ranking, join, log_normalize, rank_listed, rank_scores
from justzoomin.scoring.resampling import Floats, Ints

FORMAT: Literal["justzoomin-predictions/2"] = "justzoomin-predictions/2"
DEFAULT_LISTED = 64
MAX_NAME = 200

Word = Annotated[str, Field(max_length=2000)]
_LINE = r"^[^\x00-\x1f\x7f-\x9f]*$"
Line = Annotated[str, Field(max_length=2000, pattern=_LINE)]
Cost = Annotated[float, Field(ge=0, le=1e18)]
_FEW = 100
"""Most entries of a mapping."""
Decide = Callable[[Floats], tuple[Floats, Floats]]
"""Function from log-probabilities (B, N) to answers (B, 2), latitude and longitude, and their claimed probabilities (B,)."""
Part = tuple[Ranking, Ranking | None, Floats, Floats]
"""Ranking among all cells and among those that hold photos, answers (B, 2) and their claimed probabilities (B,)."""


class PredictionInfo(BaseModel):
    """Metadata of a predictions file, which apply to all rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["justzoomin-predictions/2"] = FORMAT
    method: str = Field(min_length=1, max_length=MAX_NAME, pattern=_LINE, description="name of the method's row in a table")
    split: Line = Field(description="name of the split")
    grid: dict[str, JsonValue] = Field(description="the zoom grid: the keys of region.yaml")
    search: Line = Field(description="how cells were searched: greedy, beam:8, posterior ...")
    decision: Line = Field("top", description="how the answer was made: top, within:40, distance, position ...")
    confidence: str | None = Field(None, pattern=r"^(cell|within:[0-9]{1,9}(\.[0-9]{1,9})?)$",
                                   description="what `confidence` claims: cell (the answer is the true cell) or within:METRES")
    listed: int | None = Field(DEFAULT_LISTED, ge=1, lt=1 << 63, description="most cells listed for a photo; null: all")
    seed: int | None = Field(None, ge=-(1 << 63), lt=1 << 64, description="seed of the training")
    hashes: dict[Line, Word | None] = Field({}, max_length=_FEW, description="model, map, split, index, train_split")
    trained_on_this_split: bool | None = None
    calibration: Word | None = Field(None, description="fingerprint of the calibration, if there was one")
    cost: dict[Line, Cost] = Field({}, max_length=_FEW, description="index_bytes, train_images, train_seconds ...")
    protocol: dict[Line, Word] = Field({}, max_length=_FEW, description="what was done, in words")
    crs: Line | None = Field(None, description="projection of the map")
    attribution: Word = ""

    @cached_property
    def zoom_grid(self) -> ZoomGrid:
        """The grid whose terminal cells are numbered.

        Raises:
            LayoutError: If the keys are not those of a region.
            GeometryError: If the numbers do not make a valid region.
        """
        return grid_from_dict(self.grid, "grid")

    def to_json(self) -> str:
        """Return the JSON text that a predictions file holds."""
        return self.model_dump_json()


@dataclass(frozen=True)
class PredictionTable:
    """Predictions of N photos. All attributes have the same order of photos.

    Attributes:
        info: Metadata that apply to all photos.
        photos: Ids (N,).
        positions: True latitudes and longitudes (N, 2) in degrees.
        true_cells: True terminal cells (N,).
        answers: Latitudes and longitudes (N, 2) of the method's answers.
        ranking: The method's most probable cells among all cells.
        confidence: Probability (N,) of the claim that `info.confidence` names; NaN if there is no claim.
        views: Number of views of the map that were scored (N,); -1 if unknown.
        ms: Milliseconds (N,) that the search took; NaN if unknown.
        drives: The photos' drives (N,); None if unknown.
        occupied: The ranking among the cells that hold a photo of the table; None if it was not stored.
        headings: Headings of the answers and their spreads (N, 2), degrees clockwise from true north; NaN where unknown. None
            if the method answers without headings.
        true_headings: The photos' headings (N,), NaN where unknown; None if all are unknown.
    """

    info: PredictionInfo
    photos: tuple[str, ...]
    positions: Floats
    true_cells: Ints
    answers: Floats
    ranking: Ranking
    confidence: Floats
    views: Ints
    ms: Floats
    drives: tuple[str, ...] | None = None
    occupied: Ranking | None = None
    headings: Floats | None = None
    true_headings: Floats | None = None

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def grid(self) -> ZoomGrid:
        """The grid whose terminal cells are numbered."""
        return self.info.zoom_grid

    @cached_property
    def gallery(self) -> Ints:
        """Numbers of the cells that hold a photo of the table, ascending."""
        return np.unique(self.true_cells)

    @property
    def answer_cells(self) -> Ints:
        """Terminal cells (N,) of the answers; -1 outside the region."""
        sequences, inside = self.grid.encode_masked(self.answers[:, 0], self.answers[:, 1])
        return np.where(inside, self.grid.flatten(np.where(inside[:, None], sequences, 0)), -1)

    @property
    def errors_m(self) -> Floats:
        """Great-circle distances (N,) in metres from the answers to the photos' positions."""
        return haversine_m(self.answers[:, 0], self.answers[:, 1], self.positions[:, 0], self.positions[:, 1])

    @cached_property
    def turned_deg(self) -> Floats | None:
        """Heading errors (N,) in degrees, 0 to 180; NaN without an answer or a truth, None without any of the two."""
        if self.headings is None or self.true_headings is None:
            return None
        return turned_deg(self.headings[:, 0], self.true_headings)

    def with_headings(self, headings: Floats | None, true_headings: Floats) -> PredictionTable:
        """Return the same table with headings and spreads (N, 2), and true headings (N,); without headings, unchanged."""
        if headings is None:
            return self
        return replace(self, headings=headings, true_headings=true_headings if np.isfinite(true_headings).any() else None)

    def named(self, method: str) -> PredictionTable:
        """Return the same table with another method name.

        Raises:
            ConfigError: If the name is empty, too long, or not printable.
        """
        if not 1 <= len(method) <= MAX_NAME or not method.isprintable():
            raise ConfigError(f"method {method[:40]!r}", "the name is empty, too long or not printable",
                              f"Use 1 to {MAX_NAME} printable characters.")
        return replace(self, info=self.info.model_copy(update={"method": method}))

    def take(self, photos: Ints) -> PredictionTable:
        """Return the rows with given numbers (M,), in their order."""
        return replace(
            self, photos=tuple(self.photos[k] for k in photos), positions=self.positions[photos],
            true_cells=self.true_cells[photos], answers=self.answers[photos], ranking=self.ranking.take(photos),
            confidence=self.confidence[photos], views=self.views[photos], ms=self.ms[photos],
            drives=None if self.drives is None else tuple(self.drives[k] for k in photos),
            occupied=None if self.occupied is None else self.occupied.take(photos),
            headings=None if self.headings is None else self.headings[photos],
            true_headings=None if self.true_headings is None else self.true_headings[photos])

    def in_order(self) -> PredictionTable:
        """Return the same photos ordered by id, so that figures do not depend on the order of a file."""
        return self.take(np.argsort(np.array(self.photos), kind="stable"))


class Tabulator:
    """Builder of a table from scores that come batch by batch.

    Args:
        info: Metadata that apply to all rows.
        photos: Ids (N,).
        positions: True latitudes and longitudes (N, 2).
        true_cells: True terminal cells (N,).
        drives: The photos' drives (N,), if known.
        decide: The decision. If None, the answer is the centre of the first-ranked cell, with that cell's probability.
        occupied: Whether to store a ranking among the cells that hold photos of the table, too.

    Raises:
        ConfigError: If the numbers of photos, positions, cells and drives differ.
    """

    def __init__(self, info: PredictionInfo, photos: Sequence[str], positions: Floats, true_cells: Ints,
                 drives: Sequence[str] | None = None, decide: Decide | None = None, *, occupied: bool = True) -> None:
        sizes = {len(photos), len(positions), len(true_cells), len(photos if drives is None else drives)}
        if len(sizes) > 1:
            raise ConfigError("predictions", f"the numbers of photos, positions, cells and drives differ: {sorted(sizes)}",
                              "Give one of each per photo.")
        self._info, self._photos, self._positions, self._true = info, tuple(photos), positions, true_cells
        self._drives = None if drives is None else tuple(drives)
        self._decide = decide
        self._gallery = np.unique(true_cells) if occupied else None
        self._parts: list[Part] = []
        self._costs: list[tuple[int, int | None, float | None]] = []
        self._done = 0

    def add(self, scores: Any, views: int | None = None, ms: float | None = None, cells: Ints | None = None) -> Floats:
        """Add the next photos, and return their answers (B, 2): latitudes and longitudes.

        Args:
            scores: Log-probabilities (B, N) of all terminal cells up to a constant for each photo, or those (B, K) of `cells`.
            views: Number of views that were scored for each photo.
            ms: Milliseconds that each photo took.
            cells: Numbers (B, K) of the cells that a search along paths found, most probable first; the first is the answer.

        Raises:
            DataError: If there is not one score per terminal cell, one is NaN, or there are more photos than in the table.
        """
        grid, count, width = self._info.zoom_grid, len(scores), None if cells is None else np.shape(cells)[1]
        wanted = grid.actions**grid.depth if width is None else width
        if np.ndim(scores) != 2 or np.shape(scores)[1] != wanted:
            raise DataError("scores", f"the array has the shape {np.shape(scores)}",
                            f"Give one score per photo and terminal cell: (B, {wanted}).")
        true = self._true[self._done:self._done + count]
        if len(true) < count:
            raise DataError("scores", f"there are more rows than the table's {len(self._photos)} photos",
                            "Give one row per photo.")
        part = self._ranked(scores, true) if cells is None else self._listed(scores, true, cells)
        self._parts.append(part)
        self._costs.append((count, views, ms))
        self._done += count
        return part[2]

    def _ranked(self, scores: Any, true: Ints) -> Part:
        log_probs = log_normalize(scores)
        every = rank_scores(log_probs, true, self._info.listed)
        inside = None if self._gallery is None else rank_scores(log_probs, true, self._info.listed, self._gallery)
        if self._decide is not None:
            return every, inside, *self._decide(log_probs)
        return every, inside, self._centres(every.cells), np.minimum(every.probs[:, 0].astype(np.float64), 1.0)

    def _listed(self, scores: Any, true: Ints, cells: Ints) -> Part:
        return rank_listed(cells, scores, true), None, self._centres(cells), np.exp(scores[:, 0])

    def _centres(self, cells: Ints) -> Floats:
        grid = self._info.zoom_grid
        return np.stack(grid.centres(grid.unflatten(cells[:, 0], grid.depth)), 1)

    def table(self) -> PredictionTable:
        """Return the table of all photos.

        Raises:
            DataError: If scores of photos are missing, or there are no photos.
        """
        if self._done != len(self._photos) or not self._done:
            raise DataError("predictions", f"there are scores for only {self._done} of {len(self._photos)} photos",
                            "Add the scores of all photos.")
        rankings, inside, answers, claimed = zip(*self._parts, strict=True)
        counts = [count for count, _, _ in self._costs]
        return PredictionTable(
            self._info, self._photos, self._positions, self._true, np.concatenate(answers), join(rankings),
            np.concatenate(claimed), np.repeat([-1 if v is None else v for _, v, _ in self._costs], counts),
            np.repeat([np.nan if ms is None else ms for _, _, ms in self._costs], counts), self._drives,
            None if None in inside else join(inside))
