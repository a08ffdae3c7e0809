"""A plain heat tile, until the tiles of `heat_tiles` are there."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from justzoomin.posterior import Posterior


def heat_tile(posterior: Posterior, level: int, z: int, x: int, y: int, pixels: int = 256) -> bytes | None:
    """Return a tile of web maps as PNG, red where a level's cells are probable; None if nothing in it is."""
    at = (np.arange(pixels) + 0.5) / pixels
    lon = (x + at) / 2.0**z * 360.0 - 180.0
    lat = np.degrees(np.arctan(np.sinh(np.pi * (1.0 - 2.0 * (y + at) / 2.0**z))))
    lats, lons = (v.ravel() for v in np.meshgrid(lat, lon, indexing="ij"))
    sequences, inside = posterior.grid.encode_masked(lats, lons)
    masses = posterior.at_level(level)
    share = np.where(inside, masses[posterior.grid.flatten(np.maximum(sequences[:, :level], 0))] / masses.max(), 0.0)
    if not (share > 1e-3).any():
        return None
    strength = np.clip(1.0 + np.log10(np.maximum(share, 1e-6)) / 3.0, 0.0, 1.0).reshape(pixels, pixels)
    picture = np.zeros((pixels, pixels, 4), np.uint8)
    picture[..., 0], picture[..., 3] = 220, 200 * strength
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
