"""From the times, ways, turns and headings of a drive, and what is believed about its photos alone, to its track."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from justzoomin.errors import ConfigError, JustZoomInError
from justzoomin.photos.readers import PhotoTime
from justzoomin.posterior import (
    DEFAULT_SIGMA_DEG,
    TEMPERING,
    HeadingPrior,
    Lattice,
    Motion,
    PoseMotion,
    Turn,
    lattice,
    turned,
)
from justzoomin.search.drive_headings import heading_along
from justzoomin.search.localizer import Localizer
from justzoomin.search.tracking import Alone, TrackPoint, track_points
from justzoomin.search.travel import Travel, motion_after


@dataclass(frozen=True)
class DriveOptions:
    """How a drive is tracked.

    Attributes:
        speed: Highest speed in metres per second.
        drift: Error of stated displacements, as a share of the distance.
        turn_sigma: Error of stated turns in degrees.
        heading_sigma: Spread of headings that state none, in degrees; None for the default.
        along: Whether the camera looks along the way of stated displacements.
        smooth: Whether later photos count too.
        tempering: Exponent of the likelihoods; None for the default.

    Raises:
        ConfigError: If a number is out of range; it names the option of `jzi track`.
    """

    speed: float = 15.0
    drift: float = 0.05
    turn_sigma: float = 10.0
    heading_sigma: float | None = None
    along: bool = False
    smooth: bool = True
    tempering: float | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        for value, option in ((self.speed, "--speed"), (self.drift, "--drift"), (self.turn_sigma, "--turn-sigma"),
                              (1.0 if self.tempering is None else self.tempering, "--tempering")):
            if not 0 <= value < math.inf or (option in {"--speed", "--tempering"} and value == 0):
                raise ConfigError(f"{option} {value:g}", "it is out of range", "Give a positive number.")

    def check(self, drive: Sequence[PhotoTime]) -> None:
        """Check that a drive has what the options need.

        Raises:
            ConfigError: If the camera is to look along the way, and no way is known.
        """
        if self.along and not any(photo.displacement_m is not None and photo.aligned for photo in drive):
            raise ConfigError("--heading-from track", "no way is known", "Give --times with east_m and north_m.")


class DriveTrack(NamedTuple):
    """The track of a drive.

    Attributes:
        points: A point for each photo that could be used, in order.
        remarks: What was not used, in words.
    """

    points: list[TrackPoint]
    remarks: list[str]


def track_drive(localizer: Localizer, drive: Sequence[PhotoTime], alone: Sequence[Alone | JustZoomInError],
                options: DriveOptions) -> DriveTrack:
    """Return the track of a drive: the filter over its photos, with the ways, turns and headings that are known.

    Args:
        localizer: Model and map.
        drive: The photos with their times, earliest first.
        alone: What is believed about each of them, from `photo_posteriors`.
        options: How it is tracked.

    Raises:
        PhotoError: If no photo can be used.
        ConfigError: If the drive has too many photos for its bearings.
        GeometryError: If times and speed, or odometry, exclude every place.
    """
    turn = _turn(drive, options.turn_sigma) if any(p.turn_deg is not None for p in drive) else None
    facing, remarks = _headings(drive, alone, options), []
    if localizer.model.matcher is None and (turn is not None or any(facing)):
        remarks.append("this model does not say which way a photo faces, so its turns and headings are not used")
        turn, facing = None, [None] * len(drive)
    bearings = next((one.headings.shape[1] for one in alone
                     if not isinstance(one, JustZoomInError) and one.headings is not None), 0)
    motion = _motion(lattice(localizer.grid), drive, options.speed, options.drift, bearings)
    points = track_points(localizer, [(p.path, p.time) for p in drive], alone, motion, smooth=options.smooth,
                          tempering=TEMPERING if options.tempering is None else options.tempering, turn=turn, headings=facing)
    return DriveTrack(points, remarks)


def _motion(cells: Lattice, drive: Sequence[PhotoTime], speed: float, drift: float,
            bearings: int) -> Callable[[int, int], Motion | PoseMotion]:
    """Return the motion between two photos: odometry if all photos between them have it, otherwise the highest speed."""
    def between(first: int, second: int) -> Motion | PoseMotion:
        way = Travel.before(drive[first + 1])
        for photo in drive[first + 2:second + 1]:
            way = None if way is None else way.then(Travel.before(photo))
        return motion_after(cells, (drive[second].time - drive[first].time).total_seconds(), way, speed, drift,
                            bearings)

    return between


def _turn(drive: Sequence[PhotoTime], sigma_deg: float) -> Callable[[int, int, int], Turn | None]:
    """Return the turn between two photos: the sum of those between them, if all are known."""
    def between(first: int, second: int, bearings: int) -> Turn | None:
        steps = [p.turn_deg for p in drive[first + 1:second + 1]]
        known = [step for step in steps if step is not None]
        return turned(bearings, sum(known), sigma_deg * math.sqrt(len(known))) if len(known) == len(steps) else None

    return between


def stated_heading(photo: PhotoTime, width: float) -> HeadingPrior | None:
    """Return the heading that a photo's row or recording states; None if it states none.

    Args:
        photo: The photo.
        width: Spread in degrees of headings that state none.
    """
    if photo.heading_deg is None:
        return None
    return HeadingPrior(photo.heading_deg, photo.heading_sigma_deg or width, origin="stated")


def _headings(drive: Sequence[PhotoTime], alone: Sequence[Alone | JustZoomInError],
              options: DriveOptions) -> list[HeadingPrior | None]:
    """Return what is known of each photo's heading: its row in the table, else its list or EXIF, else the way if it counts."""
    width = DEFAULT_SIGMA_DEG if options.heading_sigma is None else options.heading_sigma
    ways = [p.displacement_m if p.aligned else None for p in drive]
    found: list[HeadingPrior | None] = []
    for k, (photo, one) in enumerate(zip(drive, alone, strict=True)):
        prior = None if isinstance(one, JustZoomInError) else one.heading
        if photo.heading_deg is not None:
            prior = stated_heading(photo, width)
        if prior is None and options.along:
            prior = heading_along(ways[k], ways[k + 1] if options.smooth and k + 1 < len(ways) else None, width, options.drift)
        found.append(prior)
    return found
