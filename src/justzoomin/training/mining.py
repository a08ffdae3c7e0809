"""Hard negatives from the embedding: a batch groups photos whose cells look most alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.data import JoinedDataset, ResumableBatchSampler

Ints = npt.NDArray[np.int64]
_CHUNK = 1024


class Miner:
    """The training photos and their sampler, which groups photos that are near each other in the embedding.

    Args:
        photos: All training photos.
        sampler: Their sampler.
    """

    def __init__(self, photos: JoinedDataset, sampler: ResumableBatchSampler) -> None:
        self.photos, self.sampler = photos, sampler

    def due(self, epoch: int, first: int | None, every: int) -> bool:
        """Return whether to find neighbours before an epoch; epochs count from 0 here."""
        return first is not None and epoch >= first and (epoch - first) % every == 0


def neighbours(photos: torch.Tensor, cells: torch.Tensor, cell_of: Ints, maps: Ints, count: int) -> Ints:
    """Return for each photo the photos (N, K) of its map whose cells are most similar to it, best first, filled up with -1.

    Photos in its own cell are left out, because they are not negatives.

    Args:
        photos: Compared vectors (N, P) of photos.
        cells: Compared vectors (C, P) of the cells with photos.
        cell_of: Index (N,) of each photo's cell among these cells.
        maps: Number (N,) of each photo's map.
        count: K.
    """
    found = np.full((len(photos), count), -1, np.int64)
    for number in np.unique(maps).tolist():
        rows = np.flatnonzero(maps == number)
        own = torch.from_numpy(cell_of[rows])
        most = min(count, len(rows))
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            likeness = (photos[rows[part]] @ cells[own].T).cpu()                     # (n, photos of the map)
            likeness[own[part].unsqueeze(1) == own] = -torch.inf
            best = likeness.topk(most)
            chosen = rows[best.indices.numpy()]
            chosen[torch.isinf(best.values).numpy()] = -1
            found[rows[part], :most] = chosen
    return found
