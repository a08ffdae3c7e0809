"""From a photo to a Fix: the three lines most people need."""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.data import CameraSource, PhotoCamera
from justzoomin.errors import ConfigError, JustZoomInError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import GridViews, Map
from justzoomin.models import MapModel, open_model
from justzoomin.parallel import ordered_map
from justzoomin.posterior import DEFAULT_DECISION, Calibration, Posterior, Prior, find_calibration, parse_decision
from justzoomin.search.answering import answering
from justzoomin.search.answers import Fields, FoundPosteriors
from justzoomin.search.cost import MatchingCost
from justzoomin.search.fix import Fix
from justzoomin.search.heading_sources import HeadingSource
from justzoomin.search.index import MapIndex
from justzoomin.search.map_posteriors import Beliefs, MapPosteriors
from justzoomin.search.photo_loading import LoadedPhoto, load_photo, used_cameras
from justzoomin.search.searches import choose_search
from justzoomin.search.trained import check_fits, shapes_trained_on, warn_foreign_map
from justzoomin.search.view_vectors import ViewVectors, photo_vectors, views_of

if TYPE_CHECKING:
    from justzoomin.packs import Pack

Item = TypeVar("Item")


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
        index: Folder of the map's index under this model (`build_index`), or the open index; its views are not drawn or encoded
            again.
        search: `greedy`, `beam:K`, `posterior` or `auto`; see `choose_search`.
        decision: Rule that picks the answer from a posterior: `within:METRES`, `distance` or `top`; None for `within:40` with
            a posterior.
        prior: Prior knowledge about the photos' place; for a posterior.
        calibration: Calibration of the posteriors' probabilities.
        headings: What is known of the photos' headings; for the posterior of a model with a ray matcher.
        cameras: What is known of the photos' cameras, for a model that uses it (`photo_fit`); otherwise a warning says that it
            is not used.

    Raises:
        ModelError: If the model's number of actions does not fit the grid, or index or calibration belong to another model.
        DataError: If the index cannot be read, or belongs to another map or grid.
        ConfigError: If search or decision is unknown, or the two cannot be combined, or the model cannot use a heading.
        GeometryError: If the grid has too many cells for a posterior, or the prior excludes every cell.
    """

    def __init__(self, model: MapModel, source: Map, grid: ZoomGrid | None = None,
                 index: str | Path | MapIndex | None = None, *, search: str = "auto", decision: str | None = None,
                 prior: Prior | None = None, calibration: Calibration | None = None, headings: HeadingSource | None = None,
                 cameras: CameraSource | None = None) -> None:
        self.model = model.eval()
        self.cameras = used_cameras(model.config, cameras)
        self.map = source
        self.grid = grid or source.grid
        check_fits(model, self.grid)
        opened = MapIndex.open_for(index, model, source, self.grid) if isinstance(index, str | Path) else index
        self.vectors = ViewVectors(model, views_of(model, source, self.grid), index=opened)
        self.calibration = calibration
        if calibration is not None:
            calibration.require_model(self.model_hash)
        self.posteriors = MapPosteriors(self.vectors, self.views, calibration, prior)
        self._ask(search, decision, headings)
        self._root_checked = False
        self.took: Callable[[str, float], None] | None = None
        """Called, if set, with `encode` or `search` and the seconds of each batch."""

    def _ask(self, search: str, decision: str | None, headings: HeadingSource | None) -> None:
        """Set what is asked for."""
        self.prior, self.headings = self.posteriors.prior, headings
        if headings is not None and self.model.matcher is None:
            raise ConfigError("heading", "this model does not say which way a photo faces, so a heading cannot be used",
                              "Leave the heading out, or use a model with a ray matcher, such as the preset best.")
        self.search = choose_search(search, self.grid, self.vectors.index, self.model.config.image_pixels, decision=decision,
                                    prior=self.prior is not None or headings is not None, paths=self.model.decodes_paths,
                                    matcher=self.model.matcher is not None)
        self.decision = parse_decision(decision or (DEFAULT_DECISION if self.search.kind == "posterior" else "top"))
        self.answering = answering(self.search, self.posteriors, self.decision)

    def asking(self, *, search: str = "auto", decision: str | None = None, prior: Prior | None = None,
               headings: HeadingSource | None = None, cameras: CameraSource | None = None) -> Localizer:
        """Return a localizer with other settings that shares model, map and everything that is known of the map.

        Args:
            search: See the class.
            decision: See the class.
            prior: See the class.
            headings: See the class.
            cameras: See the class.

        Raises:
            ConfigError: As for the class.
            GeometryError: As for the class.
        """
        other = copy.copy(self)
        other.cameras = used_cameras(self.model.config, cameras)
        other.posteriors = self.posteriors.with_place(prior)
        other._ask(search, decision, headings)
        return other

    @classmethod
    def load(cls, model: str | Path, map: str | Path | Map, region: ZoomGrid | None = None,
             device: str = "auto", index: str | Path | None = None, runtime: str = "torch", *, calibrated: bool = True,
             search: str = "auto", decision: str | None = None, prior: Prior | None = None,
             headings: HeadingSource | None = None, cameras: CameraSource | None = None) -> Localizer:
        """Open a model (folder or hub id) and a map (folder of tiles or complete dataset).

        Args:
            model: Model folder or hub id.
            map: Folder of the map, tile package, or address template of a tile server; or an open map.
            region: Zoom grid to search, if the map has none or a different one is wanted.
            device: `auto`, `cpu`, `cuda`, `mps` ...
            index: Folder of the map's index, if there is one.
            runtime: Runtime of the encoder: `torch`; `onnx`, after `jzi export`; or the path of an exported file.
            calibrated: Whether to use the calibration in the model's folder, if it has one for this grid's depth.
            search: See the class.
            decision: See the class.
            prior: See the class.
            headings: See the class.
            cameras: See the class.
        """
        opened = open_model(model, device=device, runtime=runtime)
        source = map if isinstance(map, Map) else Map.open(map, grid=region)
        grid = region or source.grid
        calibration = find_calibration(opened.folder, opened.fingerprint, grid.depth) if calibrated else None
        return cls(opened, source, grid, index, search=search, decision=decision, prior=prior, calibration=calibration,
                   headings=headings, cameras=cameras)

    @classmethod
    def load_pack(cls, pack: str | Path | Pack, device: str = "auto", runtime: str = "torch", *, revision: str | None = None,
                  search: str = "auto", decision: str | None = None, prior: Prior | None = None,
                  headings: HeadingSource | None = None, cameras: CameraSource | None = None) -> Localizer:
        """Open a pack: model, map, index and calibration of one place. All its files are checked first, and none is changed.

        Example:
            >>> localizer = Localizer.load_pack("owner/name")   # doctest: +SKIP

        Args:
            pack: Folder, `owner/name` on the hub, or a pack that `open_pack` has checked.
            device: See `load`.
            runtime: See `load`.
            revision: Branch, tag or commit on the hub.
            search: See the class.
            decision: See the class.
            prior: See the class.
            headings: See the class.
            cameras: See the class.

        Raises:
            DataError: If a file of the pack is missing, differs or is not listed, or its index belongs to another map.
            ModelError: If its model cannot be opened, or index or calibration belong to another model.
        """
        from justzoomin.packs import open_pack

        held = open_pack(pack, revision) if isinstance(pack, str | Path) else pack
        opened = open_model(held.model, device=device, runtime=runtime)
        source = Map.open(held.map)
        index = None if held.index is None else MapIndex.open_for(held.index, opened, source)
        if index is not None:
            index.writable = False
        calibration = find_calibration(held.model, opened.fingerprint, source.grid.depth)
        return cls(opened, source, None, index, search=search, decision=decision, prior=prior, calibration=calibration,
                   headings=headings, cameras=cameras)

    @cached_property
    def views(self) -> GridViews:
        """Pictures of the grid's cells, whichever views the model itself uses."""
        own = self.vectors.views
        return own if isinstance(own, GridViews) else GridViews(self.map, self.grid, self.model.config.image_pixels)

    @property
    def views_ahead(self) -> int:
        """Number of views drawn and encoded before the first answer: for a posterior, all that the index does not hold.

        0 for a matcher that answers alone, because it describes the map itself.
        """
        asked = self.answering.posteriors
        return 0 if asked is None else asked.views_ahead

    def matching_cost(self) -> MatchingCost | None:
        """Measure the cost of a matcher's posterior on a part of this map; None if it is cheap or not used.

        Raises:
            TileError: If the map cannot give a piece.
        """
        asked = self.answering.posteriors
        return None if asked is None else asked.matching_cost()

    def prepare(self, progress: Callable[[int, int], None]) -> None:
        """Describe the map for a matcher, once before the first photo, because that can take long.

        Args:
            progress: Called with the number of pieces done and of all pieces.

        Raises:
            TileError: If the map cannot give a piece.
        """
        if self.answering.posteriors is not None:
            self.answering.posteriors.prepare(progress)

    @cached_property
    def map_hash(self) -> str:
        """Fingerprint of the map."""
        return self.map.fingerprint()

    @cached_property
    def model_hash(self) -> str:
        """Fingerprint of the model."""
        return self.model.fingerprint()

    def localize(self, photo: str | Path | bytes) -> Fix:
        """Find where one photo was taken.

        The photo is turned upright by its EXIF orientation; its EXIF position is never read.

        Args:
            photo: Path of the photo, or the bytes of its file.

        Raises:
            PhotoError: If the photo cannot be used.
            TileError: If the map cannot give a view that the search needs.
        """
        started = time.perf_counter()
        loaded = self.load_photo(photo)
        if isinstance(loaded, JustZoomInError):
            raise loaded
        return self._search([photo], [loaded], started)[0]

    def localize_many(self, photos: Iterable[str | Path], batch_size: int = 16) -> Iterator[Fix | JustZoomInError]:
        """Localize photos in order; a photo that cannot be used yields its error, and the others continue.

        Threads decode photos ahead, then they are encoded and searched in batches; a few batches are in memory at a time.

        Args:
            photos: Paths.
            batch_size: Photos encoded at once.
        """
        started = time.perf_counter()
        for group in _groups(ordered_map(lambda photo: (photo, self.load_photo(photo)), photos), batch_size):
            results = self.localize_loaded(group, started)
            started = time.perf_counter()  # the caller's time in between does not count
            for result in results:
                yield result
                started = time.perf_counter()

    def localize_loaded(self, group: Sequence[tuple[str | Path | bytes, LoadedPhoto | JustZoomInError]],
                        started: float | None = None) -> list[Fix | JustZoomInError]:
        """Localize some photos at once that `load_photo` has prepared.

        Args:
            group: Name (or bytes, for a photo without one) and prepared photo of each; the error of one that cannot be used.
            started: When the work on them began, by `time.perf_counter`; None for now.

        Returns:
            The fix of each, or its error.
        """
        started = time.perf_counter() if started is None else started
        usable = [(photo, loaded) for photo, loaded in group if not isinstance(loaded, JustZoomInError)]
        found: list[Fix | JustZoomInError] = []
        if len({loaded.pair.shape for _, loaded in usable}) > 1:  # a panorama has several views
            found += [self.localize_loaded([one], started)[0] for one in usable]
        elif usable:
            try:
                found += self._search([photo for photo, _ in usable], [loaded for _, loaded in usable], started)
            except JustZoomInError as error:
                # A view that the map cannot give affects only the photos whose paths need it.
                found += [error] if len(usable) == 1 else [self.localize_loaded([one], started)[0] for one in usable]
        results = iter(found)
        return [loaded if isinstance(loaded, JustZoomInError) else next(results) for _, loaded in group]

    def load_photo(self, photo: str | Path | bytes, camera: PhotoCamera | None = None) -> LoadedPhoto | JustZoomInError:
        """Return a photo prepared for the model, or the error that says what is wrong with it.

        Args:
            photo: Path of the photo, or the bytes of its file.
            camera: Its camera, if its source knows it; it counts before the cameras that were given for all photos.
        """
        asked, known = self.answering.posteriors, self.cameras or CameraSource()
        loaded = load_photo(photo, self.model.config, self._trained_shapes, camera or known.of(photo), known.every,
                            panoramas=asked is not None and self.model.matcher is not None)
        if self.headings is None or isinstance(loaded, JustZoomInError):
            return loaded
        return loaded._replace(heading=self.headings.of(photo))

    def encode(self, pairs: torch.Tensor) -> torch.Tensor:
        """Return vectors (B, D) of photos, uint8 halves (B, 2, 3, n, n); panoramas have an axis more, for their views.

        Raises:
            ModelError: If a photo cannot be encoded, or its vector is not finite.
            TileError: If the map has nothing in the grid's region.
        """
        self._check_root()
        vectors = photo_vectors(self.model, pairs.flatten(0, -5))
        return vectors.view(*pairs.shape[:-4], vectors.shape[-1])

    def localize_posterior(self, photo: str | Path | bytes) -> Posterior:
        """Return the posterior of one photo over all terminal cells, calibrated and with the priors, whatever the search.

        Args:
            photo: Path of the photo, or the bytes of its file.

        Raises:
            PhotoError: If the photo cannot be used.
            TileError: If the map cannot give a view.
            GeometryError: If the grid has too many cells, or the prior excludes every cell.
        """
        loaded = self.load_photo(photo)
        if isinstance(loaded, JustZoomInError):
            raise loaded
        return self.beliefs([loaded]).posteriors(self.grid)[0]

    def beliefs(self, photos: Sequence[LoadedPhoto], *, prior: bool = True) -> Beliefs:
        """Return what is believed about loaded photos, whatever the search: calibrated cells and, with a matcher, bearings.

        Args:
            photos: The photos, from `load_photo`.
            prior: Whether to multiply the priors of place and heading in.

        Raises:
            TileError: If the map cannot give a view.
            GeometryError: If the prior excludes every cell.
        """
        alike = len({photo.pair.shape for photo in photos}) == 1  # a panorama has several views
        stacks = [torch.stack([photo.pair for photo in photos])] if alike else [photo.pair[None] for photo in photos]
        own = Beliefs.joined([self._own(stack) for stack in stacks])
        return self.posteriors.with_prior(own, [photo.heading.prior for photo in photos]) if prior else own

    def _own(self, pairs: torch.Tensor) -> Beliefs:
        """Return what is believed about photos (B, 2, 3, n, n), or panoramas, without a prior."""
        began = time.perf_counter()
        vectors = self.encode(pairs)
        encoded = time.perf_counter()
        own = self.posteriors.own(vectors)
        if self.took is not None:
            self.took("encode", encoded - began)
            self.took("search", time.perf_counter() - encoded)
        return own

    def log_probs(self, pairs: torch.Tensor, *, prior: bool = True) -> npt.NDArray[np.float64]:
        """Return calibrated log-probabilities (B, N) of all terminal cells, whatever the search.

        Args:
            pairs: The photos, uint8 halves (B, 2, 3, n, n), or panoramas (B, V, 2, 3, n, n).
            prior: Whether to multiply the prior of the place in.

        Raises:
            TileError: If the map cannot give a view.
            GeometryError: If the prior excludes every cell.
        """
        own = self._own(pairs)
        return (self.posteriors.with_prior(own) if prior else own).log_probs

    def asked(self) -> dict[str, Any]:
        """Return, as plain values, everything that the answers depend on besides model, map and grid."""
        prior, calibration = self.prior, None if self.answering.posteriors is None else self.calibration
        return {"search": str(self.search), "decision": str(self.decision),
                "prior": None if prior is None else hashlib.sha256(prior.log_weights(self.grid).tobytes()).hexdigest(),
                "calibration": None if calibration is None else calibration.fingerprint,
                "headings": None if self.headings is None else self.headings.fingerprint,
                "cameras": None if self.cameras is None else self.cameras.fingerprint}

    def _check_root(self) -> None:
        """Refuse a map that has no data in the region, and warn of a map that the model does not know; once."""
        if self._root_checked:
            return
        self.vectors.check_root()
        self._root_checked = True
        matcher = self.model.config.matcher is not None
        if self.model.decodes_paths and not (matcher and self.answering.posteriors is not None):
            warn_foreign_map(self.model, self.views, "search posterior asks its matcher" if matcher else None)

    def _search(self, photos: Sequence[str | Path | bytes], loaded: Sequence[LoadedPhoto], started: float) -> list[Fix]:
        """Return the fixes of loaded photos."""
        began = time.perf_counter()
        vectors = self.encode(torch.stack([each.pair for each in loaded]))
        encoded = time.perf_counter()
        known = [each.heading for each in loaded]
        answers = [answer for found in self.answering.find(vectors, [heading.prior for heading in known])
                   for answer in found.fields()]
        if self.took is not None:
            self.took("encode", encoded - began)
            self.took("search", time.perf_counter() - encoded)
        names = [None if isinstance(photo, bytes) else str(photo) for photo in photos]
        return self._fixes(names, loaded, answers, started)

    def fix_of(self, name: str | None, loaded: LoadedPhoto, own: Beliefs, believed: Beliefs, prior: str | None) -> Fix:
        """Return the fix of one photo from what is believed about it; its `seconds` are those of this call.

        Without more knowledge, `believed` is `posteriors.with_prior(own, [loaded.heading.prior])`, and the fix is that of
        `localize`.

        Args:
            name: Name of the photo.
            loaded: The photo; its pixels are not used.
            own: What is believed about it without any prior (1, ...), from `beliefs`.
            believed: What is believed about it with all that is known (1, ...).
            prior: What is known of the place, in words; None if nothing is.

        Raises:
            ConfigError: If the search follows paths.
        """
        if self.answering.posteriors is None:
            raise ConfigError("search", f"{self.search} follows paths and has no posterior", "Search with posterior.")
        started = time.perf_counter()
        found = FoundPosteriors(self.posteriors, self.decision, own.log_probs, believed)
        return replace(self._fixes([name], [loaded], found.fields(), started)[0], prior=prior)

    def _fixes(self, names: Sequence[str | None], loaded: Sequence[LoadedPhoto], answers: Sequence[Fields],
               started: float) -> list[Fix]:
        """Return the fixes of answers: the only way to a Fix."""
        shared: dict[str, Any] = {
            "map_hash": self.map_hash, "model_hash": self.model_hash, "grid": self.grid, "searched": str(self.search),
            "decision": str(self.decision), "prior": None if self.prior is None else str(self.prior),
            "cell_size_m": self.grid.cell_size_m(self.grid.depth)}
        no_data = [self._no_data(answer["sequence"]) for answer in answers]
        seconds = (time.perf_counter() - started) / len(names)
        reasons = [self._not_calibrated(answer.get("on_map"), each.unlike)
                   for answer, each in zip(answers, loaded, strict=True)]
        return [Fix(**answer, **shared, calibrated=why is None, not_calibrated=why, no_data=gaps, seconds=seconds,
                    photo=name, heading_prior=each.heading.words, camera=each.camera)
                for name, answer, gaps, why, each in zip(names, answers, no_data, reasons, loaded, strict=True)]

    def _not_calibrated(self, on_map: bool | None, unlike: str | None) -> str | None:
        """Return why the probabilities of a photo are not calibrated; None if they are."""
        asked = self.answering.posteriors
        found = (f"probabilities of a {self.search} search are the model's own" if asked is None else
                 asked.not_calibrated(on_map))
        return "; ".join(filter(None, (found, unlike))) or None

    @cached_property
    def _trained_shapes(self) -> dict[str, tuple[float, float]]:
        return shapes_trained_on(self.model.provenance)

    def _no_data(self, sequence: tuple[int, ...]) -> tuple[float, ...]:
        """Return the shares without data of the cells along a path."""
        if self.model.decodes_paths:
            return self.vectors.no_data(sequence)
        return tuple(self.views.no_data(sequence[:level]) for level in range(len(sequence)))


def _groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield items in lists of `size`, the last one shorter."""
    rest = iter(items)
    while group := list(islice(rest, size)):
        yield group
