"""From a photo to a Fix: the three lines most people need."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.data import PhotoShape, declared_panorama, halves, to_tensor, wide_photo
from justzoomin.errors import JustZoomInError, PhotoError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import GridViews, Map, look_alike, region_look
from justzoomin.models import MapModel, open_model
from justzoomin.parallel import ordered_map
from justzoomin.posterior import DEFAULT_DECISION, Calibration, Posterior, Prior, apply_many, find_calibration, parse_decision
from justzoomin.search.answers import Fields, beam_answers, greedy_answers, posterior_answers
from justzoomin.search.cell_scorer import MapScorer, scorer
from justzoomin.search.cost import CHEAP_POSES, MatchingCost, matching_cost
from justzoomin.search.fix import Fix
from justzoomin.search.index import MapIndex
from justzoomin.search.searches import choose_search
from justzoomin.search.trained import check_fits, shapes_trained_on, warn_foreign_map
from justzoomin.search.view_vectors import ViewVectors, photo_vectors, views_of
from justzoomin.untrusted import printable

Item = TypeVar("Item")

MAX_FILE_BYTES = 256 << 20
"""Photos in larger files are refused unread."""
_MAX_VALUES = 1 << 22
"""Probabilities of cells that are in memory at once, photos together."""


class Localizer:
    """A model and a map, ready to localize photos.

    Example:
        >>> localizer = Localizer.load("model", "town")     # doctest: +SKIP
        >>> fix = localizer.localize("photo.jpg")           # doctest: +SKIP
        >>> fix.lat, fix.lon, fix.credible_radius_m         # doctest: +SKIP

    Args:
        model: The model.
        source: The map.
        grid: The zoom grid; the map's own if None.
        index: Folder of the map's index under this model (`build_index`): views in it are neither drawn nor encoded.
        search: `greedy`, `beam:K`, `posterior` or `auto`; see `choose_search`.
        decision: What picks the answer from a posterior: `within:METRES`, `distance` or `top`; None for within 40 m where
            there is a posterior.
        prior: What is known of the photos' place without looking at them; for a posterior.
        calibration: What makes the probabilities of posteriors hold.

    Raises:
        ModelError: If the model's number of actions does not fit the grid, or index or calibration belong to another model.
        DataError: If the index is none, or belongs to another map or grid.
        ConfigError: If search or decision are none, or do not go together.
        GeometryError: If the grid has too many cells for a posterior, or the prior leaves none.
    """

    def __init__(self, model: MapModel, source: Map, grid: ZoomGrid | None = None, index: str | Path | None = None, *,
                 search: str = "auto", decision: str | None = None, prior: Prior | None = None,
                 calibration: Calibration | None = None) -> None:
        self.model = model.eval()
        self.map = source
        self.grid = grid or source.grid
        check_fits(model, self.grid)
        opened = None if index is None else MapIndex.open_for(index, model, source, self.grid)
        self.vectors = ViewVectors(model, views_of(model, source, self.grid), index=opened)
        self.search = choose_search(search, self.grid, opened, model.config.image_pixels, decision=decision,
                                    prior=prior is not None, paths=model.decodes_paths)
        self._whole = self.search.kind == "posterior"
        self.decision = parse_decision(decision or (DEFAULT_DECISION if self._whole else "top"))
        self.prior, self.calibration = prior, calibration
        if prior is not None:  # one that leaves no cell is known before the first photo
            apply_many(self.grid, np.zeros((1, self.grid.actions**self.grid.depth)), prior)
        if self.calibration is not None:
            self.calibration.require_model(self.model_hash)
        self._root_checked = False

    @classmethod
    def load(cls, model: str | Path, map: str | Path | Map, region: ZoomGrid | None = None,
             device: str = "auto", index: str | Path | None = None, runtime: str = "torch", *, calibrated: bool = True,
             search: str = "auto", decision: str | None = None, prior: Prior | None = None) -> Localizer:
        """Open a model (folder or hub id) and a map (folder of tiles or a whole dataset).

        Args:
            model: Model folder or hub id.
            map: Folder of the map, tile package, or address template of a tile server; or an open map.
            region: Zoom grid to search, where the map states none or another is wanted.
            device: `auto`, `cpu`, `cuda`, `mps` ...
            index: Folder of the map's index, if there is one.
            runtime: What runs the encoder: `torch`; `onnx`, after `jzi export`; or the path of an exported file.
            calibrated: Whether to use the calibration in the model's folder, if there is one for this grid's depth.
            search: As for the class.
            decision: As for the class.
            prior: As for the class.
        """
        opened = open_model(model, device=device, runtime=runtime)
        source = map if isinstance(map, Map) else Map.open(map, grid=region)
        grid = region or source.grid
        calibration = find_calibration(model, opened.fingerprint, grid.depth) if calibrated else None
        return cls(opened, source, grid, index, search=search, decision=decision, prior=prior, calibration=calibration)

    @cached_property
    def views(self) -> GridViews:
        """Pictures of the grid's cells, whatever the model itself looks at."""
        own = self.vectors.views
        return own if isinstance(own, GridViews) else GridViews(self.map, self.grid, self.model.config.image_pixels)

    @property
    def views_ahead(self) -> int:
        """Views that are drawn and encoded before the first answer: for a posterior, all that an index does not hold.

        0 for a matcher that answers alone: it describes the map its own way.
        """
        if not self._whole or self._score.ground is not None:
            return 0
        index = self.vectors.index
        return len(self.model.layers(self.grid)) - (0 if index is None else index.count())

    def matching_cost(self) -> MatchingCost | None:
        """What the posterior of a matcher costs on this map, measured on a part of it; None where it is cheap or none is asked.

        Raises:
            TileError: If the map cannot give a piece.
        """
        ground = self._score.ground if self._whole else None
        return None if ground is None or ground.poses <= CHEAP_POSES else matching_cost(ground)

    def prepare(self, progress: Callable[[int, int], None]) -> None:
        """Do what is done once for a map before the first photo, where that can take long: describe it for a matcher.

        Args:
            progress: Called with pieces done and pieces in all.

        Raises:
            TileError: If the map cannot give a piece.
        """
        if self._whole:
            self._score.prepare(progress)

    @cached_property
    def map_hash(self) -> str:
        """Fingerprint of the map."""
        return self.map.fingerprint()

    @cached_property
    def model_hash(self) -> str:
        """Fingerprint of the model."""
        return self.model.fingerprint()

    def localize(self, photo: str | Path | bytes) -> Fix:
        """Say where one photo was taken.

        The photo is turned upright by its EXIF orientation; its EXIF position is never looked at.

        Args:
            photo: Path of the photo, or the bytes of its file.

        Raises:
            PhotoError: If it is no usable photo.
            TileError: If the map cannot give a view that the search asks for.
        """
        started = time.perf_counter()
        loaded = self._load(photo)
        if isinstance(loaded, JustZoomInError):
            raise loaded
        return self._search([photo], [loaded], started)[0]

    def localize_many(self, photos: Iterable[str | Path], batch_size: int = 16) -> Iterator[Fix | JustZoomInError]:
        """Localize photos, in order; a photo that cannot be used yields its error and the rest go on.

        Photos are decoded ahead in threads, then encoded and searched in batches; a few batches are in memory at a time.

        Args:
            photos: Paths.
            batch_size: Photos encoded at once.
        """
        started = time.perf_counter()
        for group in _groups(ordered_map(lambda photo: (photo, self._load(photo)), photos), batch_size):
            results = self._batch(group, started)
            started = time.perf_counter()  # what the caller does meanwhile is not the search's
            for result in results:
                yield result
                started = time.perf_counter()

    def _batch(self, group: list[tuple[str | Path, LoadedPhoto | JustZoomInError]],
               started: float) -> list[Fix | JustZoomInError]:
        usable = [(photo, loaded) for photo, loaded in group if not isinstance(loaded, JustZoomInError)]
        found: list[Fix | JustZoomInError] = []
        if usable:
            try:
                found += self._search([photo for photo, _ in usable], [loaded for _, loaded in usable], started)
            except JustZoomInError as error:
                # A view that cannot be had concerns only the photos whose paths lead there.
                found += [error] if len(usable) == 1 else [self._batch([one], started)[0] for one in usable]
        results = iter(found)
        return [loaded if isinstance(loaded, JustZoomInError) else next(results) for _, loaded in group]

    def _load(self, photo: str | Path | bytes) -> LoadedPhoto | JustZoomInError:
        """A photo as the model takes it, or what is wrong with it."""
        config = self.model.config
        try:
            data, where = (photo, "photo") if isinstance(photo, bytes) else (read_photo(Path(photo)), str(photo))
            _refuse_panorama(data, where)
            pair = halves(to_tensor(wide_photo(data, where, config.image_pixels, config.photo_decode)))
            return LoadedPhoto(pair, PhotoShape.of(data).unlike(self._trained_shapes) if self._trained_shapes else None)
        except JustZoomInError as error:
            return error

    def encode(self, pairs: torch.Tensor) -> torch.Tensor:
        """Vectors (B, D) of photos, uint8 halves (B, 2, 3, n, n)."""
        return photo_vectors(self.model, pairs)

    def localize_posterior(self, photo: str | Path | bytes) -> Posterior:
        """How probable each terminal cell is for one photo, calibrated and with the prior, whatever the search.

        Args:
            photo: Path of the photo, or the bytes of its file.

        Raises:
            PhotoError: If it is no usable photo.
            TileError: If the map cannot give a view.
            GeometryError: If the grid has too many cells, or the prior leaves none.
        """
        loaded = self._load(photo)
        if isinstance(loaded, JustZoomInError):
            raise loaded
        return Posterior(self.grid, self.log_probs(loaded.pair.unsqueeze(0))[0])

    def scores(self, pairs: torch.Tensor) -> npt.NDArray[np.floating]:
        """The model's own scores (B, N) of all terminal cells, for photos as uint8 halves (B, 2, 3, n, n).

        Up to a constant they are log-probabilities, without calibration and prior.

        Raises:
            TileError: If the map cannot give a view.
        """
        return self._scores(self.encode(pairs))

    def log_probs(self, pairs: torch.Tensor, *, prior: bool = True) -> npt.NDArray[np.float64]:
        """Log-probabilities (B, N) of all terminal cells, calibrated, for photos as uint8 halves (B, 2, 3, n, n).

        Args:
            pairs: The photos.
            prior: Whether the prior is multiplied in.

        Raises:
            TileError: If the map cannot give a view.
            GeometryError: If the prior leaves no cell.
        """
        own = self._calibrated(self.encode(pairs))
        return apply_many(self.grid, own, self.prior) if prior and self.prior is not None else own

    def asked(self) -> dict[str, Any]:
        """What the answers depend on beside model, map and grid, as plain values."""
        return {"search": str(self.search), "decision": str(self.decision),
                "prior": None if self.prior is None else weights_hash(self.prior, self.grid),
                "calibration": self.calibration.fingerprint if self._whole and self.calibration else None}

    @cached_property
    def _score(self) -> MapScorer:
        return scorer(self.model, self.vectors)

    def _scores(self, photos: torch.Tensor) -> npt.NDArray[np.floating]:
        self._check_root()
        return self._score(photos)

    def _calibrated(self, photos: torch.Tensor) -> npt.NDArray[np.float64]:
        """Log-probabilities (B, N) of photo vectors (B, D), without the prior."""
        own = self._scores(photos).astype(np.float64)
        if self.calibration is not None:
            return self.calibration.apply(self.grid, own)
        top = own.max(1, keepdims=True)
        return np.asarray(own - (top + np.log(np.exp(own - top).sum(1, keepdims=True))))

    def on_map(self, log_probs: npt.NDArray[np.float64]) -> list[bool | None]:
        """Whether photos with calibrated posteriors (B, N), without a prior, look like photos of this map.

        None without a calibration, and where it was fitted on another map: its threshold is not for this one.
        """
        if self.calibration is None or not self.calibrated_here:
            return [None] * len(log_probs)
        found: list[bool | None] = self.calibration.on_map(log_probs).tolist()
        return found

    @cached_property
    def calibrated_here(self) -> bool:
        """Whether the calibration is for this map, by its hash or its look; one that records neither is for no known map."""
        if self.calibration is None:
            return False
        if self.calibration.map == self.map_hash:
            return True
        return self.calibration.look is not None and look_alike(self.calibration.look, region_look(self.views))

    def _check_root(self) -> None:
        if not self._root_checked:
            self.vectors.check_root()
            self._root_checked = True
            matcher = self.model.config.matcher
            if self.model.decodes_paths and (not self._whole or matcher is None):
                warn_foreign_map(self.model, self.views, "search posterior asks its matcher" if matcher else None)

    def _search(self, photos: Sequence[str | Path | bytes], loaded: Sequence[LoadedPhoto], started: float) -> list[Fix]:
        """Fixes of photos that are loaded."""
        answers = self._answers(self.encode(torch.stack([each.pair for each in loaded])))
        shared: dict[str, Any] = {
            "map_hash": self.map_hash, "model_hash": self.model_hash, "grid": self.grid, "searched": str(self.search),
            "decision": str(self.decision),
            "prior": None if self.prior is None else str(self.prior),
            "cell_size_m": self.grid.cell_size_m(self.grid.depth)}
        no_data = [self._no_data(answer["sequence"]) for answer in answers]
        seconds = (time.perf_counter() - started) / len(photos)
        reasons = [self._not_calibrated(answer.get("on_map"), each.unlike)
                   for answer, each in zip(answers, loaded, strict=True)]
        return [Fix(**answer, **shared, calibrated=why is None, not_calibrated=why, no_data=gaps, seconds=seconds,
                    photo=None if isinstance(photo, bytes) else str(photo))
                for photo, answer, gaps, why in zip(photos, answers, no_data, reasons, strict=True)]

    def _not_calibrated(self, on_map: bool | None, unlike: str | None) -> str | None:
        """Why the probabilities of a photo are not calibrated; None where they are."""
        found = None
        if not self._whole:
            found = f"probabilities of a {self.search} search are the model's own"
        elif self.calibration is None:
            found = "the model has no calibration"
        elif not self.calibrated_here:
            found = "the model's calibration is for another map"
        elif on_map is False:
            found = "the photo does not look like one of this map"
        return "; ".join(filter(None, (found, unlike))) or None

    @cached_property
    def _trained_shapes(self) -> dict[str, tuple[float, float]]:
        return shapes_trained_on(self.model.provenance)

    def _no_data(self, sequence: tuple[int, ...]) -> tuple[float, ...]:
        """Shares without data of the cells along a path."""
        if self.model.decodes_paths:
            return self.vectors.no_data(sequence)
        return tuple(self.views.no_data(sequence[:level]) for level in range(len(sequence)))

    def _answers(self, vectors: torch.Tensor) -> list[Fields]:
        """What the search says of photo vectors (B, D)."""
        self._check_root()
        if self.model.decodes_paths and self.search.kind == "greedy":
            return greedy_answers(self.model, vectors, self.vectors, self.grid)
        if self.model.decodes_paths and self.search.kind == "beam":
            return beam_answers(self.model, vectors, self.vectors, self.grid, self.search.width)
        found: list[Fields] = []
        for some in torch.split(vectors, max(1, _MAX_VALUES // self.grid.actions**self.grid.depth)):
            own = self._calibrated(some)
            here = self.on_map(own)
            believed = own if self.prior is None else apply_many(self.grid, own, self.prior)
            answers = posterior_answers([Posterior(self.grid, p) for p in believed], self.decision)
            found += [{**answer, "on_map": on_map} for answer, on_map in zip(answers, here, strict=True)]
        return found


class LoadedPhoto(NamedTuple):
    """A photo as a model takes it.

    Attributes:
        pair: Its halves, uint8 (2, 3, n, n).
        unlike: Why its shape is far from those that the model was trained on; None where it is not.
    """

    pair: torch.Tensor
    unlike: str | None


def weights_hash(prior: Prior, grid: ZoomGrid) -> str:
    """Hex digits that change with any cell's weight."""
    return hashlib.sha256(prior.log_weights(grid).tobytes()).hexdigest()


def _groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Items in lists of `size`, the last one shorter."""
    group: list[Item] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def read_photo(path: Path) -> bytes:
    """Bytes of a photo file.

    Raises:
        PhotoError: If it is missing, no file, empty or absurdly large.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise PhotoError(path, "it is no file", "Give the path of a photo.")
        if not 0 < size <= MAX_FILE_BYTES:
            raise PhotoError(path, f"the file has {size} bytes", f"Photos up to {MAX_FILE_BYTES} bytes are read.")
        return path.read_bytes()
    except OSError as error:
        raise PhotoError(path, f"it cannot be read ({error.strerror})", "Give the path of a readable photo.") from error


def _refuse_panorama(data: bytes, where: str) -> None:
    """Refuse a photo that says it is a panorama: models learn ordinary photos, and would answer something.

    Raises:
        PhotoError: If it says so.
    """
    projection = declared_panorama(data).get("ProjectionType", "").lower()
    if projection:
        raise PhotoError(where, f"it is a panorama ({printable(projection, 30)}, says its XMP), not an ordinary photo",
                         "Give a photo of about 90 degrees cut from it; jzi photos import cuts such photos.")
