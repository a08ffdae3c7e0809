"""Localize very many photos on many machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from justzoomin.cluster.blocks import in_order, run_blocks
from justzoomin.cluster.joining import joined, room
from justzoomin.cluster.workers import PhotoWorker, Places, absolute_path
from justzoomin.errors import JustZoomInError
from justzoomin.search import Fix, Localizer

BATCHES = 4
"""Batches of photos in a block, which is what a lost worker costs."""


def localize_on_cluster(address: str, photos: Sequence[Path], localizer: Localizer, model: str | Path, map: str | Path, *,
                        index: str | Path | None = None, device: str = "auto",
                        batch_size: int = 16) -> Iterator[Fix | JustZoomInError]:
    """Localize photos with the workers of a ray cluster; yield results in the photos' order, with few blocks in memory.

    The results equal those of `Localizer.localize_many`, except for times. Photos, model, map and index must have the same
    paths on every machine; each worker checks that model and map are the driver's. Use it with `search.localize_to_file`, which
    writes the results on this machine:

        localize_to_file(localizer, photos, out, localize=lambda todo: localize_on_cluster("auto", todo, localizer, model, map))

    Args:
        address: `local`, `auto` or the head's `host:port`.
        photos: Paths.
        localizer: The driver's, from the same model and map; it does no work.
        model: Folder or hub id of the model.
        map: Folder, package or address of the map.
        index: Folder of the map's index, if there is one; workers read it and do not extend it.
        device: Where the model runs in workers: `auto` uses the cluster's GPUs if it has any.
        batch_size: Photos encoded at once.

    Raises:
        MissingExtraError: If ray is not installed.
        ClusterError: If the cluster cannot be joined, or a worker fails; the error names the machine.
    """
    with joined(address) as ray:
        size = room(ray, device)
        places = Places(absolute_path(model), absolute_path(map), localizer.grid, device, size.cores, batch_size)
        make = partial(PhotoWorker, places, None if index is None else absolute_path(index), localizer.model_hash,
                       localizer.map_hash, search=str(localizer.search), decision=str(localizer.decision),
                       prior=localizer.prior, calibration=localizer.calibration,
                       headings=None if localizer.headings is None else localizer.headings.renamed(absolute_path),
                       cameras=None if localizer.cameras is None else localizer.cameras.renamed(absolute_path))
        step = BATCHES * batch_size
        starts = range(0, len(photos), step)
        blocks = ([(str(photo), absolute_path(photo)) for photo in photos[start:start + step]] for start in starts)
        yield from chain.from_iterable(in_order(run_blocks(ray, make, blocks, size.no_more_than(len(starts)))))
