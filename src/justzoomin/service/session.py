"""One photo that a person argues about: what the model believes of it, corrections, and what follows from both."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.data import CameraSource, stated_camera
from justzoomin.errors import ConfigError, GeometryError, JustZoomInError
from justzoomin.geometry import ZoomGrid
from justzoomin.posterior import MAX_TERMINAL_CELLS, Both, Posterior, Prior, apply_many
from justzoomin.search import Beliefs, Fix, KnownHeading, LoadedPhoto, Localizer
from justzoomin.service.corrections import (
    MAX_CORRECTIONS,
    AnyCorrection,
    CameraCorrection,
    CellCorrection,
    HeadingCorrection,
    PlaceCorrection,
)
from justzoomin.service.heat_tiles import HeatLayer
from justzoomin.service.links import corrections_link
from justzoomin.service.places import levels_of, top_places
from justzoomin.service.thumbnails import Thumbnail, thumbnail_of

Floats = npt.NDArray[np.float64]
Ask = Callable[[bytes, str, Localizer], tuple[LoadedPhoto, Beliefs]]
"""Who is asked about a photo, by the bytes of its file, its name and the localizer. The answer is what was loaded, and what is
believed about it without any prior."""


_OPINION_BYTES = 26
"""Memory of an opinion for each cell: weights, log-probabilities, probabilities, and a byte or two for its tiles."""


class ConflictError(JustZoomInError):
    """A request contradicts the state of a session, which stays as it was."""


def ask_directly(photo: bytes, name: str, localizer: Localizer) -> tuple[LoadedPhoto, Beliefs]:
    """Ask a localizer in this thread; see `Ask`.

    Raises:
        PhotoError: If the photo cannot be used.
        TileError: If the map cannot give a view.
    """
    loaded = localizer.load_photo(photo)
    if isinstance(loaded, JustZoomInError):
        raise loaded
    return loaded, localizer.beliefs([loaded], prior=False)


def with_posterior(localizer: Localizer) -> Localizer:
    """Return a localizer that has a posterior over all cells, with the same knowledge of the photo.

    Raises:
        ConfigError: If the grid has too many cells for one.
    """
    grid = localizer.grid
    if (cells := grid.actions**grid.depth) > MAX_TERMINAL_CELLS:
        raise ConfigError("session", f"the map's grid has {cells:,} cells, too many for a posterior, which corrections need",
                          f"Serve the map with a grid of at most {MAX_TERMINAL_CELLS:,} cells, or ask /v1/localize.")
    if localizer.answering.posteriors is not None:
        return localizer
    return localizer.asking(search="posterior", prior=localizer.prior, headings=localizer.headings, cameras=localizer.cameras)


@dataclass(frozen=True, eq=False)
class Opinion:
    """What follows from a photo and some corrections.

    Attributes:
        version: A number that no other opinion of the session has had.
        corrections: The corrections.
        weights: Sum of the log-weights (N,) of what they say about the place; None if they say nothing about it.
        posterior: The posterior over the cells, without bearings.
        fix: The answer.
    """

    version: int
    corrections: tuple[AnyCorrection, ...]
    weights: Floats | None
    posterior: Posterior
    fix: Fix


@dataclass(frozen=True, eq=False)
class _Weighed:
    """A prior with its weights, which are expensive to find."""

    prior: Prior
    weights: Floats

    def log_weights(self, grid: ZoomGrid) -> Floats:
        return self.weights

    def exchanged(self) -> Prior | None:
        return self.prior.exchanged()

    def __str__(self) -> str:
        return str(self.prior)


class Session:
    """A photo with its corrections. Can be used by several threads.

    Kept of the photo are its thumbnail and what the model believes about it: for N terminal cells 72 N bytes with bearings, 8 N
    without. Corrections, the posterior after them and its tiles take 26 N more, and a corrected field of view another 72 N. So
    a session takes 6.4 MB on a map of 65,536 cells, and 410 MB on one of 4 million. A corrected field of view is applied to
    the thumbnail, because the photo is not kept.

    Args:
        localizer: Model, map and what is known of the photo from the start. A search along paths is replaced by the posterior.
        photo: The bytes of the photo's file.
        name: Its name.
        corrections: Corrections to begin with; they can be undone.
        ask: Who is asked about the photo.
        seen: The answer, if somebody with `with_posterior(localizer)` has been asked already.

    Raises:
        PhotoError: If the photo cannot be used.
        TileError: If the map cannot give a view.
        ConfigError: If the grid has too many cells for a posterior, or a correction cannot be used.
        GeometryError: If a correction is outside the map.
        ConflictError: If the corrections rule out every cell.
    """

    def __init__(self, localizer: Localizer, photo: bytes, name: str, corrections: Sequence[AnyCorrection] = (), *,
                 ask: Ask = ask_directly, seen: tuple[LoadedPhoto, Beliefs] | None = None) -> None:
        started = time.perf_counter()
        self.id = secrets.token_urlsafe(18)
        self.name = name
        self.localizer = with_posterior(localizer)
        self.thumbnail: Thumbnail = thumbnail_of(photo, name)
        self._ask, self._lock = ask, threading.Lock()
        self._plain = _kept(*(ask(photo, name, self.localizer) if seen is None else seen))
        self._reframed: tuple[float, LoadedPhoto, Beliefs] | None = None
        self._undone: tuple[AnyCorrection, ...] = ()
        self._versions = 0
        self._heat: tuple[int, dict[int, HeatLayer]] = 0, {}
        self.opinion = self._form((), started)
        for correction in corrections:
            self.correct(correction)

    @property
    def held_bytes(self) -> int:
        """Memory that the session takes, in bytes."""
        kept = [self._plain[1], *(() if self._reframed is None else self._reframed[2:])]
        believed = sum(one.log_probs.nbytes + (0 if one.headings is None else one.headings.nbytes) for one in kept)
        return int(believed) + _OPINION_BYTES * len(self.opinion.posterior.log_probs) + len(self.thumbnail.jpeg)

    def correct(self, correction: AnyCorrection) -> None:
        """Add a correction. It empties what could be redone.

        Raises:
            ConfigError: If the model cannot use it, or there are too many.
            GeometryError: If it is outside the map.
            ConflictError: If it rules out every cell that the photo and the corrections before allow.
        """
        started = time.perf_counter()
        with self._lock:
            done = self.opinion.corrections
            if len(done) >= MAX_CORRECTIONS:
                raise ConfigError("corrections", f"there are {len(done)} already", "Undo some, or draw a larger area.")
            if isinstance(correction, CellCorrection):
                correction = correction.on(self.localizer.grid)
            self.opinion, self._undone = self._form((*done, correction), started, self._weights_with(correction)), ()

    def undo(self) -> None:
        """Take the last correction back.

        Raises:
            ConflictError: If there is none.
        """
        started = time.perf_counter()
        with self._lock:
            done = self.opinion.corrections
            if not done:
                raise ConflictError("undo", "there is no correction to undo", "Add a correction first.")
            self.opinion = self._form(done[:-1], started)
            self._undone = (*self._undone, done[-1])

    def redo(self) -> None:
        """Apply the correction that was undone last again.

        Raises:
            ConflictError: If there is none.
        """
        started = time.perf_counter()
        with self._lock:
            if not self._undone:
                raise ConflictError("redo", "there is no correction to redo", "Undo a correction first.")
            self.opinion = self._form((*self.opinion.corrections, self._undone[-1]), started)
            self._undone = self._undone[:-1]

    def state(self) -> dict[str, Any]:
        """Return the state as plain values; see docs/service-design.md."""
        with self._lock:
            opinion, undone = self.opinion, self._undone
        return {
            "id": self.id, "version": opinion.version,
            "photo": {"name": self.name, "width": self.thumbnail.width, "height": self.thumbnail.height},
            "fix": opinion.fix.to_dict(), "levels": levels_of(opinion.posterior),
            "top": top_places(opinion.posterior, opinion.fix.sequence),
            "corrections": [{**one.to_dict(), "words": one.words()} for one in opinion.corrections],
            "can_undo": bool(opinion.corrections), "can_redo": bool(undone), "link": corrections_link(opinion.corrections)}

    def heat(self, opinion: Opinion, level: int) -> HeatLayer:
        """Return the tiles of a level of an opinion; those of one opinion are kept.

        Raises:
            GeometryError: If the grid has no such level.
        """
        version, layers = self._heat
        if version != opinion.version:
            layers = {}
            self._heat = opinion.version, layers
        if level not in layers:
            layers[level] = HeatLayer(self.localizer.grid, level, opinion.posterior.at_level(level))
        return layers[level]

    def _weights_with(self, correction: AnyCorrection) -> Floats | None:
        """Return the weights of the place with one more correction, after checks of that correction by itself."""
        model, grid, weights = self.localizer.model, self.localizer.grid, self.opinion.weights
        if isinstance(correction, HeadingCorrection):
            if self._plain[1].headings is None:
                raise ConfigError("heading", "this model does not say which way a photo faces, so a heading cannot be used",
                                  "Leave the heading out, or serve a model with a ray matcher, such as the preset best.")
        elif isinstance(correction, CameraCorrection):
            if not model.config.frame.uses_cameras:
                raise ConfigError("fov_deg", "this model squeezes every photo to 2:1, so a field of view changes nothing",
                                  "Leave it out.")
        else:
            said = _weighed(correction, grid)
            if not correction.here and said.weights.max() == -np.inf:
                raise ConflictError("corrections", "it rules out every place of the map", "Draw a smaller area.")
            apply_many(grid, np.zeros((1, len(said.weights))), said)
            return said.weights if weights is None else weights + said.weights
        return weights

    def _form(self, corrections: tuple[AnyCorrection, ...], started: float, weights: Floats | None = None) -> Opinion:
        """Return the opinion after corrections, whose weights are found here if they are not given."""
        grid = self.localizer.grid
        loaded, own = self._seen(next((c.fov_deg for c in corrections[::-1] if isinstance(c, CameraCorrection)), None))
        facing = next((c.prior() for c in corrections[::-1] if isinstance(c, HeadingCorrection)), None)
        if facing is not None:
            loaded = loaded._replace(heading=KnownHeading(facing, str(facing)))
        places = [c for c in corrections if isinstance(c, PlaceCorrection)]
        for place in places if weights is None else ():
            added = _weighed(place, grid).weights
            weights = added if weights is None else weights + added
        believed = self.localizer.posteriors.with_prior(own, [loaded.heading.prior])
        known = () if self.localizer.prior is None else (self.localizer.prior,)
        priors = Both((*known, *(place.prior() for place in places)))
        if weights is not None:
            try:
                believed = believed._replace(log_probs=apply_many(grid, believed.log_probs, _Weighed(priors, weights)))
            except GeometryError as error:
                raise ConflictError("corrections", "together they rule out every place that the photo and the map allow",
                                    "Undo a correction, then say where the photo can be.") from error
        fix = self.localizer.fix_of(self.name, loaded, own, believed, str(priors) or None)
        self._versions += 1
        return Opinion(self._versions, corrections, weights, Posterior(grid, believed.log_probs[0]),
                       replace(fix, seconds=time.perf_counter() - started))

    def _seen(self, fov_deg: float | None) -> tuple[LoadedPhoto, Beliefs]:
        """Return the photo as loaded, and what is believed about it without any prior, with a corrected field of view."""
        if fov_deg is None:
            self._reframed = None
            return self._plain
        if self._reframed is None or self._reframed[0] != fov_deg:
            camera = CameraSource(stated_camera(fov_deg, "corrected"))
            other = self.localizer.asking(search="posterior", prior=self.localizer.prior, cameras=camera)
            loaded, own = _kept(*self._ask(self.thumbnail.jpeg, self.name, other))
            self._reframed = fov_deg, loaded._replace(heading=self._plain[0].heading), own
        return self._reframed[1:]


def _weighed(correction: PlaceCorrection, grid: ZoomGrid) -> _Weighed:
    prior = correction.prior()
    return _Weighed(prior, prior.log_weights(grid))


def _kept(loaded: LoadedPhoto, own: Beliefs) -> tuple[LoadedPhoto, Beliefs]:
    """Return a loaded photo without its pixels."""
    return loaded._replace(pair=torch.empty(0)), own
