"""How many bytes the default download fetches and saves, on a mirror of the published card's layout.

The mirror is a small hub on the loopback whose listing has, for each level of the map, shards of the size that the level has
by formula: tiles that touch the 10 km region, times the mean bytes of a tile in a shard. The mean is taken from real shards
in the card's layout, at levels where they hold all tiles of the region. Levels where they hold only parts come in two ways:
with the mean of the finest whole level, and with the mean of the parts (in the sample these are partly enlarged from coarser
pictures and therefore too small). Nothing is fetched but the plan: it is the one that `jzi data download --dry-run` makes.
Photos and tables come with every download and are left out of the sums.

    python benchmarks/download_saving.py ../shared/data/dc-mini
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "hub"))

from hub_server import REPO, Hub, Server

from justzoomin.geometry import preset
from justzoomin.hub import plan_download
from justzoomin.tiles import CARD_LAYOUT, ShardSource, TileProjection

SHARD_BYTES = 20_000_000_000


def tiles_of_region(level: int) -> int:
    """Tiles of a level that touch the region."""
    region = preset("dc").region
    cell = preset("dc").cell(())
    lats, lons = np.array([c.lat for c in cell.corners]), np.array([c.lon for c in cell.corners])
    steps = np.linspace(0, 1, 33)[:, None]
    edge_lat = np.concatenate([lats + (np.roll(lats, 1) - lats) * s for s in steps])
    edge_lon = np.concatenate([lons + (np.roll(lons, 1) - lons) * s for s in steps])
    tiles = TileProjection(CARD_LAYOUT).position_to_tile(edge_lat, edge_lon, level)
    low, high = np.floor(tiles.min(0)), np.floor(tiles.max(0))
    assert region.size_m == 10_000
    return int(np.prod(high - low + 1))


def measured(root: Path) -> dict[int, tuple[int, float]]:
    """Tiles in the real shards of each level, and the mean bytes that one takes in its shard, header and padding included."""
    source = ShardSource(root / "archives", CARD_LAYOUT)
    found = {}
    for level in source.levels():
        sizes = source.table(level).sizes
        found[level] = len(sizes), float((512 + (sizes + 511) // 512 * 512).mean())
    return found


def plan(level_bytes: dict[int, float]) -> dict[str, object]:
    """Return what the default download would do on a mirror whose levels have these bytes."""
    hub = Hub()
    files = {"satellite/layout.yaml": json.dumps(CARD_LAYOUT.to_mapping()).encode(), "README.md": b"mirror",
             "metadata/large_area_val_map.csv": b"", "archives/streetview_images_000.tar": b""}
    sizes = {}
    for level, total in level_bytes.items():
        name = f"m{-level}" if level < 0 else str(level)
        for number, start in enumerate(range(0, int(total), SHARD_BYTES)):
            path = f"archives/satellite_level_{name}_{number:03d}.tar"
            files[path], sizes[path] = b"", min(SHARD_BYTES, int(total) - start)

    def listed(entries: list[dict[str, object]]) -> list[dict[str, object]]:
        for entry in entries:
            if entry["path"] in sizes:
                entry["lfs"] = {"oid": "0" * 64, "size": sizes[str(entry["path"])], "pointerSize": 130}
        return entries

    hub.commit(files)
    hub.listed = listed
    with Server(hub), tempfile.TemporaryDirectory() as folder:
        return plan_download(Path(folder) / "dest", REPO, endpoint=hub.url).to_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sample", type=Path, help="a repository in the card's layout with real tiles")
    sample = measured(parser.parse_args().sample)
    tiles = {level: tiles_of_region(level) for level in range(CARD_LAYOUT.min_zoom, CARD_LAYOUT.max_zoom + 1)}
    whole = [level for level, (count, _) in sample.items() if count > 0.9 * tiles[level]]
    print("level  tiles of the region  real tiles  mean bytes each in a shard")
    for level, count in tiles.items():
        real, mean = sample.get(level, (0, float("nan")))
        print(f"{level:5}  {count:19,}  {real:10,}  {mean:12,.0f}  {'whole' if level in whole else 'parts only'}")
    for label, mean in (("mean of the finest whole level", {v: sample[v if v in whole else max(whole)][1] for v in tiles}),
                        ("mean of the parts", {v: sample[v][1] for v in tiles})):
        made = plan({level: tiles[level] * mean[level] for level in tiles})
        kept, left = (sum(entry["bytes"] for name, entry in made[key].items() if name.startswith("level"))
                      for key in ("fetched", "left_out"))
        print(f"\nfiner levels by the {label}:")
        print(f"  levels fetched: {made['levels']}")
        print(f"  fetched {kept / 1e9:.3f} GB of {(kept + left) / 1e9:.3f} GB of tiles: {left / 1e9:.3f} GB "
              f"({left / (kept + left):.1%}) are saved; level 0 alone has "
              f"{made['left_out']['level 0']['bytes'] / 1e9:.3f} GB")


if __name__ == "__main__":
    main()
