"""Options for what is known of a photo's heading before the photo is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from justzoomin.photos.readers import ListedPhoto
    from justzoomin.search import HeadingSource

HeadingOption = Annotated[float | None, typer.Option(
    "--heading", help="Direction that the photos face: degrees clockwise from true north.")]
SigmaOption = Annotated[float | None, typer.Option(
    "--heading-sigma", help="Uncertainty of headings in degrees, where none is stated. Default: 20.")]
FromOption = Annotated[str | None, typer.Option(
    "--heading-from", help="Also use headings from exif (GPSImgDirection) or compass (a column of a list, or Mapillary JSON). "
    "Default: they are not used.")]
DeclinationOption = Annotated[float | None, typer.Option(
    "--declination", help="With --heading-from exif: degrees from true to magnetic north, east positive. Without it, magnetic "
    "headings are not used.")]


def heading_source(heading: float | None, sigma: float | None, kind: str | None, declination: float | None,
                   listed: Mapping[str, ListedPhoto], kinds: tuple[str, ...] = ("exif", "compass"), *,
                   others: bool = False) -> HeadingSource | None:
    """Return what the options and the lists of photos say about headings; None if they say nothing.

    Args:
        heading: Heading of all photos without another one.
        sigma: Spread of headings without one of their own.
        kind: Where else headings come from.
        declination: Degrees from true to magnetic north.
        listed: Photos of lists, by path.
        kinds: Known values of `kind`.
        others: Whether the command may know other headings, which `sigma` is for.

    Raises:
        ConfigError: If an option is wrong or has no effect.
    """
    from justzoomin.errors import ConfigError
    from justzoomin.posterior import DEFAULT_SIGMA_DEG, HeadingPrior
    from justzoomin.search import ExifHeadings, HeadingSource

    if kind is not None and kind not in kinds:
        raise ConfigError(f"--heading-from {kind}", "unknown source of headings", f"Choose one of: {', '.join(kinds)}.")
    if heading is not None and not -180.0 <= heading <= 360.0:
        raise ConfigError(f"--heading {heading:g}", "it is not in -180 .. 360", "Give degrees clockwise from true north.")
    if sigma is not None and not 1.0 <= sigma <= 180.0:
        raise ConfigError(f"--heading-sigma {sigma:g}", "it is not in 1 .. 180", "Give degrees.")
    if declination is not None and kind != "exif":
        raise ConfigError("--declination", "it is for headings from EXIF", "Give --heading-from exif, or leave it out.")
    if declination is not None and not -180.0 <= declination <= 180.0:
        raise ConfigError(f"--declination {declination:g}", "it is not in -180 .. 180", "Give degrees, east positive.")
    width = DEFAULT_SIGMA_DEG if sigma is None else sigma
    stated = {}
    for path, row in listed.items():
        if row.heading_deg is not None:
            stated[path] = HeadingPrior(row.heading_deg, row.sigma_deg or width, origin="listed")
        elif kind == "compass" and row.compass_deg is not None:
            stated[path] = HeadingPrior(row.compass_deg, row.sigma_deg or width, origin="compass")
    if kind == "compass" and not any(row.compass_deg is not None for row in listed.values()):
        raise ConfigError("--heading-from compass", "no photo has a compass value",
                          "Give a list of photos (.csv) with a column compass, or Mapillary JSON.")
    if heading is None and kind is None and not stated:
        if sigma is not None and not others:
            raise ConfigError("--heading-sigma", "there is no heading", "Give --heading or --heading-from, or leave it out.")
        return None
    return HeadingSource(None if heading is None else HeadingPrior(heading, width), stated,
                         ExifHeadings(width, declination_deg=declination) if kind == "exif" else None)
