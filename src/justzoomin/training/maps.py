"""The maps of a run: which datasets give photos to train on, and which to validate on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.data import Dataset, shapes_of
from justzoomin.errors import DataError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import GridViews, Windows, region_look
from justzoomin.models import MatcherConfig
from justzoomin.training.config import TrainConfig


@dataclass(frozen=True)
class TrainingMaps:
    """The datasets of a run. Their place in the list is their number.

    Attributes:
        datasets: All of them; their grids have the same size and depth.
        train: Numbers of those with photos to train on.
        val: Numbers of those whose photos the run is validated on.
    """

    datasets: tuple[Dataset, ...]
    train: tuple[int, ...]
    val: tuple[int, ...]

    @classmethod
    def of(cls, config: TrainConfig, datasets: Sequence[Dataset]) -> TrainingMaps:
        """Find out which dataset gives what, and check all of it.

        A single dataset must have both splits. Of several, each must have one of them. If some have the validation split alone,
        the run is validated on those: they are maps that it has not seen. Otherwise on all that have the split.

        Raises:
            DataError: If there is none, a split is missing, broken or lacks photos, or grids differ in size or depth.
        """
        if not datasets:
            raise DataError("datasets", "there are none", "Give at least one.")
        first, (train, val) = datasets[0], (config.train_split, config.val_split)
        for other in datasets[1:]:
            if (other.grid.grid, other.grid.depth) != (first.grid.grid, first.grid.depth):
                raise DataError(other.root, f"its grid is {_size(other.grid)} and that of {first.root} is {_size(first.grid)}",
                                "Train on maps whose grids have the same size and depth.")
        numbers = range(len(datasets))
        several = len(datasets) > 1
        training = tuple(n for n in numbers if not several or train in datasets[n].split_paths)
        scored = () if val is None else tuple(n for n in numbers if not several or val in datasets[n].split_paths)
        for number in sorted(set(numbers) - {*training, *scored}):
            lacks = f"it has no split called {train!r}" + (f" and none called {val!r}" if val else "")
            there = ", ".join(datasets[number].split_paths) or "none"
            raise DataError(datasets[number].root, lacks, f"Splits there: {there}. Leave it out, or name its splits.")
        for name, having in ((train, training), (val, scored)):
            if name is not None and not having:
                raise DataError(first.root, f"neither it nor any of the other datasets has a split called {name!r}",
                                "Set train_split and val_split to splits that are there; val_split=null for no validation.")
        unseen = tuple(n for n in scored if n not in training)
        maps = cls(tuple(datasets), training, unseen or scored)
        for name, having in ((train, maps.train), (val, maps.val)):
            for number in having:
                datasets[number].check(str(name), photos=config.ready_photos is None)
        return maps

    @property
    def grid(self) -> ZoomGrid:
        """Grid of the first map: that of the model."""
        return self.datasets[0].grid

    def windows(self, matcher: MatcherConfig) -> list[Windows]:
        """The pieces of every map that a ray matcher describes."""
        return [Windows(each.map, each.grid, matcher.window_m, matcher.margin_m, matcher.metres_per_pixel)
                for each in self.datasets]

    def bearings(self, split: str) -> npt.NDArray[np.float64]:
        """Directions (N,) in degrees of the photos to train on, map after map; NaN where none is known."""
        return np.concatenate([self.datasets[number].bearings(split) for number in self.train])

    def places(self, split: str, matcher: MatcherConfig) -> list[npt.NDArray[np.float64]]:
        """Where the photos to train on stand on each map, (N, 2): metres east and south of the region's corner."""
        found = []
        for number, windows in enumerate(self.windows(matcher)):
            records = self.datasets[number].split(split) if number in self.train else None
            found.append(np.empty((0, 2)) if records is None else np.stack(windows.place(records.lat, records.lon), 1))
        return found

    def pieces(self, split: str, matcher: MatcherConfig) -> npt.NDArray[np.int64]:
        """Numbers (N,) that tell the pieces of maps apart in which the photos to train on lie."""
        windows, found, first = self.windows(matcher), [], 0
        for number in self.train:
            records = self.datasets[number].split(split)
            found.append(first + windows[number].number(*windows[number].place(records.lat, records.lon)))
            first += len(windows[number])
        return np.concatenate(found)

    def split_hash(self, split: str) -> str:
        """Hash of the records of a split to train on: the dataset's own, or one of all datasets' hashes."""
        hashes = [self.datasets[number].split_hash(split) for number in self.train]
        return hashes[0] if len(self.datasets) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()

    def provenance(self, config: TrainConfig, views: Sequence[GridViews]) -> dict[str, Any]:
        """What is recorded beside a model about the photos and maps it was trained on; `views` are those of each map's grid."""
        split = config.train_split
        rows: list[dict[str, Any]] = [{
            "data": self.datasets[number].root.resolve().name, "train_split_hash": self.datasets[number].split_hash(split),
            "map_hash": self.datasets[number].map.fingerprint(),
            "look": region_look(views[number]), "photos": len(self.datasets[number].split(split)),
            "shapes": shapes_of(self.datasets[number], split),
        } for number in self.train]
        if len(self.datasets) == 1:
            return {"train_split": split, **rows[0]}
        return {"train_split": split, "train_split_hash": self.split_hash(split), "maps": rows,
                "validated_on": [self.datasets[number].root.resolve().name for number in self.val],
                "photos": sum(row["photos"] for row in rows)}


def _size(grid: ZoomGrid) -> str:
    return f"{grid.grid} x {grid.grid}, {grid.depth} levels deep"
