"""Several datasets as one: finding their folders, and numbering the samples of all of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset as TorchDataset

from justzoomin.data.batches import Draw
from justzoomin.data.repository import Dataset, open_dataset
from justzoomin.data.torch_data import Sample, ZoomDataset
from justzoomin.errors import DataError
from justzoomin.geometry import ZoomGrid, view_count


def open_datasets(roots: Sequence[str | Path], grid: ZoomGrid | None = None) -> list[Dataset]:
    """Open datasets in the order of `roots`; a root may also be a folder of repositories, which are sorted by name.

    Args:
        roots: The folders.
        grid: The zoom grid, if there is only one dataset; see `open_dataset`.

    Raises:
        DataError: If a folder is neither a dataset nor holds one, two are the same folder, or a grid is given for several.
        LayoutError: If the layout or region of a map is missing or broken.
    """
    folders = [folder for root in roots for folder in _datasets_in(Path(root))]
    seen: dict[Path, Path] = {}
    for folder in folders:
        if folder.resolve() in seen:
            raise DataError(folder, "this dataset is given twice", "Give each dataset once.")
        seen[folder.resolve()] = folder
    if grid is not None and len(folders) > 1:
        raise DataError(folders[1], f"one region is given for {len(folders)} datasets",
                        "Leave the region out: then each dataset uses its own.")
    return [open_dataset(folder, grid) for folder in folders]


def _datasets_in(root: Path) -> list[Path]:
    if not root.is_dir() or (root / "metadata").is_dir():
        return [root]
    inner = sorted(p for p in root.iterdir() if (p / "metadata").is_dir() and not p.name.startswith("."))
    return inner or [root]  # open_dataset reports what is wrong with a folder without any


class JoinedDataset(TorchDataset[Sample]):
    """Samples of several maps, one map after the other, with unique numbers for photos and views.

    A view of map m has the number m * stride + its number in the grid, so the number of each root is a multiple of the stride.

    Args:
        parts: Samples of each map; their grids have the same size and depth.
        maps: Number of each part's map.

    Attributes:
        stride: Number of views in one grid.
    """

    def __init__(self, parts: Sequence[ZoomDataset], maps: Sequence[int]) -> None:
        self.parts, self.maps = list(parts), list(maps)
        self.stride = view_count(self.parts[0].views.grid)
        self._starts = np.cumsum([0, *(len(part) for part in self.parts)]).tolist()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, key: int | tuple[int, int] | Draw) -> Sample:
        """Return the sample of a photo; see `ZoomDataset`.

        Raises:
            PhotoError: If the photo is missing or broken.
        """
        draw = Draw(*key) if isinstance(key, tuple) else Draw(key)
        place = bisect_right(self._starts, draw.photo) - 1
        sample = self.parts[place][draw._replace(photo=draw.photo - self._starts[place])]
        sample["index"], sample["map"] = draw.photo, self.maps[place]
        sample["view_ids"] += self.maps[place] * self.stride
        return sample

    @property
    def sequences(self) -> npt.NDArray[np.int64]:
        """True action sequences (N, T) of all photos."""
        return np.concatenate([part.sequences for part in self.parts])

    @property
    def map_numbers(self) -> npt.NDArray[np.int64]:
        """Number (N,) of the map of each photo."""
        return np.repeat(np.array(self.maps, np.int64), [len(part) for part in self.parts])
