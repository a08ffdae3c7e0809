"""Which parts of a repository to fetch: the levels that the grid needs, splits, and the files that are always included."""

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
        pixels: Edge of the views to be drawn, in pixels.
        depth: Zoom steps; default: what the repository's grid says.
        levels: Levels of the map, "all", or None for the levels that views of `pixels` and `depth` are drawn from.
        splits: Splits whose tables are fetched; None for all.

    Raises:
        ConfigError: If a number is out of range.
    """

    pixels: int = 384
    depth: int | None = None
    levels: tuple[int, ...] | Literal["all"] | None = None
    splits: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.pixels <= 8192:
            raise ConfigError("--pixels", f"{self.pixels} pixels are out of range", "Give 1 to 8192 pixels.")
        if self.levels is not None and self.levels != "all" and not self.levels:
            raise ConfigError("--levels", "the list of levels is empty", "Write for example --levels -7,-5,-3,-1, or all.")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as the record stores them."""
        levels = sorted(self.levels) if isinstance(self.levels, tuple) else self.levels
        return {"pixels": self.pixels, "depth": self.depth, "levels": levels,
                "splits": None if self.splits is None else sorted(self.splits)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> Selection:
        """Return the selection that a record stores.

        Raises:
            DataError: If the stored selection cannot be read.
        """
        try:
            levels, splits = values["levels"], values["splits"]
            return cls(int(values["pixels"]), None if values["depth"] is None else int(values["depth"]),
                       tuple(int(v) for v in levels) if isinstance(levels, list) else levels,
                       None if splits is None else tuple(str(v) for v in splits))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(where, f"the stored selection cannot be read ({error})",
                            "Select again with --levels and --splits.") from error


class Item(NamedTuple):
    """What a file of a repository contains: its kind, its level if it holds tiles, its split if it is a split's table."""

    kind: Kind
    level: int | None = None
    split: str | None = None

    @property
    def label(self) -> str:
        """The kind in words."""
        return {"level": f"level {self.level}", "split": f"split {self.split}"}.get(self.kind, self.kind)


def classify(path: str) -> Item:
    """Return what a file contains, by its path in the card's layout, downloaded or extracted."""
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
    """Return the levels that the views of a grid are drawn from, coarsest first, by the renderer's own rule.

    The rule depends on the ground resolution at a view's centre. It is applied at 9 x 9 centres over the region, because the
    scale of a projection varies: a wide region may need two levels for views of one size.

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
    """Return the levels to fetch, coarsest first.

    Raises:
        ConfigError: If the repository lacks a requested level; the error lists those that it has.
    """
    have = sorted(set(present))
    wanted = have if selection.levels == "all" else sorted(set(selection.levels or needed))
    missing = [level for level in wanted if level not in have]
    if missing:
        option = "--levels" if selection.levels else f"--pixels {selection.pixels}"
        raise ConfigError(f"{option}: level {', '.join(map(str, missing))}", f"{repo} has no tiles of this level",
                          f"Available levels: {', '.join(map(str, have)) or 'none'}.")
    return tuple(wanted)


def chosen_splits(selection: Selection, present: Iterable[str], repo: str) -> tuple[str, ...]:
    """Return the splits to fetch, sorted.

    Raises:
        ConfigError: If the repository lacks a requested split; the error lists those that it has.
    """
    have = sorted(set(present))
    missing = [name for name in selection.splits or () if name not in have]
    if missing:
        raise ConfigError(f"--splits {','.join(missing)}", f"{repo} has no such split",
                          f"Available splits: {', '.join(have) or 'none'}.")
    return tuple(have if selection.splits is None else sorted(set(selection.splits)))
