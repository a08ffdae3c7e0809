"""A dataset repository in the card's layout, downloaded (TAR shards) or extracted."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from justzoomin.archives import require_complete
from justzoomin.data.cameras import PhotoCamera
from justzoomin.data.photos import PhotoStore
from justzoomin.data.places import Places
from justzoomin.data.records import check_records
from justzoomin.data.tablefile import read_table
from justzoomin.data.tables import Split, read_split
from justzoomin.errors import DataError, LayoutError
from justzoomin.geometry import ZoomGrid, stated_bearings
from justzoomin.maps import GridViews, Map, layout_folder
from justzoomin.tiles import AERIAL_ATTRIBUTION, CARD_LAYOUT
from justzoomin.untrusted import files_in

if TYPE_CHECKING:
    from justzoomin.data.framing import Frame
    from justzoomin.data.torch_data import ZoomDataset
    from justzoomin.data.transforms import Decode

FIELD_OF_VIEW = "hfov_deg"
"""Column with the horizontal field of view of a photo in degrees."""
PITCH, ROLL = "pitch_deg", "roll_deg"
"""Columns with the tilt of a photo's camera in degrees; see `PhotoCamera`."""
CUT_FROM = "panorama_id"
"""Column with the panorama that a photo was cut from."""
BEARING = "bearing_deg"
"""Column with the viewing direction of a photo in degrees clockwise from north."""
COMPASS = ("computed_compass_angle", "compass_angle")
"""Columns with the same from Mapillary: computed from neighbouring photos, and read from the camera's compass."""

ATTRIBUTION = f"Street-view imagery derived from Mapillary, licensed under CC BY-SA 4.0.\n{AERIAL_ATTRIBUTION}"
"""Attribution that the dataset card requires, used for repositories with its layout and without an ATTRIBUTION file."""

Valid = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""From the numbers of a column to those that can be used; NaN in place of the others."""


@dataclass
class Dataset:
    """An open dataset: splits, photos and map.

    Attributes:
        root: The repository's folder.
        map: The overhead map with its zoom grid.
        photos: Source of the bytes of photos.
        own_grid: Whether the grid is the one that the split tables were written for.
        places: Locations of its parts; below `root` if None.
    """

    root: Path
    map: Map
    photos: PhotoStore
    own_grid: bool = True
    places: Places | None = None
    _splits: dict[str, Split] = field(default_factory=dict, repr=False)

    @property
    def grid(self) -> ZoomGrid:
        """The zoom grid of this dataset."""
        return self.map.grid

    @cached_property
    def split_paths(self) -> dict[str, Path]:
        """Names and files of the splits; a Parquet file is preferred to a CSV file of the same name."""
        return (self.places or Places(self.root)).splits()

    def split(self, name: str) -> Split:
        """Return the records of a split.

        Raises:
            DataError: If there is no such split or its table is broken.
        """
        if name not in self.split_paths:
            raise DataError(self.root / "metadata", f"there is no split called {name!r}",
                            f"Existing splits: {', '.join(self.split_paths) or 'none'}.")
        if name not in self._splits:
            self._splits[name] = read_split(self.split_paths[name], name)
        return self._splits[name]

    def sequences(self, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        """Return true sequences (N, depth): the table's own, or computed from positions if another grid was given.

        Raises:
            DataError: If a stated sequence does not fit the grid.
            OffRegionError: If a photo is outside the region of the given grid.
        """
        split = self.split(name)
        return split.sequences(self.grid) if self.own_grid else split.at_grid(self.grid)

    def check(self, name: str, *, photos: bool = True) -> None:
        """Check before a training what is cheap to check: ids, sequences, positions, and that every photo exists.

        Args:
            name: Name of the split.
            photos: Whether the photos must exist; a training on ready photos does not need them.

        Raises:
            DataError: If there are problems. It names the first one and their number.
        """
        split = self.split(name)
        problems = check_records(split, self.grid, own_grid=self.own_grid)
        present = self.photos.ids() if photos else set(split.image_ids)
        missing = [i for i in split.image_ids if i not in present]
        if problems:
            first = problems[0]
            raise DataError(f"{split.path}, image_id {first.image_id}",
                            f"{first.detail} ({len(problems)} problems in this split)",
                            f"List them with: jzi data verify {self.root}.")
        if missing:
            raise DataError(f"{split.path}, image_id {missing[0]}",
                            f"the photo is missing ({len(missing)} of {len(split)} photos are missing)",
                            f"List them with: jzi data verify {self.root}; download the shards or drop the rows.")

    def torch_dataset(self, name: str, pixels: int, *, decode: Decode = "scaled",
                      crop_scale: tuple[float, float] | None = None, seed: int = 0,
                      views: GridViews | None = None, frame: Frame | None = None) -> ZoomDataset:
        """Return the samples of a split for torch; see `ZoomDataset`. Without a frame, photos are squeezed to 2:1.

        `pixels` is the edge of photo halves, and of the views if none are given.
        """
        from justzoomin.data.framing import SQUEEZE
        from justzoomin.data.torch_data import ZoomDataset

        split, frame = self.split(name), frame or SQUEEZE
        return ZoomDataset(
            image_ids=split.image_ids, sequences=self.sequences(name), photos=self.photos,
            positions=np.stack([split.lat, split.lon], 1), decode=decode, crop_scale=crop_scale, seed=seed,
            views=views or GridViews(self.map, self.grid, pixels), pixels=pixels, frame=frame,
            cameras=self.cameras(split.image_ids) if frame.uses_cameras else {},
        )

    def bearings(self, name: str) -> npt.NDArray[np.float64]:
        """Return the viewing directions (N,) of a split's photos in degrees; NaN where it is missing or -1.

        They are read from the column `bearing_deg` of the split's own table, or of a table in `streetview/`. A photo without
        one has the bearing of Mapillary's column `computed_compass_angle` or, without that, `compass_angle`.

        Raises:
            DataError: If there is no such split, or a table cannot be read.
        """
        found = self._stated(name, BEARING, stated_bearings)
        for column in COMPASS:
            if np.isnan(found).any():
                found = np.where(np.isnan(found), self._stated(name, column, stated_bearings), found)
        return found

    def fields_of_view(self, name: str) -> npt.NDArray[np.float64]:
        """Return the horizontal fields of view (N,) of a split's photos in degrees, from the column `hfov_deg`; NaN if missing.

        Raises:
            DataError: If there is no such split, or a table cannot be read.
        """
        return self._stated(name, FIELD_OF_VIEW, _field_of_view)

    def cameras(self, ids: Sequence[str]) -> dict[str, PhotoCamera]:
        """Return what the dataset's tables say of the cameras of photos, by id; photos of which they say nothing are left out.

        They are read from the columns `hfov_deg`, `pitch_deg` and `roll_deg` of the splits in use and of tables in
        `streetview/`. Photos that were cut from a panorama are level, whatever its tilt.

        Raises:
            DataError: If a table cannot be read.
        """
        tables = [split.table for split in self._splits.values()]
        fields = self._numbers(tables, ids, FIELD_OF_VIEW, _field_of_view)
        tilts = [self._numbers(tables, ids, column, _within(most)) for column, most in ((PITCH, 90.0), (ROLL, 180.0))]
        level = np.zeros(len(ids), bool)
        for panoramas in self._columns(tables, ids, CUT_FROM):
            level |= np.array([panorama not in (None, "") for panorama in panoramas], bool)
        pitches, rolls = (np.where(level | np.isnan(tilt), 0.0, tilt) for tilt in tilts)
        found = {}
        for image_id, fov, pitch, roll in zip(ids, fields.tolist(), pitches.tolist(), rolls.tolist(), strict=True):
            if math.isfinite(fov):
                found[image_id] = PhotoCamera(fov, pitch, roll, source=f"column {FIELD_OF_VIEW}")
            elif pitch or roll:
                found[image_id] = PhotoCamera(None, pitch, roll)
        return found

    def _stated(self, name: str, column: str, valid: Valid) -> npt.NDArray[np.float64]:
        """Return a column (N,) for a split's photos, from its own table or one in `streetview/`; NaN without a valid value."""
        split = self.split(name)
        return self._numbers([split.table], split.image_ids, column, valid)

    def _numbers(self, tables: Sequence[pl.DataFrame], ids: Sequence[str], column: str,
                 valid: Valid) -> npt.NDArray[np.float64]:
        found = np.full(len(ids), np.nan)
        for values in self._columns(tables, ids, column):
            stated = valid(values.cast(pl.Float64, strict=False).to_numpy().astype(np.float64))  # None becomes NaN
            found = np.where(np.isfinite(found), found, stated)
        return found

    def _columns(self, tables: Sequence[pl.DataFrame], ids: Sequence[str], column: str) -> Iterator[pl.Series]:
        """Yield a column (N,) for photos from each table that has it: first those given, then those in `streetview/`."""
        paths = files_in(self.root / "streetview", "[!.]*.csv")
        paths += [p for p in files_in(self.root / "streetview", "[!.]*.parquet") if p.with_suffix(".csv") not in paths]
        others = (read_table(path, ("image_id", column), ("image_id",)) for path in paths)
        for table in (*tables, *others):
            if "image_id" in table.columns and column in table.columns:
                known = dict(zip(table["image_id"].cast(pl.String), table[column], strict=True))
                yield pl.Series(column, [known.get(i) for i in ids], table[column].dtype)

    def attribution(self) -> str:
        """Return the attribution to show with anything made from this dataset."""
        file = self.root / "ATTRIBUTION"
        if file.is_file():
            return file.read_text(encoding="utf-8", errors="replace").strip()
        if self.map.layout.same_place(CARD_LAYOUT):
            return ATTRIBUTION
        return self.map.attribution or f"Not stated: {self.root} has no ATTRIBUTION file."

    def split_hash(self, name: str) -> str:
        """Return the SHA-256 of a split's ids, positions and sequences, which does not depend on the file format."""
        split = self.split(name)
        return hash_records(split.image_ids, split.lat, split.lon, self.sequences(name))


def _field_of_view(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where((degrees > 0) & (degrees < 180), degrees, np.nan)


def _within(most: float) -> Valid:
    return lambda degrees: np.where(np.abs(degrees) <= most, degrees, np.nan)


def hash_records(image_ids: Iterable[str], lat: Iterable[float], lon: Iterable[float],
                 sequences: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> str:
    """Return the SHA-256 of the ids, positions and sequences (N, depth) of a split, in their order."""
    digest = hashlib.sha256()
    for image_id, latitude, longitude, sequence in zip(image_ids, lat, lon, sequences.tolist(), strict=True):
        digest.update(f"{image_id},{latitude:.9f},{longitude:.9f},{sequence}\n".encode())
    return digest.hexdigest()


def open_dataset(root: str | Path | Places | None = None, grid: ZoomGrid | None = None, *,
                 metadata_csv: str | Path | None = None, ground_root: str | Path | None = None,
                 tile_layout: str | Path | None = None) -> Dataset:
    """Open a dataset, downloaded or extracted. Nothing is extracted or copied.

    Give either the folder of a complete repository, or the three paths of the dataset card's loader, in any folders.

    Args:
        root: The folder with metadata/, satellite/ and archives/ or streetview/; or the locations of the parts.
        grid: The zoom grid. If the dataset states no grid, its split tables are assumed to be written for this one. If it
            states a different grid, true sequences are computed from positions.
        metadata_csv: Table of a split; the other splits are the tables beside it with the card's names.
        ground_root: Folder of the photos `<image_id>_undistorted.jpg`.
        tile_layout: The map's layout.yaml, with the tiles beside it.

    Raises:
        DataError: If it is not a dataset, a path is missing, or a download or extraction is incomplete.
        LayoutError: If its map's layout or region is missing or broken.
    """
    places = root if isinstance(root, Places) else find_places(root, metadata_csv, ground_root, tile_layout)
    if places.metadata_csv is None:
        if not places.root.is_dir():
            raise DataError(places.root, "there is no such folder", "Give the folder that holds the dataset.")
        require_complete(places.root)
        if not places.splits():
            raise DataError(places.root, "there are no split tables: metadata/ holds neither .csv nor .parquet files",
                            "Give the folder that holds metadata/, satellite/ and archives/ or streetview/; "
                            "or give table, photos and map with --metadata-csv, --ground-root and --tile-layout.")
    opened = Map.open(places.map, grid=grid)
    own = grid is None or _stated_grid(places.map) in (None, grid)
    return Dataset(places.root, opened, places.photos(), own, places)


def find_places(root: str | Path | None, metadata_csv: str | Path | None = None, ground_root: str | Path | None = None,
                tile_layout: str | Path | None = None) -> Places:
    """Return the locations of a dataset's parts: below a folder, or at the card's three paths.

    Raises:
        DataError: If both or neither are given, or one of the three paths is missing.
    """
    card = {"metadata_csv": metadata_csv, "ground_root": ground_root, "tile_layout": tile_layout}
    missing = [name for name, path in card.items() if path is None]
    how = "Give the dataset's folder, or metadata_csv, ground_root and tile_layout together."
    if root is not None and len(missing) < len(card):
        raise DataError(root, "both a dataset's folder and single paths are given", how)
    if root is not None:
        return Places(Path(root))
    if metadata_csv is None or ground_root is None or tile_layout is None:
        raise DataError("dataset", f"no {', '.join(missing)} is given", how)
    return Places.of_card(metadata_csv, ground_root, tile_layout)


def _stated_grid(map_path: Path) -> ZoomGrid | None:
    """Return the grid that a map itself states; None if it states none."""
    try:
        return Map.open(map_path).grid
    except LayoutError:  # its layout was read just before, so only the region is missing
        folder = layout_folder(map_path)
        if (folder / "region.yaml").exists() or (map_path / "region.yaml").exists():
            raise
        return None
