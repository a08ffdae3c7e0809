"""What the described map of a matcher takes: time and disk of an index, its opening and reading; and the size at 10 km.

    python benchmarks/described_map.py FOLDER [--size 640] [--threads 1]

FOLDER gets a synthetic town of that edge in metres if it is not there, and an index under the packaged model.
"""

from __future__ import annotations

import argparse
import math
import shutil
import time
from pathlib import Path

import torch

from justzoomin.apps.demo import packaged_model
from justzoomin.city import CityConfig, build_city
from justzoomin.geometry import Region, ZoomGrid
from justzoomin.maps import Map
from justzoomin.models import open_model
from justzoomin.search import GroundIndex, build_index, described
from justzoomin.search.ground_index import ground_record
from justzoomin.search.matching import matcher_of
from justzoomin.search.place_lattice import PlaceLattice


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=float, default=640.0)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    town, folder = asked.folder / f"town-{asked.size:.0f}", asked.folder / f"index-{asked.size:.0f}"
    if not town.exists():
        build_city(town, CityConfig(seed=20, size_m=asked.size, photos=4, val_photos=4, photo_width=192, photo_height=96,
                                    gsd_m=0.3))
    source, model = Map.open(town), open_model(packaged_model(), device="cpu")
    shutil.rmtree(folder, ignore_errors=True)
    wall, own = time.perf_counter(), time.process_time()
    build_index(model, source, folder, device="cpu")
    wall, own = time.perf_counter() - wall, time.process_time() - own
    made = described(folder)
    assert made is not None
    square_km = (source.grid.region.size_m / 1000) ** 2
    print(f"{asked.size:.0f} m, {asked.threads} threads: {made.ready} of {made.pieces} pieces, {made.size / 1e6:.2f} MB "
          f"({made.size / 1e6 / square_km:.1f} MB a km2), {own:.1f} processor seconds ({own / square_km:.0f} a km2), "
          f"{wall:.1f} s")

    own = time.process_time()
    ground = GroundIndex.open_for(folder, model, source, source.grid)
    opened = time.process_time() - own
    own = time.process_time()
    assert all(number in ground for number in range(len(ground)))
    checked = time.process_time() - own
    print(f"opened in {1000 * opened:.1f} ms; checksums of all pieces {1000 * checked:.2f} ms "
          f"({made.size / 1e9 / checked:.2f} GB a second)")

    half = 5000.0
    lattice = PlaceLattice.of(ZoomGrid(Region(54.5, 3.0, (-half, half), (-half, half)), 4, 4), matcher_of(model))
    config = matcher_of(model).config
    record, pieces = ground_record(lattice, config.channels, config.headings), lattice.windows**2
    print(f"10 km: {pieces} pieces of {record.itemsize:,} bytes, {pieces * record.itemsize / 1e6:.0f} MB")
    for name in record["piece"].names or ():
        size = pieces * record["piece"][name].itemsize / 1e6
        print(f"  {name}: {size:.0f} MB with the margins, {size * _inner(lattice):.0f} MB without")


def _inner(lattice: PlaceLattice) -> float:
    """Return the share of a piece that is not margin."""
    return math.pow(lattice.window / (lattice.window + 2 * lattice.margin), 2)


if __name__ == "__main__":
    main()
