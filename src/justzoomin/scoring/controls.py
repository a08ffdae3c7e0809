"""Two control rows that use training photos without learning: their density, and the one that looks most alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from justzoomin.data import Dataset, decode_photo
from justzoomin.errors import ConfigError, DataError
from justzoomin.geometry import ZoomGrid
from justzoomin.parallel import ordered_map
from justzoomin.posterior import lattice
from justzoomin.scoring.answers import claim_of, decider
from justzoomin.scoring.resampling import Floats, Ints
from justzoomin.scoring.table import PredictionInfo, PredictionTable, Tabulator

DENSITY, NEAREST = "train density", "nearest photo"
DENSITY_DECISION = "within:40"
KERNEL_M = 25.0
"""Standard deviation in metres of the Gaussian that smooths the training photos' positions; at least a cell's edge is used."""
ELSEWHERE = 0.01
"""Probability mass spread evenly over all cells, so that no cell is ruled out."""
THUMB = (16, 8)
_SHARPNESS = 50.0
_BLOCK_VALUES = 1 << 24


def density_table(like: PredictionTable, places: Floats, *, name: str = DENSITY) -> PredictionTable:
    """Make the same answer for all photos, from the positions of training photos only.

    Positions are counted by cell and smoothed with a Gaussian of `KERNEL_M`. The answer is the point with the most mass within
    40 m.

    Args:
        like: Predictions of the photos to answer.
        places: Latitudes and longitudes (M, 2) of the training photos.
        name: Name of the row.

    Raises:
        DataError: If no training photo is in the region.
        GeometryError: If the grid has too many cells.
    """
    grid = like.grid
    cells = lattice(grid)
    counts = np.bincount(_cells(grid, places), minlength=len(cells)).astype(np.float64)
    spread = max(KERNEL_M, cells.cell_m) / cells.cell_m
    steps = np.arange(cells.side)
    bell = np.exp(-0.5 * ((steps[:, None] - steps) / spread) ** 2)                     # (side, side): along one axis
    mass = cells.from_image(bell @ cells.to_image(counts) @ bell)
    log_probs = np.log((1 - ELSEWHERE) * mass / mass.sum() + ELSEWHERE / len(cells))
    made = _tabulator(like, name, DENSITY_DECISION)
    for start in range(0, len(like), 64):
        made.add(np.tile(log_probs, (min(64, len(like) - start), 1)), 0)
    return made.table()


def nearest_table(like: PredictionTable, own: Floats, places: Floats, train: Floats, *, name: str = NEAREST) -> PredictionTable:
    """Make answers at the position of the training photo that looks most alike.

    Cells are ranked by their most similar photo. The probabilities only order the cells; they claim nothing.

    Args:
        like: Predictions of the photos to answer.
        own: Descriptors (N, D) of these photos, in the table's order.
        places: Latitudes and longitudes (M, 2) of the training photos.
        train: Descriptors (M, D) of the training photos.
        name: Name of the row.

    Raises:
        DataError: If no training photo is in the region.
        ConfigError: If the numbers of photos and descriptors differ.
    """
    if (len(own), len(train)) != (len(like), len(places)):
        raise ConfigError("descriptors", f"there are {len(own)} and {len(train)} for {len(like)} and {len(places)} photos",
                          "Give one per photo.")
    grid = like.grid
    count = grid.actions**grid.depth
    inside = grid.encode_masked(places[:, 0], places[:, 1])[1]
    cells = _cells(grid, places)
    order = np.argsort(cells, kind="stable")
    train, places = train[inside][order], places[inside][order]
    numbers, starts = np.unique(cells[order], return_index=True)
    made, answers = _tabulator(like, name, "top"), []
    step = max(1, _BLOCK_VALUES // max(count, len(train)))
    for start in range(0, len(own), step):
        alike = own[start:start + step] @ train.T                                       # (B, M)
        answers.append(places[alike.argmax(1)])
        scores = np.full((len(alike), count), -np.inf)
        scores[:, numbers] = _SHARPNESS * np.maximum.reduceat(alike, starts, axis=1)
        made.add(scores, 0)
    return replace(made.table(), answers=np.concatenate(answers), confidence=np.full(len(like), np.nan))


def descriptors(dataset: Dataset, ids: Iterable[str]) -> Floats:
    """Return descriptors (N, 384) of photos: 16 x 8 pixels of colour, minus their mean, scaled to length 1.

    Raises:
        PhotoError: If a photo is missing or broken.
    """
    def describe(image_id: str) -> npt.NDArray[np.float64]:
        pixels = decode_photo(dataset.photos.read(image_id), dataset.photos.where(image_id), THUMB[::-1])
        thumb = np.asarray(Image.fromarray(pixels).resize(THUMB, Image.Resampling.BOX), np.float64).ravel()
        thumb -= thumb.mean()
        return np.asarray(thumb / max(float(np.linalg.norm(thumb)), 1e-9))

    return np.stack(list(ordered_map(describe, ids)))


def controls_of(like: PredictionTable, train: Dataset, split: str) -> list[PredictionTable]:
    """Make both rows from a split of training photos; the second only if the dataset also holds the evaluated photos.

    Args:
        like: Predictions of the photos to answer.
        train: The dataset of the training photos.
        split: Name of its split.

    Raises:
        DataError: If there is no such split, it holds evaluated photos, or none of its photos is in the region.
        PhotoError: If a photo is missing or broken.
    """
    records = train.split(split)
    places = np.stack([records.lat, records.lon], 1)
    if set(records.image_ids) & set(like.photos):
        raise DataError(f"split {split}", "it holds photos that are evaluated", "Give a split with other photos.")
    found = [density_table(like, places)]
    if set(like.photos) <= train.photos.ids():
        found.append(nearest_table(like, descriptors(train, like.photos), places, descriptors(train, records.image_ids)))
    return found


def _cells(grid: ZoomGrid, places: Floats) -> Ints:
    """Return the terminal cells of the places in the region.

    Raises:
        DataError: If no place is in the region.
    """
    sequences, inside = grid.encode_masked(places[:, 0], places[:, 1])
    if not inside.any():
        raise DataError("training photos", "none of them is in the evaluated region", "Give training photos of the same map.")
    return grid.flatten(sequences[inside])


def _tabulator(like: PredictionTable, name: str, decision: str) -> Tabulator:
    kept = {"split", "grid", "crs", "attribution", "listed"}
    values = {key: value for key, value in like.info.model_dump().items() if key in kept}
    if like.info.listed is not None:
        values["listed"] = max(64, like.info.listed)
    info = PredictionInfo(**values, method=name, search="none", decision=decision,
                          confidence=None if decision == "top" else claim_of(decision))
    return Tabulator(info, like.photos, like.positions, like.true_cells, like.drives, decider(like.grid, decision))
