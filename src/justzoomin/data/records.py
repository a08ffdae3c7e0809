"""Checks of records: duplicates, positions outside the region, and sequences that contradict the position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from justzoomin.data.tables import Split
from justzoomin.geometry import ZoomGrid, haversine_m, to_local

BORDER_M = 1.0
"""A position this near to the stated cell counts as inside: six decimals of a degree are wrong by up to 0.1 m."""


@dataclass(frozen=True)
class RecordProblem:
    """A record that cannot be used, and the reason."""

    image_id: str
    kind: str
    detail: str


def check_records(split: Split, grid: ZoomGrid, *, own_grid: bool = True) -> list[RecordProblem]:
    """Return everything that `find_problems` finds, as a list."""
    return list(find_problems(split, grid, own_grid=own_grid))


def find_problems(split: Split, grid: ZoomGrid, *, own_grid: bool = True) -> Iterator[RecordProblem]:
    """Find duplicates, positions outside the region and sequences that contradict their position.

    A sequence contradicts its position if the position is more than `BORDER_M` outside the cell that it leads to. If the
    table was written for another grid (`own_grid` is false), the stated sequences are not checked.

    Yields:
        One problem at a time, so that a million of them need no memory.
    """
    ids = split.table["image_id"]
    for image_id in ids.filter(ids.is_duplicated()).unique().sort():
        yield RecordProblem(image_id, "duplicate", f"several rows of {split.path.name} have the id {image_id}")
    lat, lon = split.lat, split.lon
    bad = (np.abs(lat) > 90) | (np.abs(lon) > 360)
    _, inside = grid.encode_masked(np.where(bad, 0.0, lat), np.where(bad, 0.0, lon))
    inside &= ~bad
    swapped = _inside_when_swapped(grid, lat, lon, ~inside)
    for k in np.flatnonzero(~inside):
        yield RecordProblem(ids[int(k)], "position" if bad[k] else "off_region", (
            f"{lat[k]}, {lon[k]} is not a position" if bad[k] else f"{lat[k]:.6f}, {lon[k]:.6f} is outside the region")
            + ("; latitude and longitude are swapped: exchanged, they are inside the region" if swapped[k] else ""))
    if not own_grid:
        return
    stated = split.table["sequence"]
    well_formed = ((stated.list.len() == grid.depth) & (stated.list.min().fill_null(-1) >= 0)
                   & (stated.list.max().fill_null(-1) < grid.actions)).to_numpy()
    for k in np.flatnonzero(~well_formed):
        text = str(stated[int(k)].head(20).to_list())
        yield RecordProblem(ids[int(k)], "sequence", f"{text} is not a path of {grid.depth} actions below {grid.actions}")
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
                            f"its sequence {sequences[k].tolist()} leads to a cell {away:.0f} m from its position")


def _inside_when_swapped(grid: ZoomGrid, lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64],
                         outside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return a mask (N,) of the outside positions that are inside the region if latitude and longitude are exchanged."""
    swapped = np.zeros(len(lat), bool)
    can_be = np.flatnonzero(outside & (np.abs(lon) <= 90) & (np.abs(lat) <= 360))
    if len(can_be):
        swapped[can_be] = grid.encode_masked(lon[can_be], lat[can_be])[1]
    return swapped
