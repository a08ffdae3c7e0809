"""Build a map index on many machines: workers encode, the driver writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from justzoomin.cluster.blocks import run_blocks
from justzoomin.cluster.joining import joined, room
from justzoomin.cluster.workers import EncodedViews, IndexWorker, Places, absolute_path
from justzoomin.geometry import MAX_VIEWS, ZoomGrid
from justzoomin.maps import Map
from justzoomin.search import MapIndex, Precision, build_index, index_blocks

_FLUSH_BLOCKS = 8


def build_index_on_cluster(address: str, model: str | Path, map: str | Path, folder: str | Path, grid: ZoomGrid | None = None,
                           *, precision: Precision = "fp32", device: str = "auto", batch_size: int = 32,
                           progress: Callable[[int, int], None] | None = None, max_views: int = MAX_VIEWS,
                           announce: Callable[[int, int], None] | None = None) -> MapIndex:
    """Build the index of a map under a model, or continue it, with the workers of a ray cluster.

    The result equals that of `search.build_index`, bit for bit on machines of the same kind with the same number of threads.
    Only this process writes into the folder. Model and map must have the same paths on every machine; each worker checks that
    they are the same.

    Args:
        address: `local`, `auto` or the head's `host:port`.
        model: Folder or hub id of the model.
        map: Folder, package or address of the map.
        folder: Folder of the index, on this machine.
        grid: The zoom grid; default: the map's own.
        precision: Number format of the vectors.
        device: Where the model runs in workers: `auto` uses the cluster's GPUs if it has any.
        batch_size: Views encoded at once.
        progress: Called with the finished views and all views.
        max_views: Maximum number of views; more are refused.
        announce: Called with the number of views and the bytes of their file before they are drawn.

    Raises:
        MissingExtraError: If ray is not installed.
        ClusterError: If the cluster cannot be joined, or a worker fails; the error names the machine.
        ModelError: If the existing index belongs to another model.
        DataError: If the folder holds something else, or an index of another map or grid.
    """
    with joined(address) as ray:
        source = Map.open(map, grid=grid)
        grid = grid or source.grid
        index = build_index(model, source, folder, grid, precision=precision, device="cpu", lazy=True,
                            max_views=max_views, announce=announce)
        index.reserve()
        size = room(ray, device)
        places = Places(absolute_path(model), absolute_path(map), grid, device, size.cores, batch_size)
        make = partial(IndexWorker, places, index.head.model, index.head.content)
        done = index.count()
        if progress:
            progress(done, len(index))
        blocks = list(_missing(index))
        encoded: EncodedViews
        for count, (_, encoded) in enumerate(run_blocks(ray, make, blocks, size.no_more_than(len(blocks))), 1):
            index.keep(*encoded, must=True)
            if count % _FLUSH_BLOCKS == 0:
                index.flush()
            done += len(encoded.numbers)
            if progress:
                progress(done, len(index))
        index.flush()
        return index


def _missing(index: MapIndex) -> Iterator[npt.NDArray[np.int64]]:
    for block in index_blocks(len(index)):
        new = block[~index.known(block)]
        if len(new):
            yield new
