"""The workers: they open model and map by path, once, and get numbers of views or paths of photos."""

from __future__ import annotations

import dataclasses
import platform
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.data import CameraSource
from justzoomin.errors import ClusterError, DataError, JustZoomInError, ModelError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import Map, MapContent, map_content
from justzoomin.models import MapModel, open_model
from justzoomin.posterior import Calibration, Prior
from justzoomin.search import (
    CameraNotUsedWarning,
    Fix,
    HeadingSource,
    Localizer,
    NotTrainedHereWarning,
    Piece,
    ViewVectors,
    describe_piece,
    ground_windows,
    views_of,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
_REMEDY = "Copy the same files to every machine."


class EncodedViews(NamedTuple):
    """Views of a block.

    Attributes:
        numbers: Numbers of the views (N,).
        vectors: Vectors of the views (N, D).
        no_data: Share of each view without data (N,).
    """

    numbers: Ints
    vectors: Floats
    no_data: Floats


@dataclass(frozen=True)
class Places:
    """Where a worker finds its files; the paths are valid on every machine of the cluster.

    Attributes:
        model: Folder or hub id of the model.
        map: Folder, package or address of the map.
        grid: The zoom grid.
        device: Where the model runs.
        cores: Number of threads that it may use.
        batch_size: Views or photos encoded at once.
    """

    model: str
    map: str
    grid: ZoomGrid
    device: str
    cores: int
    batch_size: int


class IndexWorker:
    """Draws and encodes views.

    Args:
        places: What to open.
        model_hash: Fingerprint of the model that the index belongs to.
        content: The map's tiles that the index belongs to.
    """

    def __init__(self, places: Places, model_hash: str, content: MapContent) -> None:
        self._places, self._model_hash, self._content = places, model_hash, content
        self._vectors: ViewVectors | None = None

    def ready(self) -> JustZoomInError | None:
        """Open model and map, and check that they are those of the job."""
        try:
            model, source = _opened(self._places, self._model_hash, self._content)
        except JustZoomInError as error:
            return with_machine(error)
        self._vectors = ViewVectors(model, views_of(model, source, self._places.grid), self._places.batch_size)
        return None

    def work(self, block: Ints) -> EncodedViews | JustZoomInError:
        """Draw and encode the views of these numbers (N,), in batches like a single process."""
        assert self._vectors is not None
        parts = []
        try:
            for start in range(0, len(block), self._places.batch_size):
                drawn = self._vectors.draw(block[start:start + self._places.batch_size])
                parts.append((self._vectors.encode(drawn).cpu().numpy(), drawn.no_data))
        except JustZoomInError as error:
            return with_machine(error)
        return EncodedViews(block, np.concatenate([v for v, _ in parts]), np.concatenate([n for _, n in parts]))


class PieceWorker:
    """Describes pieces of map for a matcher.

    Args:
        places: What to open.
        model_hash: Fingerprint of the model that the index belongs to.
        content: The map's tiles that the described map belongs to.
    """

    def __init__(self, places: Places, model_hash: str, content: MapContent) -> None:
        self._places, self._model_hash, self._content = places, model_hash, content
        self._describe: Callable[[int], Piece] | None = None

    def ready(self) -> JustZoomInError | None:
        """Open model and map, and check that they are those of the job."""
        try:
            model, source = _opened(self._places, self._model_hash, self._content)
            windows, lattice = ground_windows(model, source, self._places.grid)
        except JustZoomInError as error:
            return with_machine(error)
        self._describe = lambda number: describe_piece(model, windows, lattice, number)
        return None

    def work(self, block: int) -> tuple[int, Piece] | JustZoomInError:
        """Return the number of a piece and its description."""
        assert self._describe is not None
        try:
            return block, self._describe(block)
        except JustZoomInError as error:
            return with_machine(error)


def _opened(places: Places, model_hash: str, content: MapContent) -> tuple[MapModel, Map]:
    """Open model and map of a job.

    Raises:
        JustZoomInError: If they cannot be opened, or differ from the driver's.
    """
    torch.set_num_threads(places.cores)
    model = open_model(places.model, device=places.device)
    source = Map.open(places.map, grid=places.grid)
    if model.fingerprint() != model_hash:
        raise ModelError(places.model, "the model differs from the driver's", _REMEDY)
    if map_content(source, content.levels, known=content).digest != content.digest:
        raise DataError(places.map, "the map's tiles differ from the driver's", _REMEDY)
    return model, source


class PhotoWorker:
    """Localizes photos.

    Args:
        places: What to open.
        index: Folder of the map's index, if there is one. Workers read it and do not change it.
        model_hash: Fingerprint of the driver's model.
        map_hash: Fingerprint of the driver's map.
        search: How the driver searches, in words.
        decision: The driver's decision, in words.
        prior: The driver's prior.
        calibration: The driver's calibration.
        headings: What the driver knows of headings.
        cameras: What the driver knows of cameras.
    """

    def __init__(self, places: Places, index: str | None, model_hash: str, map_hash: str, *, search: str = "auto",
                 decision: str | None = None, prior: Prior | None = None, calibration: Calibration | None = None,
                 headings: HeadingSource | None = None, cameras: CameraSource | None = None) -> None:
        self._places, self._index, self._hashes = places, index, (model_hash, map_hash)
        self._how = (search, decision, prior, calibration, headings, cameras)
        self._localizer: Localizer | None = None

    def ready(self) -> JustZoomInError | None:
        """Open model, map and index, and check that they are those of the job."""
        torch.set_num_threads(self._places.cores)
        try:
            with warnings.catch_warnings():
                for known in (NotTrainedHereWarning, CameraNotUsedWarning):
                    warnings.simplefilter("ignore", known)  # the driver has already warned
                search, decision, prior, calibration, headings, cameras = self._how
                localizer = Localizer(open_model(self._places.model, device=self._places.device),
                                      Map.open(self._places.map, grid=self._places.grid), index=self._index, search=search,
                                      decision=decision, prior=prior, calibration=calibration, headings=headings,
                                      cameras=cameras)
            for what, own, wanted in (("model", localizer.model_hash, self._hashes[0]),
                                      ("map", localizer.map_hash, self._hashes[1])):
                if own != wanted:
                    raise DataError(what, "it differs from the driver's", _REMEDY)
        except JustZoomInError as error:
            return with_machine(error)
        if localizer.vectors.index is not None:
            localizer.vectors.index.writable = False  # file systems handle many machines writing into one file badly
        self._localizer = localizer
        return None

    def work(self, block: list[tuple[str, str]]) -> list[Fix | JustZoomInError]:
        """Localize photos, given as the driver's name and the path; a photo that fails gives its error."""
        assert self._localizer is not None
        results = self._localizer.localize_many([path for _, path in block], self._places.batch_size)
        return [renamed(result, name, path) for (name, path), result in zip(block, results, strict=True)]


def renamed(result: Fix | JustZoomInError, name: str, path: str) -> Fix | JustZoomInError:
    """Return a result with the driver's name of the photo instead of its path."""
    if isinstance(result, Fix):
        return dataclasses.replace(result, photo=name)
    if result.where == path:
        return type(result)(name, result.what, result.remedy)
    return result


def with_machine(error: JustZoomInError) -> ClusterError:
    """Return an error that ends a job, with the machine on which it happened."""
    return ClusterError(f"on {platform.node()}: {error.where}", error.what, error.remedy)


def absolute_path(given: str | Path) -> str:
    """Return a path as every machine understands it: an absolute one; hub ids and addresses are unchanged."""
    path = Path(given)
    return str(path.absolute()) if path.exists() else str(given)
