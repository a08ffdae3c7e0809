"""Photos: decoding against Pillow, the loader against processes that only decode, ready photos against decoding.

    python benchmarks/photos.py

Photos are of `material.make_region`: progressive JPEGs of 2048 x 1152, as the published ones. `--photos FOLDER` adds
rows of those of a folder.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader

from justzoomin.data import Dataset, ReadyKind, ResumableBatchSampler, collate, find_ready, make_ready, open_dataset, wide_photo
from justzoomin.maps import GridViews
from material import make_region
from timing import Row, Section, in_turns, medians

PIXELS = 384
WORKERS = 2
BATCH = 16


def pillow(data: bytes, pixels: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Full decode and antialiased bilinear resize."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return np.asarray(image.resize((2 * pixels, pixels), Image.Resampling.BILINEAR))


def decoding(photos: Sequence[bytes], name: str, rounds: int = 7) -> list[Row]:
    """Rows of `quick` and `scaled` decoding against Pillow."""
    rows = []
    for pixels in (PIXELS, 224):
        ways: dict[str, Callable[[bytes], Any]] = {
            "pillow": lambda data, n=pixels: pillow(data, n), "quick": lambda data, n=pixels: wide_photo(data, "", n, "quick"),
            "scaled": lambda data, n=pixels: wide_photo(data, "", n, "scaled"),
            "full": lambda data, n=pixels: wide_photo(data, "", n, "full")}
        each = medians(in_turns({k: (lambda f=f: [f(d) for d in photos]) for k, f in ways.items()}, rounds), len(photos) / 1e3)
        for decode in ("quick", "scaled"):
            away = statistics.mean(
                float(np.abs(pillow(d, pixels).astype(int) - wide_photo(d, "", pixels, decode)).mean()) for d in photos)
            rows.append(Row(f"decoding `{decode}`, {pixels} px, {name}", each[decode], each["pillow"], "ms a photo",
                            "Pillow, full decode and antialiased resize", 2.5 if decode == "quick" else None, each["full"],
                            "`full` decoding", f"mean difference {away:.2f} grey levels"))
    return rows


def drained(loader: DataLoader[Any]) -> float:
    """Photos a second of an epoch, its first batches, in which workers start, left out."""
    start, count = 0.0, 0
    for number, batch in enumerate(loader):
        if number == WORKERS:
            start, count = time.perf_counter(), 0
        count += len(batch["index"])
    return count / (time.perf_counter() - start) if start else 0.0


class _DecodeOnly(torch.utils.data.IterableDataset[int]):
    """Processes that decode and send nothing but a number: what a loader of photos cannot exceed."""

    def __init__(self, dataset: Dataset, pixels: int, decode: str) -> None:
        self.samples = dataset.torch_dataset("train", pixels)
        self.decode = decode

    def __iter__(self) -> Iterator[int]:
        info = torch.utils.data.get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        for image_id in self.samples.image_ids[first::step]:
            wide_photo(self.samples.photos.read(image_id), image_id, self.samples.views.pixels, self.decode)  # type: ignore[arg-type]
            yield 1


def decoded(dataset: Dataset, decode: str) -> float:
    """Photos a second of `WORKERS` processes that only decode."""
    loader = DataLoader(_DecodeOnly(dataset, PIXELS, decode), batch_size=BATCH, num_workers=WORKERS)
    start, count = 0.0, 0
    for number, batch in enumerate(loader):
        if number == WORKERS:
            start, count = time.perf_counter(), 0
        count += len(batch)
    return count / (time.perf_counter() - start)


def loaded(dataset: Dataset, decode: str, ready: Path | None = None) -> float:
    """Photos a second of the training loader, without the pixels of views."""
    samples = dataset.torch_dataset("train", PIXELS, decode=decode)  # type: ignore[arg-type]
    samples.with_views = False
    if ready is not None:
        kind = ReadyKind("train", PIXELS, decode)  # type: ignore[arg-type]
        samples.ready = find_ready(ready, kind, dataset.photos, samples.image_ids, dataset.root)
    sampler = ResumableBatchSampler(len(samples), BATCH, 0)
    return drained(DataLoader(samples, batch_sampler=sampler, num_workers=WORKERS, collate_fn=collate))


def views_drawn(dataset: Dataset, decode: str) -> float:
    """Photos a second of a loader whose workers draw the views as well, as without a view cache."""
    samples = dataset.torch_dataset("train", PIXELS, decode=decode,  # type: ignore[arg-type]
                                    views=GridViews(dataset.map, dataset.grid, PIXELS, view_cache=False))
    sampler = ResumableBatchSampler(len(samples), BATCH, 0)
    return drained(DataLoader(samples, batch_sampler=sampler, num_workers=WORKERS, collate_fn=collate))


def rates(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Medians of rates taken in turns."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(rounds):
        for name in names[number % len(names):] + names[:number % len(names)]:
            found[name].append(ways[name]())
    return {name: statistics.median(values) for name, values in found.items()}


def run(folder: Path, photos: Path | None = None) -> Section:
    """Compare; `folder` is for material."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    section = Section("Photos and the loader")
    dataset = open_dataset(make_region(folder / "region", 192))
    own = [dataset.photos.read(i) for i in dataset.split("train").image_ids[:8]]
    section.rows += decoding(own, "progressive, invented", 5)
    if photos is not None and (some := [p.read_bytes() for p in sorted(photos.glob("*.jpg"))[:8]]):
        section.rows += decoding(some, f"progressive, {len(some)} real", 5)
    samples = dataset.torch_dataset("train", PIXELS)
    ready = folder / "ready"
    start = time.perf_counter()
    made = make_ready(dataset.photos, samples.image_ids, ReadyKind("train", PIXELS, "quick"), ready)
    took = time.perf_counter() - start
    found = rates({"decode": lambda: decoded(dataset, "quick"), "loader": lambda: loaded(dataset, "quick"),
                   "ready": lambda: loaded(dataset, "quick", ready)}, 3)
    drawn = views_drawn(dataset, "quick")
    section.rows.append(Row("loader, views by number", found["loader"], found["decode"], "photos/s",
                            "as many processes that only decode", 0.9, more_is_better=True,
                            note=f"{WORKERS} workers, `quick`, {PIXELS} px; {drawn:.0f} photos/s where workers draw the views"))
    section.rows.append(Row("loader, ready photos", found["ready"], found["loader"], "photos/s", "the loader that decodes",
                            more_is_better=True, note=f"{WORKERS} workers, raw, {PIXELS} px, in the memory of the file system"))
    size = sum(p.stat().st_size for p in made.iterdir()) / len(samples.image_ids)
    section.remarks.append(f"Ready photos of {PIXELS} px take {size / 1e3:.0f} kB each as pixels, "
                           f"against {statistics.mean(map(len, own)) / 1e3:.0f} kB of the photo; making them took "
                           f"{1e3 * took / len(samples.image_ids):.1f} ms a photo.")
    return section


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="folder of JPEGs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        section = run(Path(folder), arguments.photos)
    print(section.title)
    for row in section.rows:
        print(row.text(), f"({row.note})")
    print(*section.remarks, sep="\n")


if __name__ == "__main__":
    multiprocessing.freeze_support()
    main()
