"""Calibration of a model's probabilities, fitted on held-out photos and stored beside the model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from justzoomin.errors import ModelError
from justzoomin.files import write_json
from justzoomin.geometry import ZoomGrid
from justzoomin.posterior.calibration_file import REMEDY, plain, read
from justzoomin.posterior.lattices import Floats
from justzoomin.posterior.many_maps import ManyMapsCalibration
from justzoomin.posterior.one_map import OneMapCalibration

CALIBRATION_FILE = "calibration.json"


class Calibrates(Protocol):
    """What turns a model's own probabilities on one map into calibrated ones."""

    def apply(self, grid: ZoomGrid, log_probs: npt.NDArray[np.floating]) -> Floats:
        """Return calibrated log-probabilities (B, N) from the model's own (B, N), before any prior."""

    def temperatures_of(self, grid: ZoomGrid, log_probs: npt.NDArray[np.floating]) -> Floats:
        """Return the temperature (B, steps) of each step for photos with the model's own log-probabilities (B, N)."""


@dataclass(frozen=True)
class Calibration:
    """A model's calibrations: one for the map that it knows, one for maps that it has never seen. At least one is there.

    Attributes:
        model: Fingerprint of the model that they were fitted for.
        one_map: Fitted on held-out photos of one map, for that map.
        many_maps: Fitted on photos of many maps that the model was not trained on, for others like them.
    """

    model: str
    one_map: OneMapCalibration | None = None
    many_maps: ManyMapsCalibration | None = None

    def part(self, same_map: bool) -> Calibrates:
        """Return what to apply on a map: on the map of `one_map` that; elsewhere `many_maps`. If only one is there, that one.

        Args:
            same_map: Whether the map is the one of `one_map`.
        """
        found = self.one_map if same_map or self.many_maps is None else self.many_maps
        found = found or self.many_maps
        assert found is not None
        return found

    def require_model(self, fingerprint: str, where: str | Path = "calibration") -> None:
        """Refuse another model's calibration.

        Raises:
            ModelError: If it was fitted for another model.
        """
        if fingerprint != self.model:
            raise ModelError(where, f"it was fitted for model {self.model[:12]}, not for {fingerprint[:12]}", REMEDY)

    def for_depth(self, depth: int) -> Calibration | None:
        """Return what of it fits grids of this depth; None if nothing does."""
        one = self.one_map if self.one_map is not None and len(self.one_map.temperatures) in (1, depth) else None
        many = self.many_maps if self.many_maps is not None and len(self.many_maps.laws) in (1, depth) else None
        return None if one is None and many is None else Calibration(self.model, one, many)

    def with_other_part(self, path: Path) -> Calibration:
        """Return this calibration with the part that it lacks from a file, if the file has it for the same model."""
        try:
            found = Calibration.load(path)
        except ModelError:  # missing, or broken: it is replaced
            return self
        if found.model != self.model:
            return self
        return Calibration(self.model, self.one_map or found.one_map, self.many_maps or found.many_maps)

    @cached_property
    def fingerprint(self) -> str:
        """Hexadecimal digits that change with any of its values."""
        import hashlib

        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as in the file."""
        return plain(self.model, self.one_map, self.many_maps)

    def save(self, path: Path) -> Path:
        """Write it as JSON, atomically, and return the path.

        Raises:
            OSError: If the file cannot be written.
        """
        return write_json(self.to_dict(), path)

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read a file that `save` wrote.

        Raises:
            ModelError: If it cannot be read, or does not hold a calibration.
        """
        return cls(*read(path))


def find_calibration(folder: Path | None, fingerprint: Callable[[], str], depth: int | None = None) -> Calibration | None:
    """Read the calibration in a model's folder; None if there is none for grids of this depth.

    Args:
        folder: The folder on this machine, `MapModel.folder` of an open model; None for a model without one.
        fingerprint: Returns the model's fingerprint; called only if it is needed.
        depth: Number of steps of the grid; None for any.

    Raises:
        ModelError: If it is broken or belongs to another model.
    """
    path = None if folder is None else folder / CALIBRATION_FILE
    if path is None or not path.is_file():
        return None
    found = Calibration.load(path)
    found.require_model(fingerprint(), path)
    return found if depth is None else found.for_depth(depth)
