"""Checks of records: what contradicts itself or the region, one finding after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from justzoomin.data.tables import Split
from justzoomin.geometry import ZoomGrid, haversine_m, to_local

BORDER_M = 1.0
"""A position this near to the stated cell counts as inside: six decimals of a degree are up to 0.1 m off."""


@dataclass(frozen=True)
class RecordProblem:
    """A record that cannot be used, and why."""

    image_id: str
    kind: str
    detail: str


def check_records(split: Split, grid: ZoomGrid, *, own_grid: bool = True) -> list[RecordProblem]:
    """All that `find_problems` finds, as a list."""
    return list(find_problems(split, grid, own_grid=own_grid))


def find_problems(split: Split, grid: ZoomGrid, *, own_grid: bool = True) -> Iterator[RecordProblem]:
    """Find duplicates, positions off the region and sequences that contradict their position.

    A sequence contradicts when its position lies more than `BORDER_M` outside the cell it leads to. Where the grid is
    not the one that the table was written for (`own_grid` false), the stated sequences are not looked at.

    Yields:
        One problem after the other, so that a million of them need no memory.
    """
    ids = split.table["image_id"]
    for image_id in ids.filter(ids.is_duplicated()).unique().sort():
        yield RecordProblem(image_id, "duplicate", f"the id {image_id} stands in several rows of {split.path.name}")
    lat, lon = split.lat, split.lon
    bad = (np.abs(lat) > 90) | (np.abs(lon) > 360)
    _, inside = grid.encode_masked(np.where(bad, 0.0, lat), np.where(bad, 0.0, lon))
    inside &= ~bad
    swapped = _inside_when_swapped(grid, lat, lon, ~inside)
    for k in np.flatnonzero(~inside):
        yield RecordProblem(ids[int(k)], "position" if bad[k] else "off_region", (
            f"{lat[k]}, {lon[k]} is no position" if bad[k] else f"{lat[k]:.6f}, {lon[k]:.6f} lies outside the region")
            + ("; exchanged it lies inside: latitude and longitude are swapped" if swapped[k] else ""))
    if not own_grid:
        return
    stated = split.table["sequence"]
    well_formed = ((stated.list.len() == grid.depth) & (stated.list.min().fill_null(-1) >= 0)
                   & (stated.list.max().fill_null(-1) < grid.actions)).to_numpy()
    for k in np.flatnonzero(~well_formed):
        text = str(stated[int(k)].head(20).to_list())
        yield RecordProblem(ids[int(k)], "sequence", f"{text} is no path of {grid.depth} actions below {grid.actions}")
    yield from _contradictions(split, grid, well_formed & inside)


def _contradictions(split: Split, grid: ZoomGrid, usable: npt.NDArray[np.bool_]) -> Iterator[RecordProblem]:
    table = split.table.filter(pl.Series(usable))
    if not len(table):
        return
    sequences = table["sequence"].explode().to_numpy().reshape(len(table), grid.depth)
    lat, lon = table["latitude"].to_numpy(), table["longitude"].to_numpy()
    lat_c, lon_c = grid.centres(sequences)
    east, north = to_local(lat_c, lon_c, lat, lon)
    reach = grid.cell_size_m(grid.depth) / 2 + max(BORDER_M, grid.sliver_m)
    for k in np.flatnonzero(np.maximum(np.abs(east), np.abs(north)) > reach):
        away = float(haversine_m(lat_c[k], lon_c[k], lat[k], lon[k]))
        yield RecordProblem(table["image_id"][int(k)], "contradiction",
                            f"its sequence {sequences[k].tolist()} leads {away:.0f} m away from its position")


def _inside_when_swapped(grid: ZoomGrid, lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64],
                         outside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which of the positions outside (N,) would lie inside the region with latitude and longitude exchanged."""
    swapped = np.zeros(len(lat), bool)
    can_be = np.flatnonzero(outside & (np.abs(lon) <= 90) & (np.abs(lat) <= 360))
    if len(can_be):
        swapped[can_be] = grid.encode_masked(lon[can_be], lat[can_be])[1]
    return swapped
