"""What of a repository is wanted: levels by the grid's own needs, splits, and what always comes along."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from justzoomin.errors import ConfigError, DataError
from justzoomin.geometry import ZoomGrid, from_local
from justzoomin.tiles import SHARD_PATTERN, TileLayout, TileProjection

PUBLISHED = "pcvlab/justzoomin"
"""The hub repository of the published dataset."""

Kind = Literal["about", "metadata", "split", "photos", "level", "other"]
_LOOSE_TILE = re.compile(r"satellite/(-?\d{1,2})/.+")
_PHOTO_SHARD = re.compile(r"archives/streetview_images_\d+\.tar")
_TABLE = re.compile(r"metadata/(?P<stem>[^./][^/]*)\.(?:csv|parquet)")
_ABOUT = re.compile(r"(?:README|LICEN[SC]E|NOTICE|ATTRIBUTION|CITATION)[^/]*", re.IGNORECASE)
_STEPS = 9


@dataclass(frozen=True)
class Selection:
    """What to fetch.

    Args:
        pixels: Edge of the views that will be drawn, in pixels.
        depth: Zoom steps; None is what the repository's grid states.
        levels: Levels of the map, "all", or None for those that views of `pixels` and `depth` are drawn from.
        splits: Splits whose tables are wanted; None for all.

    Raises:
        ConfigError: If a number cannot be right.
    """

    pixels: int = 384
    depth: int | None = None
    levels: tuple[int, ...] | Literal["all"] | None = None
    splits: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.pixels <= 8192:
            raise ConfigError("--pixels", f"{self.pixels} pixels", "Give 1 to 8192.")
        if self.levels is not None and self.levels != "all" and not self.levels:
            raise ConfigError("--levels", "no level is named", "Write for example --levels -7,-5,-3,-1, or all.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the record keeps them."""
        levels = sorted(self.levels) if isinstance(self.levels, tuple) else self.levels
        return {"pixels": self.pixels, "depth": self.depth, "levels": levels,
                "splits": None if self.splits is None else sorted(self.splits)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> Selection:
        """The selection that a record keeps.

        Raises:
            DataError: If it is none.
        """
        try:
            levels, splits = values["levels"], values["splits"]
            return cls(int(values["pixels"]), None if values["depth"] is None else int(values["depth"]),
                       tuple(int(v) for v in levels) if isinstance(levels, list) else levels,
                       None if splits is None else tuple(str(v) for v in splits))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(where, f"the choice that it keeps cannot be read ({error})",
                            "Say what you want with --levels and --splits.") from error


class Item(NamedTuple):
    """What a file of a repository is: its kind, its level if it holds tiles, its split if it is a split's table."""

    kind: Kind
    level: int | None = None
    split: str | None = None

    @property
    def label(self) -> str:
        """The kind for people."""
        return {"level": f"level {self.level}", "split": f"split {self.split}"}.get(self.kind, self.kind)


def classify(path: str) -> Item:
    """What a file is, by its path in the card's layout, as downloaded or as extracted."""
    from justzoomin.data import split_name

    folder, _, name = path.rpartition("/")
    shard = SHARD_PATTERN.fullmatch(name) if folder == "archives" else None
    if shard:
        return Item("level", -int(shard[2]) if shard[1] else int(shard[2]))
    if (tile := _LOOSE_TILE.fullmatch(path)) is not None:
        return Item("level", int(tile[1]))
    if _PHOTO_SHARD.fullmatch(path) or path.startswith("streetview/images/"):
        return Item("photos")
    if (table := _TABLE.fullmatch(path)) is not None:
        return Item("split", split=split_name(table["stem"]))
    if folder == "metadata" or path.startswith("streetview/metadata") or path in {"satellite/layout.yaml",
                                                                                 "satellite/region.yaml"}:
        return Item("metadata")
    return Item("about") if _ABOUT.fullmatch(path) else Item("other")


def needed_levels(layout: TileLayout, grid: ZoomGrid, pixels: int, where: str) -> tuple[int, ...]:
    """The levels that the views of a grid are drawn from, coarsest first, by the renderer's own rule.

    The rule asks for the ground resolution at a view's centre. It is asked at 9 x 9 centres over the region, because the
    scale of a projection differs from place to place: over a wide region two levels may be needed for views of one size.

    Raises:
        GeometryError: If the projection fails in the region.
        LayoutError: If PROJ does not know the projection.
    """
    projection = TileProjection(layout, where)
    centre = grid.region.centre
    levels = set()
    for step in range(grid.depth):
        size_m = grid.cell_size_m(step)
        reach = (grid.region.size_m - size_m) / 2.0
        east, north = (a.ravel() for a in np.meshgrid(*[np.linspace(-reach, reach, _STEPS)] * 2))
        lats, lons = from_local(centre.lat, centre.lon, east, north)
        for lat, lon in set(zip(lats.tolist(), lons.tolist(), strict=True)):
            levels.add(projection.choose_level(lat, lon, size_m / pixels)[0])
    return tuple(sorted(levels))


def chosen_levels(selection: Selection, present: Iterable[int], needed: tuple[int, ...], repo: str) -> tuple[int, ...]:
    """The levels to fetch, coarsest first.

    Raises:
        ConfigError: If one is wanted that the repository does not have; it lists those that it has.
    """
    have = sorted(set(present))
    wanted = have if selection.levels == "all" else sorted(set(selection.levels or needed))
    missing = [level for level in wanted if level not in have]
    if missing:
        option = "--levels" if selection.levels else f"--pixels {selection.pixels}"
        raise ConfigError(f"{option}: level {', '.join(map(str, missing))}", f"{repo} has no tiles of it",
                          f"Levels there: {', '.join(map(str, have)) or 'none'}.")
    return tuple(wanted)


def chosen_splits(selection: Selection, present: Iterable[str], repo: str) -> tuple[str, ...]:
    """The splits to fetch, sorted.

    Raises:
        ConfigError: If one is wanted that the repository does not have; it lists those that it has.
    """
    have = sorted(set(present))
    missing = [name for name in selection.splits or () if name not in have]
    if missing:
        raise ConfigError(f"--splits {','.join(missing)}", f"{repo} has no such split",
                          f"Splits there: {', '.join(have) or 'none'}.")
    return tuple(have if selection.splits is None else sorted(set(selection.splits)))
