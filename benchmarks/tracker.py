"""What following a drive photo by photo costs: seconds of a photo, photos a second on one core, memory over many photos.

    python benchmarks/tracker.py [--model MODEL] [--map TOWN] [--photos DRIVE] [--count 100] [--many 100000]

The first part pushes photos through a `Tracker` with the model: decoding, encoding, search, filter and answer, with a speed
limit and with odometry. The second part pushes `--many` photos, whose likelihoods are drawn at random, through the filter of a
small grid, and a twentieth of them through a whole `Tracker` on it, and prints the memory of the process (resident set) on the
way. Everything runs on one thread. Without arguments: the packaged model in demo/unseen-town, after `make demo`. `--count 0`
leaves the first part out.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import torch

from justzoomin.drives import Odometry, Tracker
from justzoomin.geometry import Region, ZoomGrid
from justzoomin.photos.readers import PhotoTime
from justzoomin.posterior import ForwardFilter, PhotoEvidence, Step, lattice, odometry, speed_limit
from justzoomin.search import Alone, Localizer

START = datetime(2024, 5, 1, 10, tzinfo=UTC)
PACKAGED = Path(__file__).resolve().parents[1] / "src" / "justzoomin" / "assets" / "demo-model"


def resident_mb() -> float:
    """Return the resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def quantiles(seconds: list[float]) -> str:
    """Return median and 95th percentile in milliseconds."""
    return f"median {1e3 * np.median(seconds):.0f} ms, 95 % within {1e3 * np.quantile(seconds, 0.95):.0f} ms"


def push(localizer: Localizer, photos: list[bytes], count: int, way: Odometry | None, words: str) -> None:
    """Print what pushing photos costs."""
    tracker, wall, cpu = Tracker(localizer), [], time.process_time()
    for k in range(count + 3):
        if k == 3:  # the first ones make what is made once
            wall, cpu = [], time.process_time()
        if k % 20 == 0:
            tracker.reset()  # the drive's end: the photos do not follow the way
        began = time.perf_counter()
        tracker.push(photos[k % len(photos)], START + timedelta(seconds=k), way)
        wall.append(time.perf_counter() - began)
    cpu = time.process_time() - cpu
    print(f"{words}: {quantiles(wall)} a photo; {1e3 * cpu / count:.0f} ms of processor, {count / cpu:.1f} photos/s of a core")


def many(grid: ZoomGrid, count: int) -> None:
    """Print time and memory of the filter over many photos."""
    cells, rng = lattice(grid), np.random.default_rng(0)
    likelihoods = rng.normal(0, 2, (16, len(cells)))
    steps = [Step(speed_limit(cells, 1.0, 8.0)), Step(odometry(cells, 3.0, -1.0, 2.0)), Step(speed_limit(cells, 2.0, 8.0))]
    stream = ForwardFilter(grid)
    watched(count, len(cells), "filter", lambda k: stream.push(PhotoEvidence(likelihoods[k % 16]), steps[k % 3] if k else None))


def followed(localizer: Localizer, count: int) -> None:
    """Print time and memory of a whole tracker over many photos."""
    tracker, size = Tracker(localizer), len(lattice(localizer.grid))
    believed = [Alone(row.astype(np.float32)) for row in np.random.default_rng(0).normal(0, 2, (16, size))]
    watched(count, size, "tracker", lambda k: tracker.take(
        PhotoTime(Path("photo"), START + timedelta(seconds=k), True, (3.0, -1.0) if k % 3 else None), believed[k % 16]))


def watched(count: int, size: int, words: str, step: Callable[[int], object]) -> None:
    """Run steps and print their time and the memory on the way."""
    began = time.process_time()
    for k in range(count):
        step(k)
        if k + 1 in {count // 100, count // 10, count // 2, count}:
            print(f"  {words}, {k + 1:>7,} photos: {resident_mb():.1f} MB", flush=True)
    print(f"  {1e3 * (time.process_time() - began) / count:.2f} ms of processor a photo on {size:,} cells")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=PACKAGED)
    parser.add_argument("--map", type=Path, default=Path("demo/unseen-town"))
    parser.add_argument("--photos", type=Path, default=Path("demo/drive"))
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--many", type=int, default=100_000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    localizer = Localizer.load(given.model, given.map, device="cpu", search="posterior")
    localizer.prepare(lambda done, of: None)
    photos = [path.read_bytes() for path in sorted(given.photos.glob("*.jpg"))]
    small = Localizer.load(given.model, given.map, ZoomGrid(Region(*localizer.grid.region.centre, *[(-40.0, 40.0)] * 2), 4, 2),
                           device="cpu", search="posterior")
    print(f"{given.model.name} on {given.map.name}, {localizer.grid.actions ** localizer.grid.depth:,} cells")
    if given.count:
        push(localizer, photos, given.count, None, "speed limit")
        push(localizer, photos, given.count, Odometry(4.0, -1.0, 5.0), "odometry, east and north")
        push(localizer, photos, given.count, Odometry(0.5, 4.0, 5.0, 3.0, aligned=False), "odometry, relative to the camera")
    many(small.grid, given.many)
    followed(small, given.many // 20)


if __name__ == "__main__":
    main()
