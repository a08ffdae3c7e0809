"""Localizing very many photos on many machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from justzoomin.cluster.blocks import in_order, run_blocks
from justzoomin.cluster.joining import joined, room
from justzoomin.cluster.workers import PhotoWorker, Places, path_everywhere
from justzoomin.errors import JustZoomInError
from justzoomin.search import Fix, Localizer

BATCHES = 4
"""Batches of photos in a block: what a worker that ends costs."""


def localize_on_cluster(address: str, photos: Sequence[Path], localizer: Localizer, model: str | Path, map: str | Path, *,
                        index: str | Path | None = None, device: str = "auto",
                        batch_size: int = 16) -> Iterator[Fix | JustZoomInError]:
    """Localize photos with the workers of a ray cluster; results in the photos' order, a few blocks in memory.

    They are those of `Localizer.localize_many`, times aside. Photos, model, map and index must lie under the same paths on
    every machine; each worker makes sure that model and map are the driver's. It is made for `search.localize_to_file`, which
    writes the results on this machine:

        localize_to_file(localizer, photos, out, localize=lambda todo: localize_on_cluster("auto", todo, localizer, model, map))

    Args:
        address: `local`, `auto` or the head's `host:port`.
        photos: Paths.
        localizer: The driver's, from the same model and map; it does no work.
        model: Folder or hub id that it was loaded from.
        map: Folder, package or address of its map.
        index: Folder of the map's index, if there is one: read by the workers, not added to.
        device: Where the model runs in workers: `auto` takes the cluster's GPUs where it has some.
        batch_size: Photos encoded at once.

    Raises:
        MissingExtraError: If ray is not installed.
        ClusterError: If the cluster cannot be joined, or a worker cannot do its part; it names the machine.
    """
    with joined(address) as ray:
        size = room(ray, device)
        places = Places(path_everywhere(model), path_everywhere(map), localizer.grid, device, size.cores, batch_size)
        make = partial(PhotoWorker, places, None if index is None else path_everywhere(index), localizer.model_hash,
                       localizer.map_hash, search=str(localizer.search), decision=str(localizer.decision),
                       prior=localizer.prior, calibration=localizer.calibration)
        step = BATCHES * batch_size
        starts = range(0, len(photos), step)
        blocks = ([(str(photo), path_everywhere(photo)) for photo in photos[start:start + step]] for start in starts)
        yield from chain.from_iterable(in_order(run_blocks(ray, make, blocks, size.no_more_than(len(starts)))))
