"""Views for people: sharper than the model's, if the map has the levels for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from PIL import Image

from justzoomin.errors import TileError
from justzoomin.figures.case import Case, Facing, PathView, Pixels, closeup_window
from justzoomin.geometry import LatLon, from_local
from justzoomin.maps import GridViews

SLACK = 0.05
"""How much more of the map a sharper view may lack than the model's own, as a share: the outline of finer tiles follows
the data more closely, so it always lacks a little more."""
PHOTO_PIXELS = 540
"""Height to which photos are reduced before they are drawn."""
_KEPT = 128


class ViewPictures:
    """Pictures of a grid's cells for figures.

    A view is drawn at the largest of `sizes` for which the map has tiles that cover as much of the square as the model saw.
    The last choice is the model's own view, which exists wherever the model looked. (Small models look at coarse levels, but a
    person wants to see more; partly downloaded maps lack the fine levels.)

    Args:
        own: The model's views.
        sizes: Edges in pixels to try, largest first.
    """

    def __init__(self, own: GridViews, sizes: Sequence[int] = (384, 192)) -> None:
        self.own, self.sizes = own, sorted((s for s in sizes if s > own.pixels), reverse=True)
        self._kept: OrderedDict[tuple[int, ...], PathView] = OrderedDict()

    def get(self, sequence: Sequence[int], sizes: Sequence[int] | None = None) -> PathView:
        """Return the picture of the cell that a sequence leads to; `sizes` replaces the default sizes.

        Raises:
            TileError: If the map cannot provide even the model's own view.
        """
        key = tuple(int(a) for a in sequence)
        if sizes is None and key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        cell = self.own.grid.cell(key)
        own = PathView(self.own.get(key), self.own.no_data(key))
        tried = self.sizes if sizes is None else [s for s in sizes if s > self.own.pixels]
        view = self._sharpest(cell.centre, cell.size_m, tried, own.no_data) or own
        if sizes is None:
            self._kept[key] = view
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return view

    def along(self, sequence: Sequence[int]) -> tuple[PathView, ...]:
        """Return the pictures of the views along a path, root first, without the terminal cell."""
        return tuple(self.get(sequence[:level]) for level in range(len(sequence)))

    def closeup(self, sequence: Sequence[int]) -> PathView | None:
        """Return a picture of the surroundings of a terminal cell (see `closeup_window`); None if the map has no finer one."""
        grid = self.own.grid
        cell = grid.cell(sequence[:-1])
        left, top, edge = closeup_window(int(sequence[-1]), grid.grid)
        east, north = (left + edge / 2 - 0.5) * cell.size_m, (0.5 - top - edge / 2) * cell.size_m
        lat, lon = from_local(cell.centre.lat, cell.centre.lon, east, north)
        return self._sharpest(LatLon(float(lat), float(lon)), cell.size_m * edge, [*self.sizes, self.own.pixels], 0.0)

    def _sharpest(self, centre: LatLon, size_m: float, sizes: Sequence[int], no_data: float) -> PathView | None:
        for pixels in sizes:
            try:
                view = self.own.source.view(centre.lat, centre.lon, size_m, pixels)
            except TileError:  # this level was not downloaded; the next size needs a coarser one
                continue
            if view.no_data <= no_data + SLACK:
                return PathView(view.pixels, view.no_data)
        return None


def shrink_photo(photo: Pixels, height: int = PHOTO_PIXELS) -> Pixels:
    """Reduce a photo to a height in pixels, if it is higher."""
    rows, cols = photo.shape[:2]
    if rows <= height:
        return photo
    size = (max(1, round(cols * height / rows)), height)
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))


def build_case(name: str, photo: Pixels, pictures: ViewPictures, sequence: tuple[int, ...],
               probabilities: tuple[float, ...], true_sequence: tuple[int, ...] | None = None,
               true_position: LatLon | None = None, facing: Facing | None = None) -> Case:
    """Collect everything that a picture shows of one photo."""
    return Case(
        name=name, photo=shrink_photo(photo), grid=pictures.own.grid, sequence=sequence, views=pictures.along(sequence),
        probabilities=probabilities, true_sequence=true_sequence, true_position=true_position,
        true_views=pictures.along(true_sequence) if true_sequence is not None else (), closeup=pictures.closeup(sequence),
        facing=facing)
