"""Scores of all terminal cells from the ray matcher, which tries every place with every bearing."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from justzoomin.data import normalize
from justzoomin.errors import ModelError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import Map, Windows
from justzoomin.models import Ground, MapModel, RayMatcher
from justzoomin.posterior import lattice

BEARINGS = 16
"""Number of bearings whose probabilities a scorer returns; bearing k is 360 k / 16 degrees clockwise from north."""
STEP_M = 5.0
"""Cells larger than this are tried at several places."""
MAX_PLACES = 1 << 16
"""Most places where all photos are tried. In a larger region only the zoomer's most probable cells are tried."""
KEPT_BYTES = 512 << 20
"""The map's descriptions under the fans of all poses are kept in half precision if they need at most this."""
MAX_GROUND = 1 << 30
"""Most numbers that describe a region: 4 GiB."""
FEW = 4
"""Up to this many photos are compared part by part: sampling products costs less than sampling vectors for later photos."""
_CHUNK = 4096


class GroundMap:
    """The region of a grid as a model's ray matcher describes it.

    Args:
        model: The model, in evaluation mode.
        source: The map.
        grid: The grid.

    Raises:
        ModelError: If the model has no matcher, or its description of the region would be too large.
    """

    def __init__(self, model: MapModel, source: Map, grid: ZoomGrid) -> None:
        self.model, self.grid = model, grid
        self.matcher = _matcher(model)
        config = self.matcher.config
        numbers = (grid.region.size_m / self.matcher.place_m) ** 2 * (config.channels + config.headings)
        if numbers > MAX_GROUND:
            raise ModelError("model: matcher.metres_per_pixel", f"a region of {grid.region.size_m:g} m in places of "
                             f"{self.matcher.place_m:g} m needs {numbers:.2g} numbers, more than the limit of {MAX_GROUND:.2g}",
                             "Use a smaller region, or a model with a coarser view of the map.")
        self.windows = Windows(source, grid, config.window_m, config.margin_m, config.metres_per_pixel)
        self._ground: Ground | None = None
        self._places = _places(grid, self.windows)
        self._kept: list[Tensor] = []

    @property
    def places(self) -> int:
        """Number of places that are tried in a terminal cell."""
        return int(len(self._places[0]) // self.grid.actions**self.grid.depth)

    @property
    def poses(self) -> int:
        """Number of poses that a photo is compared with: places times bearings."""
        return len(self._places[0]) * self.matcher.config.tried

    @torch.inference_mode()
    def ground(self, progress: Callable[[int, int], None] | None = None) -> Ground:
        """Return the description of the region with its margin; it is made once.

        Args:
            progress: Called with the number of pieces done and of all pieces while they are described.
        """
        if self._ground is None:
            settings, windows = self.model.config, self.windows
            inner = round(windows.window_m / self.matcher.place_m)
            margin = round(windows.margin_m / self.matcher.place_m)
            size = windows.side * inner + 2 * margin
            whole = Ground(*(torch.zeros(c, size, size, device=self.model.device)
                             for c in (self.matcher.config.channels, self.matcher.config.headings)))
            for number in range(len(windows)):
                picture = torch.from_numpy(windows.picture(number)).permute(2, 0, 1).to(self.model.device)
                piece = describe(self.model, normalize(picture[None], settings.mean, settings.std)[0])
                row, column = divmod(number, windows.side)
                # A piece's inner part overwrites the margin of its neighbour, never the reverse.
                for into, found in zip(whole, piece, strict=True):
                    top, left = row * inner, column * inner
                    skip_top, skip_left = (margin if row else 0), (margin if column else 0)
                    into[:, top + skip_top:top + found.shape[1], left + skip_left:left + found.shape[2]] = (
                        found[:, skip_top:, skip_left:])
                if progress:
                    progress(number + 1, len(windows))
            self._ground = whole
        return self._ground

    @torch.inference_mode()
    def scores(self, fans: Tensor, cells: npt.NDArray[np.int64] | None = None) -> Tensor:
        """Return log-likelihoods (B, N), up to a constant, of fans (B, F) at terminal cells: the mean over places and bearings.

        The result is computed in 32 bits even if a training uses fewer, because later photos use the kept part of the map too.

        Args:
            fans: Fans of photos.
            cells: Numbers (N,) of the cells; None for all cells.
        """
        with torch.autocast(fans.device.type, enabled=False):
            return self._scores(fans.float(), cells).logsumexp(1)

    @torch.inference_mode()
    def pose_scores(self, fans: Tensor) -> Tensor:
        """Return log-likelihoods (B, K, N) as `scores`, of `BEARINGS` bearings at all terminal cells; they sum to those.

        A tried bearing counts for the two nearest of the K bearings, in proportion to how near they are.
        """
        with torch.autocast(fans.device.type, enabled=False):
            return self._scores(fans.float(), None)

    def _scores(self, fans: Tensor, cells: npt.NDArray[np.int64] | None) -> Tensor:
        if cells is None and len(fans) <= FEW and self._parts_fit(len(fans)):
            return self._part_by_part(fans)
        tried, bearings = self.matcher.config.tried, self._bearings()
        index = None if cells is None else (cells[:, None] * self.places + np.arange(self.places)).ravel()
        count = len(self._places[0]) if index is None else len(index)
        keep = index is None and count * tried * self.matcher.size * 2 <= KEPT_BYTES
        scaled = fans * self.matcher.scale
        total = torch.full((len(fans), BEARINGS, count), -torch.inf, device=fans.device)
        for k, bearing in enumerate(bearings):
            if keep and len(self._kept) == k:
                chunks = (self._under(part, bearing) for part in _parts(count))
                self._kept.append(torch.cat([torch.cat([under, prior[:, None]], 1).half() for under, prior in chunks]))
            for part in _parts(count):
                if keep:
                    both = self._kept[k][part].float()
                    under, prior = both[:, :-1], both[:, -1]
                else:
                    under, prior = self._under(part if index is None else index[part], bearing)
                _add(total[:, :, part], bearing, scaled @ under.t() + prior)
        return self._of_cells(total)

    def _part_by_part(self, fans: Tensor) -> Tensor:
        """Return the result of `scores` for a few fans at all cells."""
        ground, (east, south) = self.ground(), self._at(slice(None))
        parts = self.matcher.parts(ground, fans * self.matcher.scale)
        total = torch.full((len(fans), BEARINGS, len(east)), -torch.inf, device=fans.device)
        for bearing in self._bearings():
            prior = self.matcher.prior(ground, east, south, torch.full_like(east, bearing))
            _add(total, bearing, self.matcher.sum_at(parts, east, south, bearing) + prior)
        return self._of_cells(total)

    def _of_cells(self, total: Tensor) -> Tensor:
        """Return log-likelihoods (B, K, N) of cells from the sums over bearings (B, K, N * places) at their places."""
        mean = math.log(self.matcher.config.tried * self.places)
        return total.view(*total.shape[:2], -1, self.places).logsumexp(3) - mean

    def _parts_fit(self, photos: int) -> bool:
        """Return whether the products of all parts of this many fans with the complete map need at most `KEPT_BYTES`."""
        ranges, (height, width) = self.matcher.config.ranges, self.ground().places.shape[1:]
        return photos * self.matcher.rays * ranges * height * width * 4 <= KEPT_BYTES

    def _at(self, which: slice | npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return some of the places (P,), in metres east and south of the corner of the described region."""
        east, south = (torch.from_numpy(v[which] + self.windows.margin_m).float().to(self.model.device) for v in self._places)
        return east, south

    def _under(self, which: slice | npt.NDArray[np.int64], bearing: float) -> tuple[Tensor, Tensor]:
        """Return the map under fans (P, F) at some of the places, and the prior (P,) of these poses, for one bearing."""
        ground, (east, south) = self.ground(), self._at(which)
        towards = torch.full_like(east, bearing)
        return self.matcher.read(ground, east, south, towards), self.matcher.prior(ground, east, south, towards)

    def _bearings(self) -> list[float]:
        tried = self.matcher.config.tried
        return [2 * math.pi * k / tried for k in range(tried)]


def describe(model: MapModel, picture: Tensor) -> Ground:
    """Return the description of a piece of map from its normalized picture (3, H, H), averaged over turns and mirrorings.

    Each description is turned and mirrored back before averaging. A description should not depend on the orientation of the
    picture, and the mean depends on it less.

    Raises:
        ModelError: If the model has no matcher.
    """
    config = _matcher(model).config
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


def _add(total: Tensor, bearing: float, logits: Tensor) -> None:
    """Add the mass of poses of one bearing, logits (B, P), to the sums (B, K, P) of the bearings nearest to it."""
    place = bearing / (2 * math.pi) * BEARINGS
    low = math.floor(place)
    for k, share in ((low, 1 - (place - low)), (low + 1, place - low)):
        if share > 0:
            here = total[:, k % BEARINGS]
            here.copy_(torch.logaddexp(here, logits + math.log(share)))


def _parts(count: int) -> list[slice]:
    return [slice(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]


def _matcher(model: MapModel) -> RayMatcher:
    if model.matcher is None:
        raise ModelError("model", "it has no ray matcher", "Train one with the preset best.")
    return model.matcher


def _places(grid: ZoomGrid, windows: Windows) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return places (N s s,) in metres east and south of the region's north-western corner, grouped by cell."""
    cells = lattice(grid)
    side = max(1, math.ceil(cells.cell_m / STEP_M - 1e-9))
    offset = ((np.arange(side) + 0.5) / side - 0.5) * cells.cell_m
    half = grid.region.size_m / 2
    east = cells.east_m[:, None, None] + half + offset[None, None, :] + np.zeros((1, side, 1))
    south = half - cells.north_m[:, None, None] + offset[None, :, None] + np.zeros((1, 1, side))
    return east.ravel(), south.ravel()
