"""Pixels of a batch's views, fetched in the training process: from the view cache, or from a table on the GPU."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.maps import GridViews, LayerViews

TABLE_SHARE = 0.25
"""A table of all views is stored on a GPU if it needs at most this share of the free memory."""
_CHUNK = 512


class ViewPixels:
    """Views by number, for the training process. With several maps, the numbers are those of `JoinedDataset`.

    Args:
        views: The views of each map; all maps have equally many views of the same size.
    """

    def __init__(self, *views: GridViews | LayerViews) -> None:
        self.views = views
        self._stride = views[0].count
        self._table: torch.Tensor | None = None
        self._asked = False

    def __call__(self, numbers: torch.Tensor, device: torch.device) -> torch.Tensor:
        """Return the views with these numbers (V,), uint8 (V, 3, n, n), on a device; the numbers may be on another device."""
        if device.type == "cuda" and not self._asked:
            self._asked = True
            self._table = self._on_device(device)
        if self._table is not None:
            return self._table.index_select(0, numbers.to(device)).permute(0, 3, 1, 2)
        return torch.from_numpy(self._batch(numbers.cpu().numpy())).to(device, non_blocking=True).permute(0, 3, 1, 2)

    def _batch(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the views (V, n, n, 3) with these numbers (V,)."""
        if len(self.views) == 1:
            return self.views[0].batch(numbers)
        maps, inner = np.divmod(numbers, self._stride)
        found = np.empty((len(numbers), self.views[0].pixels, self.views[0].pixels, 3), np.uint8)
        for number in np.unique(maps).tolist():
            found[maps == number] = self.views[number].batch(inner[maps == number])
        return found

    def _on_device(self, device: torch.device) -> torch.Tensor | None:
        """Return all views, uint8 (V, n, n, 3), or None if they are not cached or need too much memory."""
        count, pixels = self._stride * len(self.views), self.views[0].pixels
        free = torch.cuda.mem_get_info(device)[0]
        if not all(views.cached for views in self.views) or count * pixels * pixels * 3 > TABLE_SHARE * free:
            return None
        table = torch.empty((count, pixels, pixels, 3), dtype=torch.uint8, device=device)
        for first in range(0, count, _CHUNK):
            numbers = np.arange(first, min(count, first + _CHUNK))
            table[first:first + len(numbers)].copy_(torch.from_numpy(self._batch(numbers)))
        return table
