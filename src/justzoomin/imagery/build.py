"""Building a map in threads: each square of the finest level is drawn once, then averaged for the coarser levels."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from justzoomin.archives import ShardWriter
from justzoomin.errors import ConfigError, DataError, TileError
from justzoomin.files import folder_lock, free_bytes, refuse_links, sync_folder, write_bytes
from justzoomin.geometry import LatLon, ZoomGrid, find_grid, save_grid
from justzoomin.imagery.bundles import Bundles
from justzoomin.imagery.config import MapBuildConfig
from justzoomin.imagery.mapcrs import shown_scale
from justzoomin.imagery.mosaic import TileMosaic
from justzoomin.imagery.plan import MapPlan, make_plan, seen, worst_scale
from justzoomin.imagery.points import DEGREES, convert, unwrapped
from justzoomin.imagery.pyramid import Canvas, compose, cut_tiles, halve
from justzoomin.imagery.rastermosaic import RasterMosaic
from justzoomin.imagery.rasters import close_files
from justzoomin.imagery.record import WORK_FOLDER, load_record, require_same, save_record
from justzoomin.imagery.sources import SourceStamp, open_all, raster_files, stamp_sources
from justzoomin.imagery.stretch import find_limits, require_bytes
from justzoomin.imagery.working import gdal_cache, in_threads, quiet_libraries
from justzoomin.maps import scale_warning

Progress = Callable[[str, int, int], None]
"""Called with a stage (`tiles`, `levels`, `packing`), the number done and the total."""
Chunk = tuple[int, int]
_ALPHAS = 20


class MapBuild:
    """A map to build: everything is checked when this is made, and nothing is written before `run`.

    Args:
        sources: Raster files, folders of them, addresses of tiles, tile packages; the first is on top.
        dest: Folder of the map.
        settings: The settings of the build.

    Raises:
        ConfigError: If a setting is not valid, the map would be too large, or `dest` was begun with other settings.
        TileError: If a source cannot be read.
        DataError: If `dest` holds another map, or the disk does not have enough space.
        MissingExtraError: If a library for a source is not installed.
    """

    def __init__(self, sources: Sequence[str | Path], dest: Path | str, settings: MapBuildConfig | None = None) -> None:
        self.dest = Path(dest)
        self.settings = settings or MapBuildConfig()
        self._work = self.dest / WORK_FOLDER
        self._bundles = Bundles(self._work)
        self._grid = None if self.settings.region is None else find_grid(self.settings.region)
        record = load_record(self.dest)
        _require_free_place(self.dest, record)
        self._stamps: list[SourceStamp] = stamp_sources(sources)
        if record is not None:
            require_same(self.dest, record, self.settings.identity(), self._stamps)
        self.resumes = record is not None and not record["complete"]
        self.complete = record is not None and bool(record["complete"])
        self.imagery = open_all(sources, self.settings)
        self._files = raster_files(self.imagery)
        self.limits = None
        if self.settings.stretch:
            self.limits = find_limits(self._files)
            self.imagery = [piece.stretched(self.limits) if isinstance(piece, RasterMosaic) else piece
                            for piece in self.imagery]
        else:
            require_bytes(self._files)
        close_files()
        self.imagery = [piece.within(self.settings.area) if isinstance(piece, RasterMosaic) else piece
                        for piece in self.imagery]
        self.plan: MapPlan = make_plan(self.imagery, self.settings, self._place())
        if self._grid is not None:
            _require_inside(self._grid, self.plan)
        self.attribution = self._attribution()
        if record is not None:
            require_same(self.dest, record, self.settings.identity(), self._stamps, self._plan_values())
        if not self.complete:
            self._require_disk()

    @property
    def bytes_estimate(self) -> int:
        """About how many bytes the build needs on the disk at most, near its end."""
        tiles = self.plan.bytes_estimate(self.settings.quality)
        kept = int(0.15 * self.plan.pixels)  # chunks as lossless tiles, until the end
        return kept + tiles * (2 if self.settings.format == "tar" else 1)

    def remarks(self) -> list[str]:
        """Return sentences that the user should know before the build."""
        found = []
        finest = min(piece.metres_per_pixel() for piece in seen(self.imagery))
        if self.plan.gsd_m < 0.99 * finest:
            found.append(f"{self.plan.gsd_m:g} m per pixel is finer than the sources ({finest:.3g} m): "
                         "the picture is enlarged, not sharper.")
        for text, files in (
                ("one band is drawn as grey", [f for f in self._files if len(f.bands) == 1 and f.palette is None]),
                ("its transparency has values between none and full almost everywhere; if it is a fourth colour, "
                 "correct the file with gdal_translate -colorinterp_4 undefined",
                 [f for f in self._files[:_ALPHAS] if f.odd_alpha()]),
                ("this VRT states no no-data value, but its sources leave out pixels: 0 in all bands counts as no data",
                 [f for f in self._files if f.cover is not None and f.cover.leaves_out]),
                ("a palette is drawn in its colours", [f for f in self._files if f.palette is not None]),
                ("the file is stored in rows, not in tiles, so parts of it are read slowly; gdal_translate -co TILED=YES helps",
                 [f for f in self._files if f.block[1] >= f.width > 8 * self.plan.chunk_px])):
            if files:
                more = f" and {len(files) - 1} more" if len(files) > 1 else ""
                found.append(f"{files[0].path}{more}: {text}.")
        close_files()
        place = self._place()
        scale = worst_scale(self.plan) if place is None else shown_scale(self.plan.crs, place)
        if off := scale_warning(self.plan.crs, scale):
            found.append(off)
        if self.limits is not None:
            spans = ", ".join(f"{low:g} to {high:g}" for low, high in self.limits)
            found.append(f"colours are stretched: {spans} become 0 to 255.")
        found += [note for piece in self.imagery if isinstance(piece, TileMosaic) and (note := piece.remark(self.plan.gsd_m))]
        if not self.attribution:
            found.append("there is no attribution: neither --attribution nor the sources name anyone. Most maps need one.")
        return found

    def holes(self) -> list[str]:
        """Return sentences about tiles that servers and packages did not have during the build."""
        return [words for piece in self.imagery if isinstance(piece, TileMosaic) and (words := piece.holes())]

    def run(self, progress: Progress | None = None) -> Path:
        """Build the map, or continue an interrupted build; return its folder.

        Raises:
            TileError: If a source is broken, or no pixel has data.
            DataError: If another build runs in the folder.
            OSError: If a file cannot be written.
        """
        report = progress or (lambda stage, done, total: None)
        if not self.complete:
            self._require_levels()
            fresh = not self.resumes
            for place in (self._work, self.dest / "satellite", self.dest / "archives"):
                refuse_links(self.dest, place)
            with folder_lock(self._work, "build"):
                if fresh:
                    self._save_record(complete=False)
                else:
                    _remove_parts(self.dest)
                self._build(report)
                if self.settings.format == "tar":
                    self._pack(report)
                self._finish()
                self._save_record(complete=True)
            shutil.rmtree(self._work, ignore_errors=True)
            self.complete, self.resumes = True, False
        else:
            shutil.rmtree(self._work, ignore_errors=True)
            self._finish()
        return self.dest

    def _place(self) -> LatLon | None:
        """Return the centre of the region, if a region but no area is given and a source covers the centre; else None."""
        if self._grid is None or self.settings.area is not None:
            return None
        centre = self._grid.region.centre
        for piece in self.imagery:
            west, south, east, north = piece.bounds(DEGREES)
            if south <= centre.lat <= north and west <= float(unwrapped(DEGREES, centre.lon, (west + east) / 2)) <= east:
                return centre
        return None

    # --- before the build --------------------------------------------------------------------------------------------

    def _attribution(self) -> str:
        stated = [line for piece in self.imagery for line in piece.attribution.splitlines()]
        lines = [line.strip() for line in [*self.settings.attribution.splitlines(), *stated]]
        return "\n".join(dict.fromkeys(line for line in lines if line))

    def _plan_values(self) -> dict[str, object]:
        plan = self.plan
        return {"crs": plan.crs, "gsd_m": plan.gsd_m, "pixel": plan.pixel, "west": plan.west, "south": plan.south,
                "min_zoom": plan.min_zoom, "chunks": len(plan.chunks),
                "stretch": None if self.limits is None else [list(limit) for limit in self.limits]}

    def _save_record(self, *, complete: bool) -> None:
        save_record(self.dest, complete=complete, settings=self.settings.identity(), sources=self._stamps,
                    plan=self._plan_values())

    def _require_levels(self) -> None:
        """Refuse a tile server without any tile of the needed level, before anything is written."""
        for piece in self.imagery:
            if isinstance(piece, TileMosaic):
                piece.require_level(self.plan.gsd_m)

    def _require_disk(self) -> None:
        """Refuse a disk that is too small, before anything is written.

        Raises:
            DataError: If it is; it names the needed and the free bytes.
        """
        done = sum(self._bundles.is_done(0, *chunk) for chunk in self.plan.chunks) if self.resumes else 0
        needed = int(self.bytes_estimate * (1 - done / len(self.plan.chunks)))
        free = free_bytes(self.dest)
        if needed > free:
            raise DataError(self.dest, f"about {needed / 1e9:,.1f} GB are needed, but {free / 1e9:,.1f} GB are free",
                            "Name a folder on a larger disk, or give a coarser --gsd-m.")

    # --- the build ---------------------------------------------------------------------------------------------------

    def _build(self, report: Progress) -> None:
        plan, stages = self.plan, _stages(self.plan)
        extents = [(piece, piece.reach(plan.crs) if isinstance(piece, RasterMosaic) else piece.bounds(plan.crs))
                   for piece in self.imagery]
        upper = sum(len(chunks) for _, chunks in stages[1:])
        with quiet_libraries(), gdal_cache(self._files, plan.chunk_px, self.settings.workers):
            self._stage(stages[0][1], 0, lambda chunk: compose(extents, plan.crs, plan.chunk_bounds(*chunk), plan.chunk_px),
                        lambda done: report("tiles", done, len(plan.chunks)))
            before = 0
            for stage, (_, chunks) in enumerate(stages[1:], 1):
                self._stage(chunks, stage, lambda chunk, below=stage - 1: self._join(below, chunk),  # type: ignore[misc]
                            lambda done, base=before: report("levels", base + done, upper))  # type: ignore[misc]
                before += len(chunks)

    def _stage(self, chunks: Sequence[Chunk], stage: int, draw: Callable[[Chunk], Canvas | None],
               report: Callable[[int], None]) -> None:
        """Build all unfinished chunks of a stage in threads."""
        todo = [chunk for chunk in chunks if not self._bundles.is_done(stage, *chunk)]
        done = len(chunks) - len(todo)
        report(done)
        with closing(in_threads(lambda chunk: self._chunk(stage, chunk, draw(chunk)), todo, self.settings.workers)) as steps:
            for _ in steps:
                done += 1
                report(done)

    def _chunk(self, stage: int, chunk: Chunk, canvas: Canvas | None) -> None:
        """Write the tiles of a chunk and of the levels above it; its file is written last and marks it as done."""
        plan, tiles = self.plan, []
        base, top = -stage * plan.levels_per_stage, None
        for step in range(plan.levels_per_stage + 1):
            level, side = base - step, plan.per_chunk >> step
            if canvas is None or level < plan.min_zoom:
                break
            if step == plan.levels_per_stage:
                top = canvas
                break
            tiles += [((level, chunk[0] * side + x, chunk[1] * side + y), content)
                      for x, y, content in cut_tiles(canvas, plan.tile_px, self.settings.quality)]
            canvas = halve(canvas)
        if self.settings.format == "folder":
            for number, content in tiles:
                write_bytes(self.dest / "satellite" / _tile_path(*number), content, self.dest)
            tiles = []
        self._bundles.write(stage, *chunk, top, tiles)

    def _join(self, stage: int, chunk: Chunk) -> Canvas | None:
        """Join the shrunk pictures of the chunks below a chunk; return None if none has data."""
        plan, px, found = self.plan, self.plan.tile_px, False
        pixels = np.zeros((plan.chunk_px, plan.chunk_px, 3), np.uint8)
        cover = np.zeros((plan.chunk_px, plan.chunk_px), np.uint8)
        for column in range(plan.per_chunk):
            for row in range(plan.per_chunk):
                top = self._bundles.top(stage, chunk[0] * plan.per_chunk + column, chunk[1] * plan.per_chunk + row)
                if top is not None:
                    y, x, found = (plan.per_chunk - 1 - row) * px, column * px, True
                    pixels[y:y + px, x:x + px], cover[y:y + px, x:x + px] = top.pixels, top.cover
        return Canvas(pixels, cover) if found else None

    def _pack(self, report: Progress) -> None:
        """Write the tiles of each level into shards, sorted; a shard gets its name only when it is complete."""
        levels = self._bundles.tiles()
        total, done = sum(map(len, levels.values())), 0
        archives = self.dest / "archives"
        archives.mkdir(exist_ok=True)
        for level in sorted(levels):
            stem = f"satellite_level_{'m' if level < 0 else ''}{abs(level)}"
            packed = self._work / f"{stem}.packed"
            if not packed.exists():
                with ShardWriter(archives, stem, self.settings.shard_bytes) as shards:
                    for x, y, path in levels[level]:
                        with zipfile.ZipFile(path) as archive:
                            content = archive.read(f"{level}/{x}/{y}")
                        shards.add(f"satellite/{_tile_path(level, x, y)}", content)
                        done += 1
                        report("packing", done, total)
                sync_folder(archives)
                write_bytes(packed, b"")
            else:
                done += len(levels[level])
                report("packing", done, total)

    def _finish(self) -> None:
        """Write the files beside the tiles."""
        folder = self.dest / "satellite"
        if not self.complete and not (any(folder.glob("*/*/*.jpg")) or any(self.dest.glob("archives/satellite_level_*.tar"))):
            raise TileError(self.dest, "no pixel of the sources has data",
                            "Check the sources' no-data values, masks and alpha bands. "
                            "To remove an alpha band: gdal_translate -b 1 -b 2 -b 3 IN OUT.")
        self.plan.layout().save(folder / "layout.yaml")
        if self._grid is not None:
            save_grid(self._grid, folder / "region.yaml")
        if self.attribution:
            write_bytes(self.dest / "ATTRIBUTION", f"{self.attribution}\n".encode())


def build_map(sources: Sequence[str | Path], dest: Path | str, settings: MapBuildConfig | None = None,
              progress: Progress | None = None) -> Path:
    """Build a map from imagery, or continue an interrupted build; return its folder.

    Args:
        sources: Raster files, folders of them, addresses of tiles, tile packages; the first is on top.
        dest: Folder of the map.
        settings: The settings of the build.
        progress: Called with a stage (`tiles`, `levels`, `packing`), the number done and the total.

    Raises:
        ConfigError: If a setting is not valid, the map would be too large, or `dest` was begun with other settings.
        TileError: If a source cannot be read, or no pixel has data.
        DataError: If `dest` holds another map, another build runs in it, or the disk does not have enough space.
        MissingExtraError: If a library for a source is not installed.
        OSError: If a file cannot be written.
    """
    return MapBuild(sources, dest, settings).run(progress)


def _tile_path(level: int, x: int, y: int) -> str:
    """Return a tile's path in `satellite/`, as in the layout."""
    return f"{level}/{x}/{y}.jpg"


def _require_free_place(dest: Path, record: dict[str, Any] | None) -> None:
    """Refuse a folder with a map that was not built here.

    Raises:
        DataError: If there is one.
    """
    if dest.exists() and not dest.is_dir():
        raise DataError(dest, "this is a file", "Name a folder for the map.")
    there = [path for path in (dest / "layout.yaml", dest / "satellite", dest / WORK_FOLDER) if path.exists()]
    there += sorted(dest.glob("archives/satellite_level_*.tar"))
    if record is None and there and there != [dest / WORK_FOLDER]:
        raise DataError(there[0], "there is a map already, but no record of how it was built", "Name another folder.")


def _require_inside(grid: ZoomGrid, plan: MapPlan) -> None:
    """Refuse a region whose centre is not on the map.

    Raises:
        ConfigError: If it is not.
    """
    centre = grid.region.centre
    x, y = (float(v) for v in convert(DEGREES, plan.crs, centre.lon, centre.lat))
    west, south, east, north = plan.bounds
    if not (west <= x <= east and south <= y <= north):
        raise ConfigError("--region", f"its centre {centre.lat:.5f} {centre.lon:.5f} is not on the map, whose centre is "
                          f"{plan.centre.lat:.5f} {plan.centre.lon:.5f}",
                          "Build without --region, and let `jzi region fit` propose one.")


def _remove_parts(dest: Path) -> None:
    """Remove incomplete files of an interrupted build."""
    for folder in (dest / "satellite", dest / "archives", dest / WORK_FOLDER):
        for parent, _, names in os.walk(folder):
            for name in names:
                if name.startswith(".") and name.endswith(".part"):
                    Path(parent, name).unlink(missing_ok=True)


def _stages(plan: MapPlan) -> list[tuple[int, list[Chunk]]]:
    """Return the base level and the chunks of each stage; the shrunk chunks of a stage are the tiles of the next."""
    stages: list[tuple[int, list[Chunk]]] = [(0, list(plan.chunks))]
    while (base := stages[-1][0] - plan.levels_per_stage) >= plan.min_zoom:
        above = {(x // plan.per_chunk, y // plan.per_chunk) for x, y in stages[-1][1]}
        stages.append((base, sorted(above, key=lambda chunk: (-chunk[1], chunk[0]))))
    return stages
