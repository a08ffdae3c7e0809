"""Hard negatives near in the embedding: photos that stand in a batch with those whose cells look most like theirs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.data import JoinedDataset, ResumableBatchSampler

Ints = npt.NDArray[np.int64]
_CHUNK = 1024


class Miner:
    """The photos of a run and the sampler that is told which of them are near to each other.

    Args:
        photos: All photos to train on.
        sampler: Their sampler.
    """

    def __init__(self, photos: JoinedDataset, sampler: ResumableBatchSampler) -> None:
        self.photos, self.sampler = photos, sampler

    def due(self, epoch: int, first: int | None, every: int) -> bool:
        """Whether neighbours are to be found before an epoch; epochs count from 0 here."""
        return first is not None and epoch >= first and (epoch - first) % every == 0


def neighbours(photos: torch.Tensor, cells: torch.Tensor, cell_of: Ints, maps: Ints, count: int) -> Ints:
    """For each photo the photos (N, K) of its map whose cells are most similar to it, best first; -1 where there are no more.

    Photos of its own cell are not among them: they would be no negatives.

    Args:
        photos: Compared vectors (N, P) of photos.
        cells: Compared vectors (C, P) of the cells that have photos.
        cell_of: Which of these cells (N,) a photo stands in.
        maps: Number (N,) of its map.
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
