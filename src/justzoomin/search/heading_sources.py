"""What is known of photos' headings before they are searched for: given by hand, listed, or in their EXIF."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from justzoomin.posterior import DEFAULT_SIGMA_DEG, FLOOR, HeadingPrior


class KnownHeading(NamedTuple):
    """What is known of one photo's heading.

    Attributes:
        prior: The prior; None if nothing is known.
        words: The prior in words, or why nothing is known; None if nothing was asked for.
    """

    prior: HeadingPrior | None = None
    words: str | None = None


@dataclass(frozen=True)
class ExifHeadings:
    """Headings from the EXIF of photos. A magnetic one is used only if the declination is known.

    Args:
        sigma_deg: Spread of the compass.
        floor: Even share of the prior; see `HeadingPrior`.
        declination_deg: Degrees from true to magnetic north at the place, positive to the east; None if unknown.
    """

    sigma_deg: float = DEFAULT_SIGMA_DEG
    floor: float = FLOOR
    declination_deg: float | None = None

    def of(self, photo: str | Path | bytes) -> KnownHeading:
        """Return what a photo's EXIF says of its heading."""
        from justzoomin.photos.readers import exif_heading

        found = exif_heading(photo if isinstance(photo, bytes) else Path(photo))
        if isinstance(found, str):
            return KnownHeading(None, f"not used: {found}")
        heading, words = found.deg, "EXIF GPSImgDirection"
        if not found.north:
            return KnownHeading(None, f"not used: {words} does not say which north it refers to")
        if found.north == "M":
            if self.declination_deg is None:
                return KnownHeading(None, f"not used: {words} refers to magnetic north; give --declination")
            heading, words = heading + self.declination_deg, f"{words}, declination {self.declination_deg:g}"
        prior = HeadingPrior(heading % 360.0, self.sigma_deg, self.floor, words)
        return KnownHeading(prior, str(prior))


@dataclass(frozen=True)
class HeadingSource:
    """Headings of photos: the one stated for a photo's path, else that of its EXIF if asked for, else one for all.

    Args:
        every: Prior of photos without another one.
        stated: Priors by path.
        exif: How EXIF is read; None to leave it unread.
    """

    every: HeadingPrior | None = None
    stated: Mapping[str, HeadingPrior] = field(default_factory=dict)
    exif: ExifHeadings | None = None

    def of(self, photo: str | Path | bytes) -> KnownHeading:
        """Return what is known of a photo's heading."""
        prior = None if isinstance(photo, bytes) else self.stated.get(str(Path(photo)))
        if prior is None and self.exif is not None:
            found = self.exif.of(photo)
            if found.prior is not None or self.every is None:
                return found
        prior = prior or self.every
        return KnownHeading(prior, None if prior is None else str(prior))

    def renamed(self, name: Callable[[str], str]) -> HeadingSource:
        """Return the same headings for photos that have other paths, such as those on another machine."""
        return replace(self, stated={name(path): prior for path, prior in self.stated.items()})

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digits that change with any of its values."""
        values = repr((self.every, sorted(self.stated.items()), self.exif))
        return hashlib.sha256(values.encode("utf-8", "surrogateescape")).hexdigest()
