"""Write the dataset card's repository: TAR shards, split tables, layout and notes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from justzoomin.city.config import CityConfig
from justzoomin.files import write_bytes

ATTRIBUTES = ("image_id", "latitude", "longitude", "split", "sequence_id", "captured_at", "bearing_deg", "hfov_deg",
              "pitch_deg", "roll_deg", "height_m", "sun_azimuth_deg", "sun_elevation_deg", "season", "weather", "vehicles")


def write_table(path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as CSV with the given columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def write_layout(path: Path, crs: str, origin: tuple[float, float], tile_m: float, tile_px: int, min_zoom: int) -> None:
    """Write `layout.yaml` with the card's keys; tile y grows to the north."""
    import yaml

    layout = {"crs": crs, "max_zoom": 0, "min_zoom": min_zoom, "origin_crs": list(origin), "path": "{zoom}/{x}/{y}.jpg",
              "tile_axes": ["east", "north"], "tile_shape_crs": [tile_m, tile_m], "tile_shape_px": [tile_px, tile_px]}
    write_bytes(path, yaml.safe_dump(layout).encode())


def write_readme(path: Path, config: CityConfig) -> None:
    """Write the card of a synthetic town."""
    write_bytes(path, readme(config).encode())


def readme(config: CityConfig) -> str:
    """Return the card of a synthetic town."""
    cell = config.size_m / config.grid**config.depth
    difference = "drive (position and conditions)" if config.split == "drive" else \
        f"place: blocks at least {config.guard_m:g} m apart"
    held_out = f", {config.held_out} held out of training to calibrate on" if config.held_out else ""
    districts = "- Districts that differ in streets, houses, colours and trees.\n" if config.districts else ""
    return f"""---
license: cc0-1.0
pretty_name: A synthetic town
tags: [synthetic, cross-view-geo-localization]
---

# A synthetic town (seed {config.seed})

Nothing here is real: streets, houses, photos and the overhead image were computed by `justzoomin.city` from a number.
The town lies in the North Sea, where no place can be confused with it. Licence: CC0 1.0.

- Region: {config.size_m:g} m x {config.size_m:g} m, grid {config.grid} x {config.grid}, {config.depth} steps,
  last cell {cell:g} m (`satellite/region.yaml`).
- Photos: {config.photos} for training, {config.val_photos} for validation{held_out},
  {config.photo_width} x {config.photo_height} px; the splits differ by {difference}.
{districts}- Overhead image: {config.gsd_m:g} m per pixel at level 0.

The layout is that of the Just Zoom In dataset: `archives/*.tar`, `metadata/large_area_{{train,val}}_map.csv`,
`streetview/metadata_satellite_covered.csv` (one row per photo, with drive, heading and conditions), `satellite/layout.yaml`.
"""


def write_attribution(path: Path, config: CityConfig) -> None:
    """Write the attribution: there is nobody to credit, and nothing here is real."""
    text = f"Synthetic town (seed {config.seed}) made by justzoomin; photos and overhead image are CC0 1.0.\n"
    write_bytes(path, text.encode())
