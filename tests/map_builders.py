"""Small generated maps: builders and the places they lie at."""

import os
import tarfile
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from justzoomin.geometry import Region, ZoomGrid, save_grid
from justzoomin.tiles import TileLayout, TileProjection
from justzoomin.tiles.source import TileId
from justzoomin.tiles.tilepaths import tile_path

OLD = 1_600_000_000  # the reference waits for files younger than a second


def texture(rng: np.random.Generator, size: int) -> np.ndarray:
    """Busy pixels: soft blobs, hard edges and a little noise."""
    coarse = cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (size, size), interpolation=cv2.INTER_CUBIC)
    boxes = cv2.resize(rng.integers(0, 2, (9, 9), np.uint8), (size, size), interpolation=cv2.INTER_NEAREST)[..., None]
    noise = rng.integers(-12, 13, (size, size, 3))
    return np.clip(coarse.astype(int) // 2 + boxes * 110 + noise, 0, 255).astype(np.uint8)


def build(folder: Path, layout: TileLayout, lat: float, lon: float, radius_m: float, seed: int = 0) -> Path:
    """Write tiles of every level around a place, with layout.yaml and region.yaml."""
    rng = np.random.default_rng(seed)
    projection = TileProjection(layout)
    folder.mkdir(parents=True, exist_ok=True)
    for level in range(layout.min_zoom, layout.max_zoom + 1):
        scale = projection.pixels_per_metre(lat, lon)[level - layout.min_zoom].mean() / layout.tile_px
        centre = projection.position_to_tile(lat, lon, level)
        low, high = np.floor(centre - radius_m * scale).astype(int), np.floor(centre + radius_m * scale).astype(int)
        for x in range(low[0], high[0] + 1):
            for y in range(low[1], high[1] + 1):
                path = folder / tile_path(layout, TileId(level, x, y))
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = texture(rng, layout.tile_px)
                if path.suffix == ".jpg":
                    path.write_bytes(simplejpeg.encode_jpeg(pixels, quality=90, colorsubsampling="420"))
                else:
                    cv2.imwrite(str(path), pixels[..., ::-1])
                os.utime(path, (OLD, OLD))
    layout.save(folder / "layout.yaml")
    save_grid(ZoomGrid(Region(lat, lon, (-radius_m, radius_m), (-radius_m, radius_m)), 4, 2), folder / "region.yaml")
    return folder


UTM = TileLayout(crs="epsg:32633", tile_shape_px=(100, 100), tile_shape_crs=(20.0, 20.0), origin_crs=(500_000.0, 5.7e6),
                 size_crs=(80_000.0, 80_000.0), tile_axes=("east", "south"), min_zoom=-3, max_zoom=0)
UTM_PLACE = (52.05, 15.3)
XYZ = TileLayout.from_mapping({"preset": "XYZ", "min_zoom": 15, "max_zoom": 18, "path": "{zoom}/{x}/{y}.png"})
XYZ_PLACE = (48.137, 11.575)


def pack(folder: Path, archives: Path, shards: int = 2) -> Path:
    """Put a folder's tiles into the card's shards, several per level; return the repository's root."""
    archives.mkdir(parents=True, exist_ok=True)
    for level in sorted(p for p in folder.iterdir() if p.is_dir()):
        number = int(level.name)
        tiles = sorted(level.rglob("*.*"))
        for part in range(shards):
            name = f"satellite_level_{'m' if number < 0 else ''}{abs(number)}_{part:03d}.tar"
            with tarfile.open(archives / name, "w") as archive:
                for tile in tiles[part::shards]:
                    archive.add(tile, f"satellite/{tile.relative_to(folder)}")
    return archives.parent
