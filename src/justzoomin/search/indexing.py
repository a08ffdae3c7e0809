"""Building a map index: what a model asks of a map, drawn and encoded once, by one process or several.

That is all views of a grid for most models, all pieces of the map for a matcher that answers alone, and both for a matcher
beside a zoomer.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch

from justzoomin.errors import JustZoomInError, ModelError
from justzoomin.geometry import MAX_KEPT_VIEWS, MAX_VIEWS, ZoomGrid, allow_views
from justzoomin.maps import GridViews, Map
from justzoomin.models import MapModel, open_model
from justzoomin.parallel import ordered_map
from justzoomin.search.cell_scorer import trained_on
from justzoomin.search.index import MapIndex, Precision, record_of
from justzoomin.search.view_vectors import Ints, ViewVectors, views_of

if TYPE_CHECKING:
    from justzoomin.maps import LayerViews
    from justzoomin.search.ground_index import GroundIndex

Progress = Callable[[int, int], None]
BLOCK = 256
"""Number of views in a block. Their cells are neighbours, and so are the tiles that they are drawn from."""
_FLUSH_VIEWS = 2048
_FLUSH_PIECES = 16


class IndexPlan(NamedTuple):
    """What an index can hold, and what of it is made ahead; the rest is added when a search needs it.

    Attributes:
        views: Number of views.
        view_bytes: Size of all of them on the disk.
        encode: Whether views are encoded ahead.
        pieces: Number of pieces of map that a matcher describes; 0 without a matcher.
        piece_bytes: Size of all of them on the disk.
        describe: Whether they are described ahead.
    """

    views: int
    view_bytes: int
    encode: bool
    pieces: int
    piece_bytes: int
    describe: bool


Announce = Callable[[IndexPlan], None]


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


def describe_part(model: MapModel, source: Map, ground: GroundIndex, part: int = 0, parts: int = 1,
                  progress: Callable[[int], None] | None = None) -> None:
    """Describe the pieces that an index lacks or that are broken, every `parts`-th from number `part` on.

    Args:
        model: The model, in evaluation mode.
        source: The map.
        ground: The pieces; they must be writable.
        part: Number of the part.
        parts: Number of parts.
        progress: Called with the number of pieces that have become ready, including those found in the index.

    Raises:
        TileError: If the map cannot give a piece.
        DiskError: If the disk is full or broken.
    """
    from justzoomin.search.ground_index import ground_windows
    from justzoomin.search.matching import describe_piece

    own = np.arange(part, len(ground), parts)
    there = ground.known(own)
    if progress and there.any():
        progress(int(there.sum()))
    windows, lattice = ground_windows(model, source, ground.head.grid)
    for count, number in enumerate(own[~there].tolist(), 1):
        ground.keep(number, describe_piece(model, windows, lattice, number))
        if count % _FLUSH_PIECES == 0:
            ground.flush()
        if progress:
            progress(1)
    ground.flush()


def begin_index(model: MapModel, source: Map, folder: str | Path, grid: ZoomGrid | None = None, *,
                precision: Precision = "fp32", lazy: bool = False, max_views: int | None = None,
                announce: Announce | None = None) -> tuple[MapIndex, IndexPlan]:
    """Make the empty files of an index, or open those in the folder, and reserve the space of what is made ahead.

    Arguments and errors are those of `build_index`.
    """
    grid = grid or source.grid
    views = views_of(model, source, grid)
    plan = _plan(model, views, precision, lazy=lazy)
    allow_views(plan.views, max_views or (MAX_VIEWS if plan.encode else MAX_KEPT_VIEWS),
                f"of {model.config.image_pixels} px, {plan.view_bytes / 1e6:,.1f} MB on the disk")
    views.check_root()
    index = MapIndex.create(folder, model, source, grid, precision)
    ground = None
    if plan.pieces:
        from justzoomin.search.ground_index import GroundIndex

        ground = GroundIndex.create(folder, model, source, grid)
    if announce:
        announce(plan)
    if plan.encode:
        index.reserve()
    if ground is not None and plan.describe:
        ground.reserve()
    return index, plan


def build_index(model: str | Path | MapModel, source: Map, folder: str | Path, grid: ZoomGrid | None = None, *,
                precision: Precision = "fp32", device: str = "auto", processes: int = 1, batch_size: int = 32,
                lazy: bool = False, progress: Progress | None = None, describing: Progress | None = None,
                max_views: int | None = None, announce: Announce | None = None) -> MapIndex:
    """Make the index of a map under a model, or continue it: what is in the index is not encoded again.

    For a matcher that answers alone the map is described, and views are added when a search needs them.

    Args:
        model: The model, or its folder or hub id (needed for several processes).
        source: The map.
        folder: Folder of the index.
        grid: The zoom grid; the map's own if None.
        precision: Number format of the views' vectors.
        device: Device of the model; with several processes and `auto` or `cuda`, each process uses the next GPU in turn.
        processes: Number of processes that share the work.
        batch_size: Views encoded at once.
        lazy: Make the index empty; each view and piece is added when it is first needed.
        progress: Called with the number of ready views and of all views.
        describing: Called with the number of described pieces of map and of all pieces.
        max_views: Largest allowed number of views; None for `MAX_VIEWS`, or `MAX_KEPT_VIEWS` if no view is encoded ahead.
        announce: Called with what the index can hold before anything is drawn.

    Raises:
        GeometryError: If there are more views than allowed.
        ModelError: If the model does not fit, a process died, or several processes were requested for an open model.
        DataError: If the folder holds something else, or an index of another map or grid.
        TileError: If the map cannot give a view or piece.
        OSError: If the index cannot be written, or the disk has too little free space for it.
    """
    opened = model if isinstance(model, MapModel) else open_model(model, device=device)
    grid = grid or source.grid
    index, plan = begin_index(opened, source, folder, grid, precision=precision, lazy=lazy, max_views=max_views,
                              announce=announce)
    if processes > 1 and isinstance(model, MapModel) and (plan.encode or plan.describe):
        raise ModelError("model", "several processes cannot share an open model", "Give the model's folder or hub id.")
    for wanted, work, total, told in ((plan.encode, _encode, plan.views, progress),
                                      (plan.describe, _describe, plan.pieces, describing)):
        if not wanted:
            continue
        advance = _counted(told, total)
        if processes <= 1 or isinstance(model, MapModel):
            work(opened, source, grid, Path(folder), batch_size, 0, 1, advance)
        else:
            _share(work, opened.folder or model, source, grid, Path(folder), device, processes, batch_size, advance)
    return index if lazy else MapIndex.open(folder)


def _plan(model: MapModel, views: GridViews | LayerViews, precision: Precision, *, lazy: bool) -> IndexPlan:
    count = len(model.layers(views.grid))
    size = count * record_of(model.encoder.width, precision).itemsize
    if model.matcher is None:
        return IndexPlan(count, size, not lazy, 0, 0, describe=False)
    from justzoomin.search.ground_index import ground_record
    from justzoomin.search.place_lattice import PlaceLattice

    lattice, config = PlaceLattice.of(views.grid, model.matcher), model.matcher.config
    pieces = lattice.windows**2
    assert isinstance(views, GridViews)  # true for every model that decodes paths
    zooms = bool(config.zoom_weight) and trained_on(model, views)
    return IndexPlan(count, size, zooms and not lazy, pieces,
                     pieces * ground_record(lattice, config.channels, config.headings).itemsize, describe=not lazy)


def _counted(told: Progress | None, total: int) -> Callable[[int], None]:
    """Return a function that adds up what it is called with and passes the sum on."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if told:
            told(done, total)

    return advance


class _Work(Protocol):
    """Makes one part of an index."""

    def __call__(self, model: MapModel, source: Map, grid: ZoomGrid, folder: Path, batch_size: int, part: int, parts: int,
                 advance: Callable[[int], None], /) -> None: ...


def _encode(model: MapModel, source: Map, grid: ZoomGrid, folder: Path, batch_size: int, part: int, parts: int,
            advance: Callable[[int], None], /) -> None:
    build_part(ViewVectors(model, views_of(model, source, grid), batch_size, MapIndex.open(folder)), part, parts, advance)


def _describe(model: MapModel, source: Map, grid: ZoomGrid, folder: Path, _: int, part: int, parts: int,
              advance: Callable[[int], None], /) -> None:
    from justzoomin.search.ground_index import GroundIndex

    describe_part(model, source, GroundIndex.open_for(folder, model, source, grid), part, parts, advance)


def _share(work: _Work, model: str | Path, source: Map, grid: ZoomGrid, folder: Path, device: str, processes: int,
           batch_size: int, advance: Callable[[int], None]) -> None:
    """Run each part in a separate process; what is finished is kept even if a process fails."""
    context = multiprocessing.get_context("spawn")
    news: Any = context.Queue()
    threads = max(1, torch.get_num_threads() // processes)
    workers = [context.Process(target=_worker, daemon=True, args=(
        news, work, model, source, grid, folder, _device(device, part), batch_size, part, processes, threads))
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
        raise ModelError(folder, f"a process that encoded the map ended with code {bad}",
                         "Run the same command again, with fewer --processes if memory ran out. What is finished is kept.")


def _device(device: str, part: int) -> str:
    count = torch.cuda.device_count()
    return f"cuda:{part % count}" if count and device in {"auto", "cuda"} else device


def _worker(news: Any, work: _Work, model: str | Path, source: Map, grid: ZoomGrid, folder: Path, device: str, batch_size: int,
            part: int, parts: int, threads: int) -> None:
    torch.set_num_threads(threads)
    try:
        work(open_model(model, device=device), source, grid, folder, batch_size, part, parts, news.put)
    except JustZoomInError as error:
        news.put(error)
