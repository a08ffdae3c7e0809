"""Building a map index: all views of a grid, drawn and encoded once, by one process or several."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np
import torch

from justzoomin.errors import JustZoomInError, ModelError
from justzoomin.geometry import MAX_VIEWS, ZoomGrid, allow_views
from justzoomin.maps import Map
from justzoomin.models import MapModel, open_model
from justzoomin.parallel import ordered_map
from justzoomin.search.index import MapIndex, Precision, record_of
from justzoomin.search.view_vectors import Ints, ViewVectors, views_of

Progress = Callable[[int, int], None]
Announce = Callable[[int, int], None]
BLOCK = 256
"""Number of views in a block. Their cells are neighbours, and so are the tiles that they are drawn from."""
_FLUSH_VIEWS = 2048


def index_blocks(count: int, part: int = 0, parts: int = 1) -> Iterator[Ints]:
    """Yield the numbers of `count` views in blocks, every `parts`-th block from block `part` on."""
    for start in range(part * BLOCK, count, parts * BLOCK):
        yield np.arange(start, min(start + BLOCK, count))


def build_part(vectors: ViewVectors, part: int = 0, parts: int = 1, progress: Callable[[int], None] | None = None) -> None:
    """Encode the views that the index of `vectors` lacks, in one part of its blocks.

    A thread draws views ahead while others are encoded.

    Args:
        vectors: View vectors with an index that can be written.
        part: Number of the part.
        parts: Number of parts.
        progress: Called with the number of views that have become ready, including those found in the index.

    Raises:
        TileError: If the map cannot give a view.
    """
    index = vectors.index
    assert index is not None

    def missing() -> Iterator[Ints]:
        for block in index_blocks(len(index), part, parts):
            there = index.known(block)
            if progress and there.any():
                progress(int(there.sum()))
            new = block[~there]
            for start in range(0, len(new), vectors.batch_size):
                yield new[start:start + vectors.batch_size]

    since_flush = 0
    for drawn in ordered_map(vectors.draw, missing(), workers=1):  # one thread: GridViews is not shared
        vectors.encode(drawn, must_keep=True)
        since_flush += len(drawn.numbers)
        if since_flush >= _FLUSH_VIEWS:
            index.flush()
            since_flush = 0
        if progress:
            progress(len(drawn.numbers))
    index.flush()


def build_index(model: str | Path | MapModel, source: Map, folder: str | Path, grid: ZoomGrid | None = None, *,
                precision: Precision = "fp32", device: str = "auto", processes: int = 1, batch_size: int = 32,
                lazy: bool = False, progress: Progress | None = None, max_views: int = MAX_VIEWS,
                announce: Announce | None = None) -> MapIndex:
    """Make the index of a map under a model, or continue it: views in the index are not encoded again.

    Args:
        model: The model, or its folder or hub id (needed for several processes).
        source: The map.
        folder: Folder of the index.
        grid: The zoom grid; the map's own if None.
        precision: Number format of the vectors.
        device: Device of the model; with several processes and `auto` or `cuda`, each process uses the next GPU in turn.
        processes: Number of processes that share the work.
        batch_size: Views encoded at once.
        lazy: Make the index without views; each view is encoded when it is first needed.
        progress: Called with the number of ready views and of all views.
        max_views: Largest allowed number of views.
        announce: Called with the number of views and the size of their file in bytes before they are drawn.

    Raises:
        GeometryError: If there are more views than allowed.
        ModelError: If the model does not fit, a process died, or several processes were requested for an open model.
        DataError: If the folder holds something else, or an index of another map or grid.
        TileError: If the map cannot give a view.
        OSError: If the index cannot be written, or the disk has too little free space for it.
    """
    opened = model if isinstance(model, MapModel) else open_model(model, device=device)
    grid = grid or source.grid
    views = views_of(opened, source, grid)
    count = len(opened.layers(grid))
    size = count * record_of(opened.encoder.width, precision).itemsize
    allow_views(count, max_views, f"of {opened.config.image_pixels} px, {size / 1e6:,.1f} MB on the disk")
    views.check_root()
    index = MapIndex.create(folder, opened, source, grid, precision)
    if announce:
        announce(count, size)
    if lazy:
        return index
    index.reserve()
    total, done = len(index), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress:
            progress(done, total)

    if processes <= 1:
        build_part(ViewVectors(opened, views, batch_size, index), progress=advance)
    elif isinstance(model, MapModel):
        raise ModelError("model", "several processes cannot share an open model", "Give the model's folder or hub id.")
    else:
        _share(model, source, grid, Path(folder), device, processes, batch_size, advance)
    return MapIndex.open(folder)


def _share(model: str | Path, source: Map, grid: ZoomGrid, folder: Path, device: str, processes: int, batch_size: int,
           advance: Callable[[int], None]) -> None:
    """Run each part in a separate process; finished views are kept even if a process fails."""
    context = multiprocessing.get_context("spawn")
    news: Any = context.Queue()
    threads = max(1, torch.get_num_threads() // processes)
    workers = [context.Process(target=_worker, daemon=True, args=(
        news, model, source, grid, folder, _device(device, part), batch_size, part, processes, threads))
        for part in range(processes)]
    for worker in workers:
        worker.start()
    try:
        while any(worker.is_alive() for worker in workers) or not news.empty():
            try:
                found = news.get(timeout=0.5)
            except Empty:
                if any(worker.exitcode for worker in workers):
                    break
                continue
            if isinstance(found, JustZoomInError):
                raise found
            advance(found)
    finally:
        for worker in workers:
            if any(w.exitcode for w in workers):
                worker.terminate()
            worker.join()
    bad = next((worker.exitcode for worker in workers if worker.exitcode), None)
    if bad is not None:
        raise ModelError(folder, f"a process that encoded views ended with code {bad}",
                         "Run the same command again, with fewer --processes if memory ran out. Finished views are kept.")


def _device(device: str, part: int) -> str:
    count = torch.cuda.device_count()
    return f"cuda:{part % count}" if count and device in {"auto", "cuda"} else device


def _worker(news: Any, model: str | Path, source: Map, grid: ZoomGrid, folder: Path, device: str, batch_size: int, part: int,
            parts: int, threads: int) -> None:
    torch.set_num_threads(threads)
    try:
        opened = open_model(model, device=device)
        views = views_of(opened, source, grid)
        build_part(ViewVectors(opened, views, batch_size, MapIndex.open(folder)), part, parts, news.put)
    except JustZoomInError as error:
        news.put(error)
