"""Views of a whole region against tiledwebmaps 0.2.0: drawn cold, drawn with tiles in memory, and read from the view cache.

    python benchmarks/views.py                  # the published region with invented tiles
    python benchmarks/views.py --pixels 224

North-up views of cells of all levels that a search looks at, drawn by chance. The reference reads loose tiles and keeps none,
and so does "cold": our cache of decoded tiles is emptied before each view. Both find the files in the system's memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pyproj

pyproj.Transformer.from_crs("epsg:4326", "epsg:26985")  # PROJ's data is loaded before tiledwebmaps changes its path
import tiledwebmaps  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from justzoomin.geometry import Cell, ZoomGrid, view_count, view_number, view_sequence  # noqa: E402
from justzoomin.maps import GridViews, Map, ViewCacheBuild  # noqa: E402
from material import make_region  # noqa: E402
from timing import Row, Section, in_turns, medians  # noqa: E402

REFERENCE = "tiledwebmaps 0.2.0"
_BATCH = 64
_CELLS = 32


class Rivals:
    """The same views, drawn and read in every way.

    Args:
        root: A dataset with loose tiles.
        pixels: Edge of the views.
        seed: Seed of the cells.
    """

    def __init__(self, root: Path, pixels: int, seed: int = 0) -> None:
        self.map, self.pixels = Map.open(root), pixels
        self.grid: ZoomGrid = self.map.grid
        self._reference = tiledwebmaps.WithDefault(tiledwebmaps.from_yaml(str(root / "satellite" / "layout.yaml")))
        rng = np.random.default_rng(seed)
        levels = [number % self.grid.depth for number in range(_CELLS)]
        self.cells: list[Cell] = [self.grid.cell(rng.integers(0, self.grid.actions, level)) for level in levels]
        self._turn: dict[str, int] = {}

    def _next(self, name: str) -> Cell:
        """Every rival goes through the same cells in the same order."""
        turn = self._turn[name] = self._turn.get(name, -1) + 1
        return self.cells[turn % len(self.cells)]

    def reference(self, cell: Cell | None = None) -> npt.NDArray[np.uint8]:
        """Return a view of the reference."""
        cell = cell or self._next("reference")
        shape = np.array([self.pixels, self.pixels])
        return np.asarray(self._reference.load(latlon=np.array(cell.centre), bearing=0.0,
                                               meters_per_pixel=cell.size_m / self.pixels, shape=shape))

    def ours(self, cell: Cell) -> npt.NDArray[np.uint8]:
        """Return our view."""
        return self.map.view(cell.centre.lat, cell.centre.lon, cell.size_m, self.pixels).pixels

    def forget(self) -> None:
        """Empty the cache of decoded tiles."""
        self.map.cache.clear()

    def cold(self) -> float:
        """Seconds of drawing a view without any decoded tile in memory."""
        cell = self._next("cold")
        self.forget()
        start = time.perf_counter()
        self.ours(cell)
        return time.perf_counter() - start

    def decoding(self) -> float:
        """Seconds of reading and decoding the tiles of a view and doing nothing with them."""
        cell = self._next("decoding")
        self.forget()
        self.ours(cell)
        tiles = list(self.map.cache._kept)
        self.forget()
        start = time.perf_counter()
        for tile in tiles:
            self.map.tile(*tile)
        return time.perf_counter() - start

    def warm(self) -> float:
        """Seconds of drawing a view whose tiles are in memory."""
        cell = self._next("warm")
        self.ours(cell)
        start = time.perf_counter()
        self.ours(cell)
        return time.perf_counter() - start

    def difference(self) -> tuple[float, float]:
        """Mean difference in grey levels from the reference, and the percentage of values within 4."""
        pairs = [np.abs(self.ours(cell).astype(np.int16) - self.reference(cell)) for cell in self.cells[:16]]
        values = np.stack(pairs)
        return float(values.mean()), 100 * float(np.mean(values <= 4))


def drawn(rivals: Rivals, rounds: int, note: str) -> list[Row]:
    """Rows of drawing: cold and warm, in turns with the reference."""
    took: dict[str, list[float]] = {"cold": [], "warm": [], "decoding": []}

    def keep(name: str) -> Callable[[], object]:
        return lambda: took[name].append(getattr(rivals, name)())  # what comes before the part that counts is left out

    times = in_turns({"reference": rivals.reference, **{name: keep(name) for name in took}}, rounds)
    theirs = 1e3 * medians(times)["reference"]
    ours = {name: 1e3 * seconds for name, seconds in medians(took).items()}
    return [
        Row("view drawn, no tile in memory", ours["cold"], theirs, "ms a view", REFERENCE, 1.6, ours["decoding"],
            "decoding its tiles", note),
        Row("view drawn, tiles in memory", ours["warm"], theirs, "ms a view", REFERENCE, 6.0, note=note)]


def drawn_apart(root: Path, pixels: int, rounds: int, note: str, *, freed: bool) -> list[Row]:
    """Rows of drawing, measured in a process of their own.

    What a process did before matters: once large arrays were freed in it, the C library keeps memory instead of giving it
    back, and the reference, which allocates new arrays for every view, gains a third. Ours uses the same ones again.

    Args:
        root: A dataset with loose tiles.
        pixels: Edge of the views.
        rounds: Views of each rival.
        note: Note of the rows.
        freed: Whether large arrays were freed before.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_drawn_here, root, pixels, rounds, note, freed).result()


def _drawn_here(root: Path, pixels: int, rounds: int, note: str, freed: bool) -> list[Row]:
    if freed:
        for _ in range(4):
            np.ones(30 << 20, np.uint8)
    return drawn(Rivals(root, pixels), rounds, note)


def cached(rivals: Rivals, rounds: int, note: str) -> list[Row]:
    """Rows of reading from a view cache, alone and in batches of 64."""
    grid, pixels = rivals.grid, rivals.pixels
    views = GridViews(rivals.map, grid, pixels)
    if not views.cached:
        raise SystemExit("the view cache was not found")
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, view_count(grid), (rounds + 4, _BATCH))
    for cell in rivals.cells:
        if not np.array_equal(views.get(cell.sequence), rivals.ours(cell)):
            raise SystemExit(f"view {view_number(grid, cell.sequence)} of the cache is not the one that is drawn")
    views.batch(np.arange(0, view_count(grid)) if view_count(grid) < 500 else numbers.ravel())  # into the system's memory
    target = np.zeros((_BATCH, pixels, pixels, 3), np.uint8)
    source = np.ones_like(target)
    turn = iter(range(10**9))
    kept: list[object] = []

    def single() -> None:
        row = numbers[next(turn) % len(numbers)]
        kept[:] = [views.get(view_sequence(grid, number)) for number in row[:16].tolist()]

    def batch() -> None:
        kept[:] = [views.batch(numbers[next(turn) % len(numbers)])]

    def copy() -> None:
        np.copyto(target, source)

    readers: dict[str, Callable[[], object]] = {"single": single, "batch": batch, "copy": copy}
    times = medians(in_turns({"reference": rivals.reference, **readers}, rounds))
    theirs, floor = 1e3 * times["reference"], 1e3 * times["copy"] / _BATCH
    return [
        Row("view from the view cache", 1e3 * times["single"] / 16, theirs, "ms a view", REFERENCE, 25.0, floor,
            "copying its pixels", note),
        Row(f"views from the view cache, {_BATCH} at once", 1e3 * times["batch"] / _BATCH, theirs, "ms a view", REFERENCE,
            150.0, floor, "copying their pixels", note)]


def run(folder: Path, pixels: int = 384, rounds: int = 32) -> Section:
    """Measure all rows on the published region with invented tiles.

    Args:
        folder: Scratch space; about 2 GB at 384 px, most of it the view cache.
        pixels: Edge of the views.
        rounds: Views of each rival.
    """
    root = folder / "region"
    if not root.is_dir():
        make_region(root, photos=1, different_photos=1)
    rivals = Rivals(root, pixels)
    note = f"{pixels} px, north-up views of levels 0 to {rivals.grid.depth - 1}, whole published region, invented tiles"
    section = Section("Views", drawn_apart(root, pixels, rounds, note, freed=False))
    section.rows += [replace(row, what=f"{row.what}, large arrays freed before")
                     for row in drawn_apart(root, pixels, rounds, note, freed=True)]
    mean, within = rivals.difference()
    build = ViewCacheBuild(rivals.map, pixels=pixels)
    existed, start = build.exists, time.perf_counter()
    made = build.run()
    seconds = time.perf_counter() - start
    section.rows += cached(rivals, rounds, note)
    section.remarks += [
        f"Drawing is measured in processes of its own, fresh ones and ones that have freed large arrays before: in these the C "
        f"library keeps memory, and {REFERENCE}, which allocates new arrays for every view, is faster.",
        f"Drawn views differ from those of {REFERENCE} by {mean:.4f} grey levels in the mean; {within:.3f} % of values are "
        "within 4. Views from the cache equal drawn ones bit for bit.",
        f"{'Checking' if existed else 'Building'} the view cache ({len(made):,} views, {build.bytes / 1e6:,.0f} MB) took "
        f"{seconds:.1f} s with {cv2.getNumThreads()} threads."]
    return section


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pixels", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=32)
    parser.add_argument("--folder", type=Path, help="scratch space to keep; a temporary folder by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        section = run(arguments.folder or Path(scratch), arguments.pixels, arguments.rounds)
    for row in section.rows:
        print(row.text())
    for remark in section.remarks:
        print(remark)


if __name__ == "__main__":
    main()
