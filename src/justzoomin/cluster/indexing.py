"""Build a map index on many machines: workers encode, the driver writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.cluster.blocks import Worker, run_blocks
from justzoomin.cluster.joining import joined, room
from justzoomin.cluster.workers import EncodedViews, IndexWorker, PieceWorker, Places, absolute_path
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import Map
from justzoomin.models import open_model
from justzoomin.search import Announce, GroundIndex, MapIndex, Piece, Precision, Progress, begin_index, index_blocks

_FLUSH_BLOCKS = 8


def build_index_on_cluster(address: str, model: str | Path, map: str | Path, folder: str | Path, grid: ZoomGrid | None = None,
                           *, precision: Precision = "fp32", device: str = "auto", batch_size: int = 32,
                           progress: Progress | None = None, describing: Progress | None = None,
                           max_views: int | None = None, announce: Announce | None = None) -> MapIndex:
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
        describing: Called with the described pieces of map and all pieces.
        max_views: See `search.build_index`.
        announce: See `search.build_index`.

    Raises:
        MissingExtraError: If ray is not installed.
        ClusterError: If the cluster cannot be joined, or a worker fails; the error names the machine.
        ModelError: If the existing index belongs to another model.
        DataError: If the folder holds something else, or an index of another map or grid.
    """
    with joined(address) as ray:
        source = Map.open(map, grid=grid)
        grid = grid or source.grid
        opened = open_model(model, device="cpu")
        index, plan = begin_index(opened, source, folder, grid, precision=precision, max_views=max_views, announce=announce)
        size = room(ray, device)
        places = Places(absolute_path(model), absolute_path(map), grid, device, size.cores, batch_size)

        def fill(rows: MapIndex | GroundIndex, make: Callable[[], Worker], blocks: list[Any], keep: Callable[[Any], int],
                 told: Progress | None) -> None:
            done = rows.count()
            if told:
                told(done, len(rows))
            for count, (_, result) in enumerate(run_blocks(ray, make, blocks, size.no_more_than(len(blocks))), 1):
                done += keep(result)
                if count % _FLUSH_BLOCKS == 0:
                    rows.flush()
                if told:
                    told(done, len(rows))
            rows.flush()

        if plan.encode:
            def keep_views(encoded: EncodedViews) -> int:
                index.keep(*encoded, must=True)
                return len(encoded.numbers)

            fill(index, partial(IndexWorker, places, index.head.model, index.head.content), list(_missing(index)), keep_views,
                 progress)
        if plan.describe:
            ground = GroundIndex.open_for(folder, opened, source, grid)

            def keep_piece(described: tuple[int, Piece]) -> int:
                ground.keep(*described)
                return 1

            fill(ground, partial(PieceWorker, places, ground.head.model, ground.head.content),
                 [number for part in ground.missing() for number in part.tolist()], keep_piece, describing)
        return index


def _missing(index: MapIndex) -> Iterator[npt.NDArray[np.int64]]:
    for block in index_blocks(len(index)):
        new = block[~index.known(block)]
        if len(new):
            yield new
