"""Views against tiledwebmaps 0.2.0: grey-level differences and time, interleaved in one run.

    python benchmarks/render.py ../shared/data/dc-mini --views 80

The map's TAR shards are unpacked into a temporary folder, for the reference alone: it reads files. Positions are drawn
around the photos of the split `val`, where a map in the card's layout surely has its tiles.
"""

from __future__ import annotations

import argparse
import statistics
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import pyproj
import tiledwebmaps

from justzoomin.data import open_dataset
from justzoomin.geometry import from_local
from justzoomin.maps import Map


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="dataset as downloaded")
    parser.add_argument("--views", type=int, default=80)
    parser.add_argument("--pixels", type=int, default=384)
    arguments = parser.parse_args()
    pyproj.Transformer.from_crs("epsg:4326", "epsg:26985")  # load PROJ's data before the reference changes its path
    dataset = open_dataset(arguments.root)
    grid, val = dataset.grid, dataset.split("val")
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for shard in sorted((arguments.root / "archives").glob("satellite_level_*.tar")):
            with tarfile.open(shard) as archive:
                archive.extractall(folder, filter="data")
        layout = Path(folder) / "satellite" / "layout.yaml"
        layout.write_bytes((arguments.root / "satellite" / "layout.yaml").read_bytes())
        reference = tiledwebmaps.WithDefault(tiledwebmaps.from_yaml(str(layout)))
        ours = Map.open(layout.parent, grid=grid)
        differences, ours_s, theirs_s = [], [], []
        for number in range(arguments.views):
            level = number % grid.depth
            size_m = grid.cell_size_m(level)
            row = int(rng.integers(len(val)))
            path = dataset.sequences("val")[row][:level]
            centre = grid.cell(path).centre
            shift = rng.uniform(-0.05, 0.05, 2) * size_m
            lat, lon = (float(v) for v in from_local(centre.lat, centre.lon, shift[0], shift[1]))
            bearing = float(rng.uniform(0, 360))
            start = time.perf_counter()
            mine = ours.view(lat, lon, size_m, arguments.pixels, bearing).pixels
            middle = time.perf_counter()
            other = reference.load(latlon=np.array([lat, lon]), bearing=bearing, meters_per_pixel=size_m / arguments.pixels,
                                   shape=(arguments.pixels, arguments.pixels))
            theirs_s.append(time.perf_counter() - middle)
            ours_s.append(middle - start)
            differences.append(np.abs(mine.astype(np.int16) - other.astype(np.int16)).ravel())
    values = np.concatenate(differences)
    sizes = ", ".join(f"{grid.cell_size_m(level):g} m" for level in range(grid.depth))
    print(f"{arguments.views} views of {arguments.pixels} px, sizes {sizes}, random bearings")
    print(f"mean absolute difference {values.mean():.4f} grey levels; 99.9 % within {np.percentile(values, 99.9):.0f}; "
          f"largest {values.max()}; within 4: {100 * np.mean(values <= 4):.4f} %")
    mine_ms, their_ms = 1000 * statistics.median(ours_s), 1000 * statistics.median(theirs_s)
    print(f"median time: ours {mine_ms:.1f} ms, tiledwebmaps {their_ms:.1f} ms, ratio {mine_ms / their_ms:.2f}")


if __name__ == "__main__":
    main()
