"""From a source of timed photos to a track."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from justzoomin.drives.sources import DriveSource, TimedPhoto
from justzoomin.drives.tracker import Tracker
from justzoomin.errors import JustZoomInError, PhotoError
from justzoomin.photos.readers import PhotoTime
from justzoomin.search import Alone, DriveOptions, Localizer, TrackPoint, loaded_posteriors, track_drive


class Located(NamedTuple):
    """A photo of a drive that was located.

    Attributes:
        photo: The photo; its pixels are gone.
        point: Its place.
    """

    photo: TimedPhoto
    point: TrackPoint


class SourceTrack(NamedTuple):
    """The track of a source.

    Attributes:
        located: The photos that could be used, in order, with their places.
        errors: What is wrong with the others.
        remarks: What was not used, in words.
    """

    located: list[Located]
    errors: list[JustZoomInError]
    remarks: list[str]

    @property
    def points(self) -> list[TrackPoint]:
        """The places."""
        return [one.point for one in self.located]


def track_source(localizer: Localizer, source: DriveSource, options: DriveOptions, batch_size: int = 16,
                 progress: Callable[[int, int], None] | None = None) -> SourceTrack:
    """Return the track of the photos of a source, whichever kind it is.

    Without smoothing the photos go through a `Tracker`, and nothing but their places is kept.

    Args:
        localizer: Model and map.
        source: The source.
        options: How the drive is tracked.
        batch_size: Photos encoded at once.
        progress: Called with the number of photos done and of all photos.

    Raises:
        PhotoError: If no photo can be used.
        DataError: If the source is broken.
        ConfigError: As `track_drive`.
        GeometryError: If times and speed, or odometry, exclude every place.
    """
    tracker = None if options.smooth else Tracker(localizer, options)
    photos: list[TimedPhoto] = []
    known: list[Alone | JustZoomInError] = []
    points: list[TrackPoint | None] = []
    errors: list[JustZoomInError] = []
    for photo, alone in _believed(localizer, source, batch_size, 1 if tracker else source.most, progress):
        if isinstance(photo, JustZoomInError):
            errors.append(photo)
            continue
        if isinstance(alone, JustZoomInError):
            errors.append(alone)
        photos.append(TimedPhoto(photo.when, b"", photo.camera, photo.frame, photo.stamp_ns, photo.recorded_ns))
        if tracker is None:
            known.append(alone)
        elif isinstance(alone, JustZoomInError):
            tracker.skip(photo.when)
            points.append(None)
        else:
            points.append(tracker.take(photo.when, alone))
    if tracker is None and photos:
        options.check([photo.when for photo in photos])
        found, remarks = track_drive(localizer, [photo.when for photo in photos], known, options)
        rest = iter(found)
        points = [None if isinstance(alone, JustZoomInError) else next(rest) for alone in known]
    else:
        remarks = []
    located = [Located(photo, point) for photo, point in zip(photos, points, strict=True) if point is not None]
    if not located:
        raise errors[0] if len(errors) == 1 else PhotoError(
            "drive", "none of its photos can be used" + (f" (the first: {errors[0]})" if errors else ""),
            "Give at least one photo that can be read.")
    return SourceTrack(located, errors, [*source.remarks, *remarks])


def _believed(localizer: Localizer, source: DriveSource, batch_size: int, total: int,
              progress: Callable[[int, int], None] | None
              ) -> Iterator[tuple[TimedPhoto | JustZoomInError, Alone | JustZoomInError]]:
    """Yield the photos of a source with what is believed about each alone, a batch at a time."""
    rest, done = iter(source.photos()), 0
    while batch := list(islice(rest, batch_size)):
        loaded = [one if isinstance(one, JustZoomInError) else localizer.load_photo(one.photo, one.camera) for one in batch]
        usable = [one for one in loaded if not isinstance(one, JustZoomInError)]
        same = len({one.pair.shape for one in usable}) <= 1  # a panorama has several views
        rows = iter(loaded_posteriors(localizer, usable, total) if same else
                    [loaded_posteriors(localizer, [one], total)[0] for one in usable])
        for photo, one in zip(batch, loaded, strict=True):
            yield photo, _named(photo, one) if isinstance(one, JustZoomInError) else next(rows)
        done += len(batch)
        if progress:
            progress(done, max(done, source.most))


def _named(photo: TimedPhoto | JustZoomInError, error: JustZoomInError) -> JustZoomInError:
    """Return the error of a photo with its name, which its bytes do not have."""
    if isinstance(photo, JustZoomInError) or not isinstance(photo.photo, bytes):
        return error
    return PhotoError(photo.when.path, error.what, error.remedy)


def zoned(photos: list[PhotoTime]) -> bool:
    """Return whether the times of all photos are known in UTC."""
    return all(photo.known_zone for photo in photos)
