"""Tiles of web maps per second, beside rio-tiler (the library that draws for titiler), from the same GeoTIFF, in turns.

    python -m venv /tmp/rival && /tmp/rival/bin/pip install rio-tiler
    python benchmarks/web_tiles.py raster.tif --rival /tmp/rival/bin/python

The raster is built into a map with `jzi map build`. Each side draws the same tiles in the same order in a process of its own,
and writes each as JPEG (quality 85) or PNG. Opened again: the raster or map is opened before each round. Warm: it stays open,
with what it keeps of the source in memory (64 MiB of decoded tiles here, the block cache of GDAL there); no finished tile is
kept. Times are processor time of all threads of a side, so that other work on the machine matters less. Without a raster, one
of generated texture is made: 8 192 x 8 192 px of 0.3 m, JPEG inside, with overviews. Heat tiles are timed too (`--heat`: only
they).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from map_build import build, write_raster
from timing import Row

RIVAL = r'''
import json, sys, time
from rio_tiler.io import Reader
path, state = sys.argv[1], {}
for line in sys.stdin:
    job = json.loads(line)
    started = time.process_time()
    if job["cold"] or "reader" not in state:
        if "reader" in state:
            state["reader"].close()
        state["reader"] = Reader(path)
    size = 0
    for z, x, y in job["tiles"]:
        image = state["reader"].tile(x, y, z, tilesize=256, indexes=(1, 2, 3), resampling_method=job["resampling"],
                                     reproject_method=job["resampling"])
        size += len(image.render(img_format="JPEG", add_mask=False, quality=85) if job["form"] == "jpg" else
                    image.render(img_format="PNG", zlevel=job["zlevel"]))
    print(json.dumps({"seconds": time.process_time() - started, "bytes": size}), flush=True)
'''
OURS = r'''
import json, sys, time
from justzoomin.maps import Map, WebTiles, encode_picture
path, state = sys.argv[1], {}
for line in sys.stdin:
    job = json.loads(line)
    started = time.process_time()
    if job["cold"] or "web" not in state:
        state["web"] = WebTiles(Map.open(path))
    size = 0
    for z, x, y in job["tiles"]:
        picture = state["web"].draw(z, x, y)
        if picture is not None:
            size += len(encode_picture(picture, job["form"]).content)
    print(json.dumps({"seconds": time.process_time() - started, "bytes": size}), flush=True)
'''
ROUNDS = 5


class Side:
    """One of both sides: a process that draws what it is told.

    Args:
        python: Its interpreter.
        code: What it runs.
        path: The raster or map.
    """

    def __init__(self, python: str, code: str, path: Path) -> None:
        self.process = subprocess.Popen([python, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def draw(self, **job: Any) -> dict[str, float]:
        """Return the seconds and bytes of a round."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit("a side has ended; see its message above")
        return dict(json.loads(line))

    def end(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


def tiles_inside(folder: Path, raster: Path, limit: int) -> tuple[list[tuple[int, int, int]], str]:
    """Return tiles that show a part of the raster, of all zoom levels, spread evenly; and the zoom levels as text."""
    import rasterio
    from rasterio.warp import transform_bounds

    from justzoomin.maps import Map, WebTiles, world_of

    web = WebTiles(Map.open(folder))
    with rasterio.open(raster) as found:
        west, south, east, north = transform_bounds(found.crs, 4326, *found.bounds)
    tiles = []
    for z in range(web.min_zoom, web.max_zoom + 1):
        corners = world_of([north, south], [west, east])
        (left, right), (top, bottom) = ([int(float(v) * 2**z) for v in values] for values in corners)
        tiles += [(z, x, y) for x in range(left, right + 1) for y in range(top, bottom + 1)]
    tiles = [tile for tile in tiles if web.draw(*tile) is not None]
    return tiles[::max(1, len(tiles) // limit)], f"{web.min_zoom} to {web.max_zoom}"


def with_overviews(path: Path) -> None:
    """Add overviews to a raster, as a cloud-optimized GeoTIFF has."""
    import rasterio
    from rasterio.enums import Resampling

    with rasterio.Env(COMPRESS_OVERVIEW="JPEG", PHOTOMETRIC_OVERVIEW="YCBCR", INTERLEAVE_OVERVIEW="PIXEL"), \
            rasterio.open(path, "r+") as raster:
        raster.build_overviews([2, 4, 8, 16], Resampling.average)


def heat() -> None:
    """Print the time of a heat tile, of preparing a level, and of a tile of the grid, for 65 536 cells of 10 km."""
    import numpy as np

    from justzoomin.geometry import preset
    from justzoomin.maps import world_of
    from justzoomin.posterior import Posterior
    from justzoomin.service import HeatLayer, grid_tile

    grid = preset("dc")
    posterior = Posterior.of(grid, np.random.default_rng(0).normal(0.0, 3.0, grid.actions**grid.depth))
    probabilities = posterior.at_level(grid.depth)
    numbers = [(z, *(int(float(v) * 2**z) for v in world_of(*grid.region.centre))) for z in range(11, 19)]
    layer = HeatLayer(grid, grid.depth, probabilities)
    for words, calls in (("heat tile", [lambda tile=tile: layer.tile(*tile) for tile in numbers]),
                         ("preparing a level for its tiles", [lambda: HeatLayer(grid, grid.depth, probabilities)]),
                         ("tile of the grid", [lambda tile=tile: grid_tile(grid, grid.depth, *tile) for tile in numbers[2:]])):
        each = []
        for number in range(40):
            started = time.process_time()
            for call in calls:
                call()
            if number >= 5:
                each.append(1000 * (time.process_time() - started) / len(calls))
        print(f"{words}, {len(probabilities):,} cells: {statistics.median(each):.2f} ms of processor time", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raster", type=Path, nargs="?", help="GeoTIFF (default: a generated one)")
    parser.add_argument("--rival", help="interpreter that has rio-tiler")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--tiles", type=int, default=150, help="tiles of a round")
    parser.add_argument("--heat", action="store_true", help="only the time of heat tiles")
    arguments = parser.parse_args()
    heat()
    if arguments.heat:
        return
    with tempfile.TemporaryDirectory(prefix="web-tiles-") as name:
        raster, folder = arguments.raster, Path(name) / "map"
        if raster is None:
            raster = Path(name) / "raster.tif"
            write_raster(raster, 8192, "jpeg", 3)
            with_overviews(raster)
        build(raster, folder, ["--attribution", "benchmark"])
        tiles, zooms = tiles_inside(folder, raster, arguments.tiles)
        print(f"{raster.name}: {len(tiles)} tiles of zoom levels {zooms}, {arguments.rounds} rounds")
        sides = {"ours": Side(sys.executable, OURS, folder)}
        if arguments.rival:
            sides["rival"] = Side(arguments.rival, RIVAL, raster)
        for words, job in jobs(tiles):
            seconds: dict[str, list[float]] = {side: [] for side in sides}
            sizes = dict.fromkeys(sides, 0.0)
            for number in range(-1, arguments.rounds):
                for side in sorted(sides, reverse=number % 2 == 0):
                    answer = sides[side].draw(**job)
                    sizes[side] = answer["bytes"]
                    if number >= 0:
                        seconds[side].append(answer["seconds"])
            each = {side: 1000 * statistics.median(values) / len(tiles) for side, values in seconds.items()}
            kilobytes = ", ".join(f"{side} {size / len(tiles) / 1e3:.1f} kB" for side, size in sizes.items())
            row = Row(words, each["ours"], each.get("rival", float("nan")), "ms of processor time a tile", "rio-tiler",
                      wanted=1.0)
            print(f"{row.text()}; {kilobytes}", flush=True)
        for side in sides.values():
            side.end()


def jobs(tiles: list[tuple[int, int, int]]) -> list[tuple[str, dict[str, Any]]]:
    """Return what is timed, with a text for each."""
    found = []
    for form in ("jpg", "png"):
        for cold in (False, True):
            for resampling in ("nearest", "bilinear"):
                words = f"{form}, {'opened again' if cold else 'warm'}, rio-tiler's resampling {resampling}"
                found.append((words, {"tiles": tiles, "form": form, "cold": cold, "resampling": resampling, "zlevel": 1}))
    return found


if __name__ == "__main__":
    main()
