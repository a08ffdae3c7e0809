"""The maps of a run: the datasets with photos to train on, and those with photos to validate on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.checks import stated_rights
from justzoomin.city import TownLabels
from justzoomin.data import Dataset, PhotoPlaces, shapes_of
from justzoomin.errors import DataError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import GridViews, Windows, region_look
from justzoomin.models import MatcherConfig
from justzoomin.training.config import TrainConfig


@dataclass(frozen=True)
class TrainingMaps:
    """The datasets of a run. The number of a dataset is its index in the list.

    Attributes:
        datasets: All datasets; their grids have the same size and depth.
        train: Numbers of the datasets with photos to train on.
        val: Numbers of the datasets with photos to validate on.
    """

    datasets: tuple[Dataset, ...]
    train: tuple[int, ...]
    val: tuple[int, ...]

    @classmethod
    def of(cls, config: TrainConfig, datasets: Sequence[Dataset]) -> TrainingMaps:
        """Find out which datasets to train and to validate on, and check them.

        A single dataset must have both splits. Of several datasets, each must have at least one of them. If some have only the
        validation split, the run is validated on those, because they are maps that it has not seen; otherwise on all that have
        the split.

        Raises:
            DataError: If there is no dataset, a split is missing, broken or lacks photos, or grids differ in size or depth.
        """
        if not datasets:
            raise DataError("datasets", "no dataset was given", "Give at least one.")
        first, (train, val) = datasets[0], (config.train_split, config.val_split)
        for other in datasets[1:]:
            if (other.grid.grid, other.grid.depth) != (first.grid.grid, first.grid.depth):
                raise DataError(other.root, f"its grid is {_size(other.grid)}, but that of {first.root} is {_size(first.grid)}",
                                "Train on maps whose grids have the same size and depth.")
        numbers = range(len(datasets))
        several = len(datasets) > 1
        training = tuple(n for n in numbers if not several or train in datasets[n].split_paths)
        scored = () if val is None else tuple(n for n in numbers if not several or val in datasets[n].split_paths)
        for number in sorted(set(numbers) - {*training, *scored}):
            lacks = f"it has no split called {train!r}" + (f" and no split called {val!r}" if val else "")
            there = ", ".join(datasets[number].split_paths) or "none"
            raise DataError(datasets[number].root, lacks, f"Its splits: {there}. Leave the dataset out, or name its splits.")
        for name, having in ((train, training), (val, scored)):
            if name is not None and not having:
                raise DataError(first.root, f"neither it nor any other dataset has a split called {name!r}",
                                "Set train_split and val_split to existing splits, or val_split=null to skip validation.")
        unseen = tuple(n for n in scored if n not in training)
        maps = cls(tuple(datasets), training, unseen or scored)
        for name, having in ((train, maps.train), (val, maps.val)):
            for number in having:
                datasets[number].check(str(name), photos=config.ready_photos is None)
        return maps

    @property
    def grid(self) -> ZoomGrid:
        """Grid of the first map, which is the model's grid."""
        return self.datasets[0].grid

    def windows(self, matcher: MatcherConfig) -> list[Windows]:
        """Return the pieces of every map that a ray matcher describes."""
        return [Windows(each.map, each.grid, matcher.window_m, matcher.margin_m, matcher.metres_per_pixel)
                for each in self.datasets]

    def bearings(self, split: str) -> npt.NDArray[np.float64]:
        """Return the bearings (N,) of the training photos in degrees, map after map; NaN for an unknown bearing."""
        return np.concatenate([self.datasets[number].bearings(split) for number in self.train])

    def places(self, split: str, matcher: MatcherConfig) -> list[npt.NDArray[np.float64]]:
        """Return the places (N, 2) of the training photos on each map, in metres east and south of the region's corner."""
        found = []
        for number, windows in enumerate(self.windows(matcher)):
            records = self.datasets[number].split(split) if number in self.train else None
            found.append(np.empty((0, 2)) if records is None else np.stack(windows.place(records.lat, records.lon), 1))
        return found

    def labels(self, split: str) -> list[TownLabels | None]:
        """Return the labels of every map with training photos.

        Raises:
            DataError: If a map has none, or the split is not the one whose photos have labels.
        """
        if split != "train":
            raise DataError("train_split", f"labels are of the split train, not of {split}", "Set matching.supervision=0.")
        return [TownLabels.load(each.root) if number in self.train else None for number, each in enumerate(self.datasets)]

    def _places(self, number: int, split: str) -> dict[str, Any]:
        records = self.datasets[number].split(split)
        return PhotoPlaces.of(self.datasets[number].grid.region, records.lat, records.lon).to_dict()

    def pieces(self, split: str, matcher: MatcherConfig) -> npt.NDArray[np.int64]:
        """Return the numbers (N,) of the training photos' pieces of map; each piece of each map has its own number."""
        windows, found, first = self.windows(matcher), [], 0
        for number in self.train:
            records = self.datasets[number].split(split)
            found.append(first + windows[number].number(*windows[number].place(records.lat, records.lon)))
            first += len(windows[number])
        return np.concatenate(found)

    def split_hash(self, split: str) -> str:
        """Return the hash of a training split's records: the dataset's own, or a hash of all datasets' hashes."""
        hashes = [self.datasets[number].split_hash(split) for number in self.train]
        return hashes[0] if len(self.datasets) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()

    def provenance(self, config: TrainConfig, views: Sequence[GridViews]) -> dict[str, Any]:
        """Return the record of a model's training photos and maps; `views` are those of each map's grid."""
        split = config.train_split
        rows: list[dict[str, Any]] = [{
            "data": self.datasets[number].root.resolve().name, "train_split_hash": self.datasets[number].split_hash(split),
            "map_hash": self.datasets[number].map.fingerprint(),
            "look": region_look(views[number]), "photos": len(self.datasets[number].split(split)),
            "shapes": shapes_of(self.datasets[number], split), "places": self._places(number, split),
            "rights": stated_rights(self.datasets[number], split),
        } for number in self.train]
        if len(self.datasets) == 1:
            return {"train_split": split, **rows[0]}
        return {"train_split": split, "train_split_hash": self.split_hash(split), "maps": rows,
                "validated_on": [self.datasets[number].root.resolve().name for number in self.val],
                "photos": sum(row["photos"] for row in rows)}


def _size(grid: ZoomGrid) -> str:
    return f"{grid.grid} x {grid.grid}, {grid.depth} levels deep"
