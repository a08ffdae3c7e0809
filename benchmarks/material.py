"""Material of the benchmarks: a region in the published dataset's layout with invented tiles and photos.

The region is the published one (10 km, depth 4) and every tile that its views are drawn from is there, but there are only
a few different pictures: the other tiles and photos are hard links to them. So it is made in seconds, and costs what real
ones cost to find, read and decode.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import yaml

from justzoomin.geometry import ZoomGrid, format_sequence, from_local, preset, save_grid
from justzoomin.tiles import CARD_LAYOUT, TileProjection

LEVELS = (-7, -5, -3, -1)
"""Levels that views of 384 px of the published region are drawn from; smaller ones are drawn from some of these or coarser."""
_TILES = 48
_SUFFIX = "_undistorted.jpg"


def make_region(root: Path, photos: int, *, levels: tuple[int, ...] = LEVELS, different_photos: int = 32,
                photo_size: tuple[int, int] = (2048, 1152), grid: ZoomGrid | None = None, seed: int = 0) -> Path:
    """Write a dataset with loose files (splits `train` and `val`, the same photos in both); return its folder.

    Args:
        root: Folder to write into.
        photos: Photos of a split.
        levels: Levels of the map, whole over the grid's region.
        different_photos: How many different pictures the photos are.
        photo_size: Width and height of a photo; they are progressive JPEGs of about half a megabyte, as the published ones.
        grid: Grid of the region; the preset `dc` if None.
        seed: Seed of everything.
    """
    grid = grid or preset("dc")
    rng = np.random.default_rng(seed)
    save_grid(grid, root / "satellite" / "region.yaml")
    layout = {**CARD_LAYOUT.to_mapping(), "min_zoom": min(levels), "max_zoom": max(levels)}
    (root / "satellite" / "layout.yaml").write_text(yaml.safe_dump(layout))
    _write_tiles(root, grid, levels, rng)
    _write_photos(root, grid, photos, min(different_photos, photos), photo_size, rng)
    return root


def _write_tiles(root: Path, grid: ZoomGrid, levels: tuple[int, ...], rng: np.random.Generator) -> None:
    size = CARD_LAYOUT.tile_px
    sheet = texture(rng, size * 7, size * 7)
    pictures = []
    for number in range(_TILES):
        row, column = divmod(number, 7)
        part = sheet[row * size:(row + 1) * size, column * size:(column + 1) * size]
        path = root / "originals" / f"tile-{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes())
        pictures.append(path)
    projection = TileProjection(CARD_LAYOUT)
    lats, lons = zip(*grid.cell(()).corners, strict=True)
    for level in levels:
        corners = projection.position_to_tile(lats, lons, level)
        low, high = np.floor(corners.min(0)).astype(int) - 2, np.floor(corners.max(0)).astype(int) + 3
        for x in range(low[0], high[0]):
            folder = root / "satellite" / str(level) / str(x)
            folder.mkdir(parents=True, exist_ok=True)
            for y in range(low[1], high[1]):
                os.link(pictures[int(rng.integers(_TILES))], folder / f"{y}.jpg")


def _write_photos(root: Path, grid: ZoomGrid, count: int, different: int, size: tuple[int, int],
                  rng: np.random.Generator) -> None:
    folder = root / "streetview" / "images"
    folder.mkdir(parents=True)
    pictures = [progressive_jpeg(texture(rng, size[1], size[0])) for _ in range(different)]
    reach = 0.48 * grid.region.size_m
    east, north = rng.uniform(-reach, reach, (2, count))
    lat, lon = from_local(*grid.region.centre, east, north)
    rows = []
    for number, sequence in enumerate(grid.encode(lat, lon).tolist()):
        path = folder / f"{number:06d}{_SUFFIX}"
        if number < different:
            path.write_bytes(pictures[number])
        else:
            os.link(folder / f"{number % different:06d}{_SUFFIX}", path)
        rows.append([f"{number:06d}", f"[{format_sequence(sequence).replace(',', ', ')}]", f"{lat[number]:.6f}",
                     f"{lon[number]:.6f}"])
    (root / "metadata").mkdir()
    for name in ("train", "val"):
        with (root / "metadata" / f"large_area_{name}_map.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["image_id", "sequence", "latitude", "longitude"], *rows])


def texture(rng: np.random.Generator, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Return a picture with detail at every scale, as streets and roofs have, uint8 (height, width, 3)."""
    total = np.zeros((height, width, 3), np.float32)
    for octave in range(3, 10):
        cells = 2**octave
        coarse = rng.normal(0.0, 1.0, (max(2, cells * height // width), cells, 3)).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * 60.0 / 1.45 ** (octave - 3)
    return np.clip(total * 0.6 + 128.0, 0, 255).astype(np.uint8)


def progressive_jpeg(picture: npt.NDArray[np.uint8]) -> bytes:
    """Return a progressive JPEG of quality 92 with half the colour resolution, as Mapillary serves."""
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
