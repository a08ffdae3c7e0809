"""Build a town on disk, in the dataset card's layout."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from justzoomin.archives import ShardWriter
from justzoomin.city.arrays import U8, Array
from justzoomin.city.camera import render_photo
from justzoomin.city.config import CityConfig
from justzoomin.city.drives import PHOTOS_PER_DRIVE, SPLIT_NUMBERS, Router, Shot, Split
from justzoomin.city.labels import LABELS_FILE, TownLabels
from justzoomin.city.overhead import render_overhead
from justzoomin.city.repository import ATTRIBUTES, readme, write_attribution, write_layout, write_readme, write_table
from justzoomin.city.world import World, build_world
from justzoomin.errors import DataError
from justzoomin.files import sweep_beside, sync_folder, work_folder
from justzoomin.geometry import Region, ZoomGrid, save_grid

CRS = "epsg:32631"
TOWN_LAT, TOWN_LON = 54.5, 3.0  # in the North Sea, on the central meridian of UTM zone 31
TILE_PX = 250
TILE_QUALITY = 90
OVERHEAD_MARGIN_M = 14.0
_COUNTRYSIDE = (126, 140, 92)

Progress = Callable[[str, int, int], None]


def _town_origin() -> tuple[float, float]:
    """Return easting and northing of the town's centre, in whole metres."""
    from pyproj import Transformer

    east, north = Transformer.from_crs("epsg:4326", CRS, always_xy=True).transform(TOWN_LON, TOWN_LAT)
    return float(round(east)), float(round(north))


def town_grid(config: CityConfig) -> ZoomGrid:
    """Return the region and grid of a town."""
    lat, lon = positions(np.zeros(1), np.zeros(1))
    half = config.size_m / 2
    return ZoomGrid(Region(float(lat[0]), float(lon[0]), (-half, half), (-half, half)), config.grid, config.depth)


def positions(east_m: Array, north_m: Array) -> tuple[Array, Array]:
    """Return latitudes and longitudes (n,), degrees, of positions in metres from the town's centre."""
    from pyproj import Transformer

    east, north = _town_origin()
    lon, lat = Transformer.from_crs(CRS, "epsg:4326", always_xy=True).transform(east_m + east, north_m + north)
    return np.asarray(lat), np.asarray(lon)


# --- work of a worker ---------------------------------------------------------------------------------------


class _Studio:
    """A town with its routers, ready to take photos and aerial strips."""

    def __init__(self, world: World, config: CityConfig) -> None:
        self.world, self.config = world, config
        self._routers: dict[Split, Router] = {}

    def router(self, split: Split) -> Router:
        if split not in self._routers:
            self._routers[split] = Router(self.world, self.config, split)
        return self._routers[split]

    def photos(self, split: Split, drive: int, count: int) -> list[tuple[Shot, bytes]]:
        """Take the first `count` photos of a drive and return their JPEG bytes."""
        import simplejpeg

        out = []
        for shot in self.router(split).shots(drive)[:count]:
            image = render_photo(self.world, shot.pose, shot.conditions, self.config.photo_width, self.config.photo_height)
            out.append((shot, simplejpeg.encode_jpeg(image, quality=shot.conditions.jpeg_quality, colorsubsampling="420")))
        return out

    def strip(self, y: int, tiles: int, south_west_m: float, tile_m: float) -> tuple[list[bytes], U8]:
        """Render row `y` of level-0 tiles: their JPEG bytes from west to east, and the row at half resolution."""
        south = south_west_m + y * tile_m
        image = render_overhead(self.world, (south_west_m, south_west_m + tiles * tile_m), (south, south + tile_m),
                                self.config.gsd_m)
        return [_jpeg(image[:, x * TILE_PX:(x + 1) * TILE_PX]) for x in range(tiles)], _halve(image)


_studio: _Studio | None = None


def _start_worker(world: World, config: CityConfig) -> None:
    global _studio  # noqa: PLW0603 - the town of this process
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _studio = _Studio(world, config)


def _end_with_parent() -> None:
    """End a worker whose parent was killed; it would wait for work forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _ready() -> bool:
    return _studio is not None


def _work(method: str, arguments: tuple[Any, ...]) -> Any:
    if _studio is None:
        raise DataError("worker", "the worker has no town", "Report this as a bug of justzoomin.city.")
    return getattr(_studio, method)(*arguments)


def _jpeg(image: U8) -> bytes:
    import simplejpeg

    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=TILE_QUALITY, colorsubsampling="444"))


def _halve(image: U8) -> U8:
    """Return the means of 2 x 2 pixels, rounded to nearest."""
    wide = image.astype(np.uint16)
    return ((wide[0::2, 0::2] + wide[1::2, 0::2] + wide[0::2, 1::2] + wide[1::2, 1::2] + 2) >> 2).astype(np.uint8)


class _Crew:
    """Runs studio methods in this process or in several, and returns results in order."""

    def __init__(self, world: World, config: CityConfig) -> None:
        import cv2

        self._workers = config.workers
        self._pool: ProcessPoolExecutor | None = None
        self._own = _Studio(world, config)
        if config.workers > 1:
            methods = multiprocessing.get_all_start_methods()
            context = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
            self._pool = ProcessPoolExecutor(config.workers, context, _start_worker, (world, config))
            # OpenCV's threads do not survive a fork, and a child that waits for them waits forever, so they are stopped
            # while the workers are started, which happens at the first job
            threads = cv2.getNumThreads()
            cv2.setNumThreads(1)
            try:
                self._pool.submit(_ready).result()
            finally:
                cv2.setNumThreads(threads)

    def run(self, method: str, jobs: list[tuple[Any, ...]]) -> Iterator[Any]:
        if self._pool is None:
            for job in jobs:
                yield getattr(self._own, method)(*job)
            return
        waiting: deque[Future[Any]] = deque()
        for job in jobs:
            waiting.append(self._pool.submit(_work, method, job))
            if len(waiting) >= 4 * self._workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


# --- the stage ---------------------------------------------------------------------------------------------------


def build_city(dest: Path, config: CityConfig, progress: Progress | None = None, *, labels: bool = False) -> Path:
    """Build a town and write its whole repository to `dest`; return `dest`.

    Args:
        dest: Folder to make; it must not exist or be empty. If exactly this town is there already, nothing is done, except
            that missing labels are added.
        config: The town.
        progress: Called as (stage, done, total) with stages `town`, `overhead` and `photos`.
        labels: Also write `labels.npz`: kinds of surface, heights and distances, to supervise a training (`TownLabels`).

    Raises:
        DataError: If `dest` is not empty, or another process makes a town there.
        ConfigError: If no street is left for a split.
        MissingExtraError: If embreex is not installed.
    """
    dest = Path(dest)
    if is_town(dest, config):
        sweep_beside(dest)
        if labels and not (dest / LABELS_FILE).is_file():
            TownLabels.of(config).save(dest)
        return dest
    _require_free(dest)
    report = progress or (lambda stage, done, total: None)
    with work_folder(dest, "data synth") as work:
        _require_free(dest)  # another process may have made it in the meantime
        for folder in ("archives", "metadata", "streetview", "satellite"):
            (work / folder).mkdir()
        report("town", 0, 1)
        world = build_world(config.seed, config.size_m, config.districts)
        report("town", 1, 1)
        crew = _Crew(world, config)
        try:
            _write_overhead(work, config, crew, report)
            _write_photos(work, config, crew, report)
        finally:
            crew.close()
        if labels:
            TownLabels.of(config, world).save(work)
        write_readme(work / "README.md", config)
        write_attribution(work / "ATTRIBUTION", config)
        save_grid(town_grid(config), work / "satellite" / "region.yaml")
        work.replace(dest.absolute())
        sync_folder(dest.absolute().parent)
    return dest


def is_town(dest: Path, config: CityConfig) -> bool:
    """Return whether exactly this town already exists; a town gets its name only when it is complete."""
    try:
        return (dest / "README.md").read_text(encoding="utf-8") == readme(config) and (dest / "ATTRIBUTION").is_file()
    except (OSError, UnicodeDecodeError):
        return False


def _require_free(dest: Path) -> None:
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise DataError(dest, "the folder already contains something other than this town",
                        "Choose a new folder, or remove this one first.")


def _write_overhead(work: Path, config: CityConfig, crew: _Crew, report: Progress) -> None:
    tile_m = TILE_PX * config.gsd_m
    wanted = config.size_m * 1.005 + 2 * OVERHEAD_MARGIN_M
    tiles = int(np.ceil(wanted / tile_m))
    south_west = -tiles * tile_m / 2
    deepest = max(0, int(np.ceil(np.log2(tiles))))
    east, north = _town_origin()
    write_layout(work / "satellite" / "layout.yaml", CRS, (east + south_west, north + south_west), tile_m, TILE_PX, -deepest)
    mosaic = np.empty((tiles * TILE_PX // 2, tiles * TILE_PX // 2, 3), np.uint8)
    with ShardWriter(work / "archives", "satellite_level_0", config.shard_bytes) as shards:
        report("overhead", 0, tiles)
        for y, (jpegs, half) in enumerate(crew.run("strip", [(y, tiles, south_west, tile_m) for y in range(tiles)])):
            for x, data in enumerate(jpegs):
                shards.add(f"satellite/0/{x}/{y}.jpg", data)
            bottom = mosaic.shape[0] - y * TILE_PX // 2
            mosaic[bottom - TILE_PX // 2:bottom] = half
            report("overhead", y + 1, tiles)
    for level in range(1, deepest + 1):
        count = -(-mosaic.shape[0] // TILE_PX)
        side = count * TILE_PX
        padded = np.empty((side, side, 3), np.uint8)
        padded[:] = _COUNTRYSIDE
        padded[side - mosaic.shape[0]:, :mosaic.shape[1]] = mosaic
        with ShardWriter(work / "archives", f"satellite_level_m{level}", config.shard_bytes) as shards:
            for y in range(count):
                for x in range(count):
                    tile = padded[side - (y + 1) * TILE_PX:side - y * TILE_PX, x * TILE_PX:(x + 1) * TILE_PX]
                    shards.add(f"satellite/-{level}/{x}/{y}.jpg", _jpeg(tile))
        mosaic = _halve(padded)


def _write_photos(work: Path, config: CityConfig, crew: _Crew, report: Progress) -> None:
    grid = town_grid(config)
    rows: dict[Split, list[dict[str, Any]]] = {"train": [], "val": [], "held_out": []}
    jobs: list[tuple[Split, int, int]] = []
    counts: dict[Split, int] = {"train": config.photos, "val": config.val_photos, "held_out": config.held_out}
    for split, count in counts.items():
        jobs += [(split, start // PHOTOS_PER_DRIVE, min(PHOTOS_PER_DRIVE, count - start))
                 for start in range(0, count, PHOTOS_PER_DRIVE)]
    total = sum(counts.values())
    done = 0
    report("photos", 0, total)
    with ShardWriter(work / "archives", "streetview_images", config.shard_bytes) as shards:
        for (split, _, _), photos in zip(jobs, crew.run("photos", jobs), strict=True):
            for shot, data in photos:
                row = _row(config, split, shot)
                shards.add(f"streetview/images/{row['image_id']}_undistorted.jpg", data)
                rows[split].append(row)
            done += len(photos)
            report("photos", done, total)
    for split, count in counts.items():
        if split == "held_out" and not count:
            continue
        _locate(rows[split], grid)
        write_table(work / "metadata" / f"large_area_{split}_map.csv", ("image_id", "latitude", "longitude", "sequence"),
                    rows[split])
    every = [row for part in rows.values() for row in part]
    write_table(work / "streetview" / "metadata_satellite_covered.csv", ATTRIBUTES, every)


def _row(config: CityConfig, split: Split, shot: Shot) -> dict[str, Any]:
    c, pose, number = shot.conditions, shot.pose, SPLIT_NUMBERS[split]
    day = {"spring": "04-18", "summer": "07-09", "autumn": "10-14", "winter": "01-22"}[c.season]
    minutes = round((c.sun_azimuth_deg / 15.0) * 60.0) + shot.index % PHOTOS_PER_DRIVE
    return {
        "image_id": f"{number}{config.seed % 10**6:06d}{shot.index:08d}", "split": split,
        "sequence_id": f"{number}{config.seed % 10**6:06d}d{shot.drive:06d}",
        "captured_at": f"2024-{day}T{minutes // 60:02d}:{minutes % 60:02d}:00Z",
        "bearing_deg": f"{pose.bearing_deg:.3f}", "hfov_deg": f"{pose.hfov_deg:.3f}", "pitch_deg": f"{pose.pitch_deg:.3f}",
        "roll_deg": f"{pose.roll_deg:.3f}", "height_m": f"{pose.height_m:.3f}",
        "sun_azimuth_deg": f"{c.sun_azimuth_deg:.2f}", "sun_elevation_deg": f"{c.sun_elevation_deg:.2f}", "season": c.season,
        "weather": c.weather, "vehicles": len(c.vehicles), "east_m": pose.east_m, "north_m": pose.north_m}


def _locate(rows: list[dict[str, Any]], grid: ZoomGrid) -> None:
    """Add positions, rounded to 1e-7 degrees as written, and their sequences, in place."""
    if not rows:
        return
    lat, lon = positions(np.array([r["east_m"] for r in rows]), np.array([r["north_m"] for r in rows]))
    lat, lon = np.round(lat, 7), np.round(lon, 7)
    sequences = grid.encode(lat, lon)
    for row, a, b, sequence in zip(rows, lat, lon, sequences, strict=True):
        row["latitude"], row["longitude"] = f"{a:.7f}", f"{b:.7f}"
        row["sequence"] = "[" + ", ".join(str(int(v)) for v in sequence) + "]"


