"""Verify a dataset: examine archives, map, records, photos and tiles in one pass, list problems, change nothing.

A broken part never hides the rest: whatever cannot be opened is reported, and all other parts are examined all the same.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from justzoomin.archives import check_hashes, check_shard, require_complete
from justzoomin.checks.findings import LISTED_PER_KIND, Progress, VerifyReport, examine_all
from justzoomin.checks.inventory import TileInventory, TilePiece
from justzoomin.data import Dataset, PhotoStore, Places, decode_photo, find_problems, read_split
from justzoomin.errors import JustZoomInError, LayoutError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import Map, find_region, layout_folder
from justzoomin.tiles import SHARD_PATTERN, TileLayout, TileProjection

_PHOTO_SHARD = "streetview_images_*.tar"
_VIEW_PIXELS = 256
TRAINED, SCORED = "train", ("val", "test")
"""Splits that must not share photos: the one that models are trained on, and those that they are scored on."""


def default_workers() -> int:
    """Return the default number of threads: one per processor, and one more that waits for the disk."""
    return min(16, (os.cpu_count() or 1) + 1)


def verify_dataset(dataset: Dataset, *, tiles: bool = True, workers: int | None = None, progress: Progress | None = None
                   ) -> VerifyReport:
    """Verify an open dataset; see `verify_repository`."""
    verification = _Verification(dataset.places or Places(dataset.root), dataset.grid, dataset.own_grid, workers, progress,
                                 LISTED_PER_KIND)
    return verification.run(tiles, hashes=True)


def verify_repository(root: str | Path | Places, grid: ZoomGrid | None = None, *, tiles: bool = True, hashes: bool = True,
                      workers: int | None = None, progress: Progress | None = None, limit: int = LISTED_PER_KIND
                      ) -> VerifyReport:
    """Verify a dataset that may be broken in any way: every archive, record, photo and tile.

    Args:
        root: The folder, downloaded or extracted; or the places of its parts.
        grid: The zoom grid, if it differs from the one that the dataset states.
        tiles: Whether to decode the map's tiles as well.
        hashes: Whether to compare the files of a download with the hub's hashes, which reads all of them.
        workers: Number of threads; None for one more than there are processors.
        progress: Called with what is being examined, how many are done and how many there are.
        limit: How many problems of each kind are listed; all are counted.
    """
    places = root if isinstance(root, Places) else Places(Path(root))
    return _Verification(places, grid, None, workers, progress, limit).run(tiles, hashes)


class _Verification:
    """One pass over a repository."""

    def __init__(self, places: Places, grid: ZoomGrid | None, own_grid: bool | None, workers: int | None,
                 progress: Progress | None, limit: int) -> None:
        self.places, self.root, self.grid, self.own_grid = places, places.root, grid, own_grid
        self.workers, self.progress = workers or default_workers(), progress
        self.report = VerifyReport(limit=limit)

    def run(self, tiles: bool, hashes: bool) -> VerifyReport:
        """Verify everything, cheap parts first."""
        if not self.root.is_dir():
            self.report.add("folder", self.root, "the folder does not exist")
            return self.report
        if self.places.metadata_csv is None:
            self._completeness(hashes)
        broken = self._archives()
        layout = self._layout()
        wanted = self._records()
        self._photos(wanted, broken)
        if layout is not None:
            inventory = TileInventory(layout_folder(self.places.map), layout, broken)
            self._map(inventory, layout, tiles)
        return self.report

    def _completeness(self, hashes: bool) -> None:
        try:
            found = check_hashes(self.root, self.progress, self.workers) if hashes else []
            for problem in found:
                self.report.add("download", problem.path, problem.detail)
            if not found:
                require_complete(self.root)
        except JustZoomInError as error:
            self.report.add("incomplete", error.where, error)

    def _archives(self) -> set[Path]:
        """Scan every shard and report other files beside them; return the unusable shards."""
        broken: set[Path] = set()
        shards = []
        for path in sorted(p for f in (self.root / "archives", self.root / "satellite" / "archives") if f.is_dir()
                           for p in f.iterdir()):
            if path.match(_PHOTO_SHARD) or SHARD_PATTERN.fullmatch(path.name):
                shards.append(path)
            elif path.name != ".jzi-index":
                self.report.add("foreign_file", path, "this file is never read: its name is not that of a shard")

        def look(path: Path) -> None:
            try:
                check_shard(path)
            except JustZoomInError as error:
                broken.add(path)
                self.report.add("broken_archive", error.where, error)

        if shards:
            self.report.counts["archives"] = len(shards)
            examine_all(shards, len(shards), look, "archives", self.workers, self.progress)
        return broken

    def _layout(self) -> TileLayout | None:
        """Return the layout, and find the grid on the way."""
        try:
            folder = layout_folder(self.places.map)
            layout = TileLayout.load(folder / "layout.yaml")
            TileProjection(layout, str(folder / "layout.yaml"))
        except JustZoomInError as error:
            self.report.add("map", error.where, error)
            return None
        try:
            stated = find_region(folder, layout)
        except LayoutError as error:
            stated = None
            if self.grid is None or (folder / "region.yaml").exists():
                self.report.add("map", error.where, error)
        except JustZoomInError as error:
            stated = None
            self.report.add("map", error.where, error)
        if self.own_grid is None:
            self.own_grid = self.grid is None or stated in (None, self.grid)
        self.grid = self.grid or stated
        return layout

    def _records(self) -> dict[str, str]:
        """Check all tables; return the splits of photos by their ids."""
        wanted: dict[str, str] = {}
        several: dict[str, list[str]] = {}
        try:
            splits = self.places.splits()
            if not splits:
                self.report.add("table", self.root / "metadata", "metadata/ contains no split tables (.csv or .parquet)")
        except JustZoomInError as error:
            self.report.add("table", error.where, error)
            return wanted
        for number, (name, path) in enumerate(splits.items(), 1):
            try:
                split = read_split(path, name)
            except JustZoomInError as error:
                self.report.add("table", error.where, error, name)
                continue
            self.report.counts[f"records_{name}"] = len(split)
            if self.grid is not None:
                for problem in find_problems(split, self.grid, own_grid=bool(self.own_grid)):
                    self.report.add(problem.kind, problem.image_id, problem.detail, name)
            for image_id in dict.fromkeys(split.image_ids):
                if wanted.setdefault(image_id, name) != name:
                    others = several.setdefault(image_id, [wanted[image_id]])
                    self._shared(image_id, name, others)
                    others.append(name)
            if self.progress:
                self.progress("tables", number, len(splits))
        return wanted

    def _shared(self, image_id: str, name: str, others: list[str]) -> None:
        """Report shared photos: between `train` and a scored split they are an error, in other splits a warning."""
        leak = next((other for other in others if TRAINED in (name, other) and (name in SCORED or other in SCORED)), None)
        kind = "also_in_split" if leak is None else "shared_photo"
        self.report.add(kind, image_id, f"the photo is also in split {leak or others[0]}", name)

    def _photos(self, wanted: dict[str, str], broken: Collection[Path]) -> None:
        try:
            photos: PhotoStore = self.places.photos(without=broken)
            present = photos.ids()
        except (JustZoomInError, OSError) as error:
            self.report.add("photos", getattr(error, "where", self.root), error)
            return
        for image_id, name in wanted.items():
            if image_id not in present:
                self.report.add("missing_photo", image_id, "the repository does not contain this photo", name)
        ids = [image_id for image_id in wanted if image_id in present]

        def look(image_id: str) -> None:
            try:  # at an eighth of the size every byte is still read and every code unpacked
                decode_photo(photos.read(image_id), photos.where(image_id), (1, 1))
            except JustZoomInError as error:
                self.report.add("broken_photo", image_id, error, wanted[image_id])

        self.report.counts["photos"] = len(ids)
        examine_all(ids, len(ids), look, "photos", self.workers, self.progress)

    def _map(self, inventory: TileInventory, layout: TileLayout, decode: bool) -> None:
        for error in inventory.problems:
            self.report.add("broken_archive" if inventory.packed else "map", error.where, error)
        for path in inventory.foreign:
            self.report.add("foreign_level", path, f"the layout has only levels {layout.min_zoom} to {layout.max_zoom}")
        if not len(inventory):
            if layout.url is not None and not inventory.packed:
                self.report.add("not_looked_at", self.root, "the map has no local tiles: layout.yaml names a server")
            else:
                self.report.add("map", self.root, f"the map has no tiles of levels {layout.min_zoom} to {layout.max_zoom}")
            return
        if decode:
            self.report.counts["tiles"] = len(inventory)

            def look(piece: TilePiece) -> None:
                try:
                    if piece.look():
                        self.report.add("white_tile", piece.item, "the tile is entirely white")
                except JustZoomInError as error:
                    self.report.add("broken_tile", piece.item, error)

            examine_all(inventory, len(inventory), look, "tiles", self.workers, self.progress)
        self._coverage()

    def _coverage(self) -> None:
        """Report how much of the region is white, from a view of it."""
        if self.grid is None or not self.report.ok:
            return
        try:
            shown = Map.open(self.places.map, self.grid).view(*self.grid.region.centre, self.grid.region.size_m, _VIEW_PIXELS)
        except JustZoomInError as error:
            self.report.add("no_data", error.where, error)
            return
        if shown.no_data > 0:
            self.report.add("no_data", self.root, f"{100 * shown.no_data:.1f} % of the region has no tiles")
