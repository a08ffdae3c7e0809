"""A map as the ray matcher describes it, and the poses of photos on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from justzoomin.data import normalize
from justzoomin.errors import ModelError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import Map, Windows
from justzoomin.models import Ground, MapModel, RayMatcher
from justzoomin.posterior import lattice
from justzoomin.search.budget import Budget
from justzoomin.search.map_features import MapFeatures, Piece, to_piece
from justzoomin.search.place_lattice import PlaceLattice
from justzoomin.search.tree_search import TreeSearch


class Pieces(Protocol):
    """The described pieces of a map by number: a dictionary in memory, or a `GroundIndex` on the disk."""

    def __contains__(self, number: object, /) -> bool: ...

    def __getitem__(self, number: int, /) -> Piece: ...

    def __setitem__(self, number: int, piece: Piece, /) -> None: ...


class GroundMap:
    """The region of a grid as a model's ray matcher describes it.

    A piece is described when a search first needs it.

    Args:
        model: The model, in evaluation mode.
        source: The map.
        grid: The grid.
        pieces: Where described pieces are kept; None for memory.

    Raises:
        ModelError: If the model has no matcher.
    """

    def __init__(self, model: MapModel, source: Map, grid: ZoomGrid, pieces: Pieces | None = None) -> None:
        self.model, self.grid, self.matcher = model, grid, matcher_of(model)
        self.lattice = PlaceLattice.of(grid, self.matcher)
        self.windows = windows_of(source, grid, self.lattice)
        self.pieces: Pieces = {} if pieces is None else pieces
        config = self.matcher.config
        features = MapFeatures(self.lattice, config.channels, config.headings, self._piece)
        self.tree = TreeSearch(self.matcher, features, model.device)

    @property
    def missing(self) -> int:
        """Number of pieces that are not described yet."""
        return sum(number not in self.pieces for number in range(len(self.windows)))

    @torch.inference_mode()
    def describe(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Describe all pieces that are not described yet.

        Args:
            progress: Called with the number of pieces done and of all pieces.

        Raises:
            TileError: If the map cannot give a piece.
        """
        for number in range(len(self.windows)):
            self._piece(number)
            if progress:
                progress(number + 1, len(self.windows))

    @torch.inference_mode()
    def pose_scores(self, fans: Tensor, budget: Budget | None = None) -> Iterator[Tensor]:
        """Yield the log-likelihoods (16, N), up to a constant, of bearings at all terminal cells for each of some fans (B, F).

        The result is computed in 32 bits even if a training uses fewer.

        Args:
            fans: Fans of photos.
            budget: How long to search; None for `Budget()`.

        Raises:
            TileError: If the map cannot give a piece.
        """
        cells = lattice(self.grid)
        for fan in fans.float():
            with torch.autocast(fans.device.type, enabled=False):  # for each photo: what is done with a result is the caller's
                found = self.tree.search(fan, budget or Budget()).cells()[:, cells.row, cells.col]
            yield found

    def _piece(self, number: int) -> Piece:
        if number not in self.pieces:
            self.pieces[number] = describe_piece(self.model, self.windows, self.lattice, number)
        return self.pieces[number]


def windows_of(source: Map, grid: ZoomGrid, places: PlaceLattice) -> Windows:
    """Return the pictures of a map from which the pieces are described."""
    window, margin = places.window * places.place_m, places.margin * places.place_m
    return Windows(source, grid, window, margin, (window + 2 * margin) / places.pixels)


@torch.inference_mode()
def describe_piece(model: MapModel, windows: Windows, places: PlaceLattice, number: int) -> Piece:
    """Return one piece of a map as a model's matcher describes it.

    Raises:
        TileError: If the map cannot give its picture.
        ModelError: If the description is not finite.
    """
    settings = model.config
    picture = torch.from_numpy(windows.picture(number)).permute(2, 0, 1).to(model.device)
    found = describe(model, normalize(picture[None], settings.mean, settings.std)[0])
    if not all(values.isfinite().all() for values in found):  # eight bits would hide it
        raise ModelError("model", f"its description of piece {number} of the map is not finite numbers", "Check its weights.")
    return to_piece(found, places)


def describe(model: MapModel, picture: Tensor) -> Ground:
    """Return the description of a piece of map from its normalized picture (3, H, H), averaged over turns and mirrorings.

    Each description is turned and mirrored back before averaging. A description should not depend on the orientation of the
    picture, and the mean depends on it less.

    Raises:
        ModelError: If the model has no matcher.
    """
    config = matcher_of(model).config
    mirrored_back = (-torch.arange(config.headings)) % config.headings
    found = []
    for mirrored in (False, True) if config.symmetries == 8 else (False,):
        for turns in range(1 if config.symmetries == 1 else 4):
            ground = model.describe_ground((picture.flip(-1) if mirrored else picture).rot90(-turns, (1, 2)))
            places, logits = (v.rot90(turns, (1, 2)) for v in ground)
            logits = logits.roll(-turns * (config.headings // 4), 0)  # north of the picture was turned to the east
            found.append((places.flip(-1), logits.flip(-1)[mirrored_back]) if mirrored else (places, logits))
    places, logits = (torch.stack(parts).mean(0) for parts in zip(*found, strict=True))
    return Ground(functional.normalize(places, dim=0), logits)


def matcher_of(model: MapModel) -> RayMatcher:
    """Return a model's matcher.

    Raises:
        ModelError: If it has none.
    """
    if model.matcher is None:
        raise ModelError("model", "it has no ray matcher", "Train one with the preset best.")
    return model.matcher
