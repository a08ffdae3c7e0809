"""Following a drive photo by photo, as a robot does."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from justzoomin.data import PhotoCamera
from justzoomin.errors import ConfigError, JustZoomInError
from justzoomin.photos.readers import PhotoTime
from justzoomin.posterior import (
    DEFAULT_SIGMA_DEG,
    TEMPERING,
    ForwardFilter,
    HeadingPrior,
    PhotoEvidence,
    Prior,
    Step,
    Turn,
    lattice,
    turned,
)
from justzoomin.search import (
    Alone,
    DriveOptions,
    Localizer,
    TrackPoint,
    Travel,
    heading_along,
    loaded_posteriors,
    motion_after,
    point_of,
    stated_heading,
)


class Odometry(NamedTuple):
    """What an odometer says about the way since the previous photo.

    Attributes:
        east_m: Metres to the east; to the right of the camera's direction at the previous photo if it is not aligned.
        north_m: Metres to the north; along that direction.
        sigma_m: Standard deviation of each in metres; None for the drift of the options.
        turn_deg: Degrees that the camera turned clockwise; None if unknown.
        aligned: Whether the axes are east and north. If not, a model that says nothing about headings uses only the length.
    """

    east_m: float
    north_m: float
    sigma_m: float | None = None
    turn_deg: float | None = None
    aligned: bool = True


class Tracker:
    """A drive that is followed photo by photo: the forward filter of `jzi track --forward`, with memory that does not grow.

    Example:
        >>> tracker = Tracker(Localizer.load("model", "town", search="posterior"))       # doctest: +SKIP
        >>> point = tracker.push("photo.jpg", time, Odometry(7.9, -0.4))                 # doctest: +SKIP
        >>> point.position, point.radius_90_m, point.covariance_m2                       # doctest: +SKIP

    Args:
        localizer: Model and map.
        options: Speed limit, errors of odometry and turns, tempering; `smooth` is not used.
        start: What is known of the place of the first photo; None for the localizer's own prior.

    Raises:
        ConfigError: If the camera is to look along the way, but the model says nothing about headings.
        GeometryError: If the prior excludes every cell.
    """

    def __init__(self, localizer: Localizer, options: DriveOptions | None = None, start: Prior | None = None) -> None:
        self.localizer, self.options = localizer, options or DriveOptions(smooth=False)
        self._cells = lattice(localizer.grid)
        self._faces = localizer.model.matcher is not None
        if self.options.along and not self._faces:
            raise ConfigError("heading", "this model does not say which way a photo faces, so a heading cannot be used",
                              "Leave it out, or use a model with a ray matcher.")
        self._start = start or localizer.prior
        self.reset()

    def reset(self, start: Prior | None = None) -> None:
        """Forget the drive, as after the robot was carried to another place.

        Args:
            start: What is known of the place of the next photo; None for what the tracker began with.
        """
        prior = start or self._start
        tempering = TEMPERING if self.options.tempering is None else self.options.tempering
        self._filter = ForwardFilter(self.localizer.grid, tempering=tempering,
                                     prior=None if prior is None else prior.log_weights(self.localizer.grid))
        self._last: datetime | None = None
        self._way: Travel | None = Travel()
        self._turned, self._turns = 0.0, 0
        self._turn_known = True

    def push(self, photo: str | Path | bytes, time: datetime, odometry: Odometry | None = None, *,
             heading: HeadingPrior | None = None, camera: PhotoCamera | None = None, name: str = "photo") -> TrackPoint:
        """Take the next photo; return its place, given the photos up to it.

        If an error is raised, the drive continues without the photo, and its way counts for the next one.

        Args:
            photo: Path of the photo, or the bytes of its file.
            time: When it was taken, not before the previous photo.
            odometry: The way since the previous call of `push` or `take`; None if unknown.
            heading: What is known of its heading.
            camera: What is known of its camera.
            name: Its name, if `photo` is bytes.

        Raises:
            PhotoError: If the photo cannot be used.
            ConfigError: If its time is before that of the previous photo, or a number of the odometry is not finite.
            GeometryError: If no place fits this photo and those before it; after that, `reset` starts again.
        """
        when = PhotoTime(Path(name) if isinstance(photo, bytes) else Path(photo), time, known_zone=True)
        if odometry is not None:
            when = replace(when, displacement_m=(odometry.east_m, odometry.north_m), turn_deg=odometry.turn_deg,
                           displacement_sigma_m=odometry.sigma_m, aligned=odometry.aligned)
        loaded = self.localizer.load_photo(photo, camera)
        if isinstance(loaded, JustZoomInError):
            self.skip(when)
            raise loaded
        (alone,) = loaded_posteriors(self.localizer, [loaded], 1)
        return self.take(when, alone if heading is None else alone._replace(heading=heading))

    def take(self, when: PhotoTime, alone: Alone) -> TrackPoint:
        """Take the next photo, of which it is known what it says alone; see `push`.

        Args:
            when: Its name, time, way, turn and heading.
            alone: What is believed about it alone, from `loaded_posteriors`.

        Raises:
            ConfigError: As `push`.
            GeometryError: As `push`.
        """
        own = None if when.displacement_m is None or not when.aligned else when.displacement_m
        self.skip(when)
        log_probs = alone.log_probs.astype(np.float64)
        evidence = PhotoEvidence(log_probs, alone.headings, self._heading(when, alone, own) if self._faces else None)
        step = None
        if self._last is not None:
            motion = motion_after(self._cells, (when.time - self._last).total_seconds(), self._way, self.options.speed,
                                  self.options.drift, 0 if alone.headings is None else alone.headings.shape[1])
            step = Step(motion, self._turn(alone))
        place = self._filter.push(evidence, step)
        self._last, self._way = when.time, Travel()
        self._turned, self._turns, self._turn_known = 0.0, 0, True
        on_map = self.localizer.posteriors.on_map(log_probs[None])[0]
        return point_of(str(when.path), when.time, place, on_map)

    def skip(self, when: PhotoTime) -> None:
        """Count the way and the turn of a photo that cannot be used for the photo after it.

        Args:
            when: The photo's time, way and turn.
        """
        if self._last is None:
            return
        way = Travel.before(when)
        if self._way is not None:
            self._way = way if self._way == Travel() else self._way.then(way)
        if when.turn_deg is None:
            self._turn_known = False
        else:
            self._turned, self._turns = self._turned + when.turn_deg, self._turns + 1

    def _turn(self, alone: Alone) -> Turn | None:
        if alone.headings is None or not self._turn_known or not self._turns:
            return None
        return turned(alone.headings.shape[1], self._turned, self.options.turn_sigma * self._turns**0.5)

    def _heading(self, when: PhotoTime, alone: Alone, way: tuple[float, float] | None) -> HeadingPrior | None:
        width = DEFAULT_SIGMA_DEG if self.options.heading_sigma is None else self.options.heading_sigma
        prior = stated_heading(when, width) or alone.heading
        if prior is None and self.options.along:
            prior = heading_along(way, None, width, self.options.drift)
        return prior
