"""Web mercator tiles whose colours say where they are, across the antimeridian too."""

from pathlib import Path

import numpy as np
from pyproj import Transformer

from fakes import encoded

WORLD = 40075016.685578488


def colours(lat, lon, place, half_deg) -> np.ndarray:
    """Red grows to the east and green to the north, by 100 levels in so many degrees about a place; floats (..., 3)."""
    east = (np.asarray(lon) - place[1] + 180.0) % 360.0 - 180.0
    steps = np.stack([east, np.asarray(lat) - place[0], np.zeros_like(east)], -1) / half_deg
    return 128.0 + np.clip(100.0 * steps, -120, 120)


def number(place, level: int) -> tuple[int, int]:
    """The tile that holds a place."""
    x, y = Transformer.from_crs("epsg:4326", "epsg:3857", always_xy=True).transform(place[1], place[0])
    return int((x / WORLD + 0.5) * 2**level) % 2**level, int((0.5 - y / WORLD) * 2**level)


def tile_pixels(level: int, x: int, y: int, place, half_deg: float) -> np.ndarray:
    """One tile, uint8 (256, 256, 3)."""
    steps = (np.arange(256) + 0.5) / 256
    columns, rows = np.meshgrid((x + steps) / 2**level, (y + steps) / 2**level)
    lat = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * rows))))
    return colours(lat, columns * 360 - 180, place, half_deg).round().astype(np.uint8)


def write_tiles(folder: Path, level: int, numbers, place, half_deg: float, kind: str = "png", shown=None) -> Path:
    """Write tiles; `shown` is called with level, x, y and pixels and returns what is written."""
    for x, y in numbers:
        pixels = tile_pixels(level, x % 2**level, y, place, half_deg)
        path = folder / str(level) / str(x % 2**level) / f"{y}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = pixels if shown is None else shown(level, x, y, pixels)
        path.write_bytes(encoded(pixels, "PNG") if kind == "png" else encoded(pixels, "JPEG"))
    return folder


def square(place, level: int, radius: int) -> list[tuple[int, int]]:
    """The tile of a place and those around it; x may be below 0 or beyond the last."""
    x, y = number(place, level)
    return [(i, j) for i in range(x - radius, x + radius + 1) for j in range(y - radius, y + radius + 1)]


def drawn(piece, place, size_m: float, pixels: int, crs: str):
    """Pixels and mask of a square around a place, and the colours' own positions (lat, lon)."""
    x, y = Transformer.from_crs("epsg:4326", crs, always_xy=True).transform(place[1], place[0])
    step = size_m / pixels
    bounds = (x - size_m / 2, y - size_m / 2, x + size_m / 2, y + size_m / 2)
    found, mask = piece.read(crs, bounds, pixels, pixels)
    columns, rows = np.meshgrid(bounds[0] + (np.arange(pixels) + 0.5) * step, bounds[3] - (np.arange(pixels) + 0.5) * step)
    lon, lat = Transformer.from_crs(crs, "epsg:4326", always_xy=True).transform(columns, rows)
    return found, mask, lat, lon
