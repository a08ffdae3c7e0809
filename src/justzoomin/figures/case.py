"""What one picture shows: a photo, the views along its path, and the truth if it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError
from justzoomin.geometry import Cell, LatLon, ZoomGrid, haversine_m, to_local

Pixels = npt.NDArray[np.uint8]

NO_DATA_WORTH_SAYING = 0.05
"""Views that lack more than this share are labelled."""


@dataclass(frozen=True)
class PathView:
    """A view on a path, as it is drawn.

    Attributes:
        pixels: uint8 (n, n, 3), north up; n may differ between views.
        no_data: Share of the view without map data.
    """

    pixels: Pixels
    no_data: float = 0.0


class Facing(NamedTuple):
    """Which way a photo faces, as it is drawn.

    Attributes:
        deg: Degrees clockwise from north.
        sigma_deg: Spread in degrees.
    """

    deg: float
    sigma_deg: float


@dataclass(frozen=True)
class Case:
    """A photo with its predicted path and, if known, the true one.

    Attributes:
        name: Name of the photo in pictures.
        photo: uint8 (H, W, 3).
        grid: The zoom grid.
        sequence: Predicted actions.
        views: One view per predicted action: the view in which it was picked.
        probabilities: Probability of each predicted action; empty if unknown.
        true_sequence: True actions, if known.
        true_views: One view per true action.
        true_position: Where the photo was taken.
        closeup: A sharper view of the window given by `closeup_window`, if the map has one.
        facing: Which way the photo faces according to the prediction, if that is known.
    """

    name: str
    photo: Pixels
    grid: ZoomGrid
    sequence: tuple[int, ...]
    views: tuple[PathView, ...]
    probabilities: tuple[float, ...] = ()
    true_sequence: tuple[int, ...] | None = None
    true_views: tuple[PathView, ...] = ()
    true_position: LatLon | None = None
    closeup: PathView | None = None
    facing: Facing | None = None

    def __post_init__(self) -> None:
        pairs: list[tuple[str, tuple[object, ...], tuple[int, ...]]] = [("views", self.views, self.sequence)]
        if self.probabilities:
            pairs.append(("probabilities", self.probabilities, self.sequence))
        if self.true_views:
            pairs.append(("true_views", self.true_views, self.true_sequence or ()))
        for field, values, path in pairs:
            if len(values) != len(path) or not path:
                raise GeometryError(f"case {self.name!r}, {field}", f"{len(values)} values for a path of {len(path)} actions",
                                    "Give one for each action.")

    @property
    def right(self) -> tuple[bool, ...] | None:
        """Whether each pick stays on the true path; None if that is unknown."""
        true = self.true_sequence
        if true is None:
            return None
        return tuple(self.sequence[:level + 1] == true[:level + 1] for level in range(len(self.sequence)))

    @property
    def position(self) -> LatLon:
        """Centre of the predicted terminal cell."""
        return self.grid.cell(self.sequence).centre

    @property
    def error_m(self) -> float | None:
        """Metres from the predicted to the true position; None if that is unknown."""
        if self.true_position is None:
            return None
        return float(haversine_m(*self.position, *self.true_position))


def share_of(cell: Cell, lat: float, lon: float) -> tuple[float, float] | None:
    """Return where a position is in a cell's view, as shares from its west and its north edge; None if outside.

    Source: the cell's own chart (east, then north, on the sphere), in which `ZoomGrid` measures.
    """
    east, north = to_local(cell.centre.lat, cell.centre.lon, lat, lon)
    x, y = 0.5 + float(east) / cell.size_m, 0.5 - float(north) / cell.size_m
    return (x, y) if 0.0 <= x <= 1.0 and 0.0 <= y <= 1.0 else None


def pixel_of(cell: Cell, lat: float, lon: float, pixels: int) -> tuple[float, float] | None:
    """Return column and row of a position in a view of `pixels` x `pixels`; None if outside.

    Whole numbers are the renderer's sample points: pixel (pixels / 2, pixels / 2) is the cell's centre.
    """
    share = share_of(cell, lat, lon)
    return None if share is None else (share[0] * pixels, share[1] * pixels)


def closeup_window(action: int, grid: int) -> tuple[float, float, float]:
    """Return the part of the last view that a close-up shows: twice the terminal cell, shifted to fit inside the view.

    Returns:
        Left, top and edge as shares of the view.
    """
    edge = min(1.0, 2.0 / grid)
    row, col = divmod(action, grid)
    left, top = (min(max((v - 0.5) / grid, 0.0), 1.0 - edge) for v in (col, row))
    return left, top, edge
