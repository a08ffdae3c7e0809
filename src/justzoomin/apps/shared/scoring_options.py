"""Options of `jzi score` and `jzi compare`: how stored predictions are scored."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from justzoomin.scoring import Protocol

GalleryOption = Annotated[str, typer.Option(
    "--gallery", help="Cells that answers are chosen from: all, or occupied (cells with photos of the split; this leaks).")]
DistanceOption = Annotated[str, typer.Option(
    "--distance", help="Distance in metres: sphere, or projection (in the plane of the map).")]
MapOption = Annotated[Path | None, typer.Option("--map", help="With --distance projection: map with the projection to use.")]
CrsOption = Annotated[str | None, typer.Option(
    "--crs", help="With --distance projection: name of the projection, such as epsg:26918.")]
RadiiOption = Annotated[str | None, typer.Option(
    "--radii", help="Radii X of R@Xm in metres, such as 10,20,40. Default: 40,50,100.")]
AreasOption = Annotated[str | None, typer.Option(
    "--areas", help="Areas in m2 for recall against area. Default: 100,400,1600 and so on, and the area of the whole gallery.")]
DecideOption = Annotated[str | None, typer.Option(
    "--decide", help="Answers to score: stored, or chosen again from the listed cells by within:METRES, distance or top. "
                     "Default: stored; top with --gallery occupied.")]
IntervalsOption = Annotated[str, typer.Option(
    "--intervals", help="Draw single photos (photo) or whole drives (drive) for intervals; auto: drives if they are known.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of the bootstrap.")]


def protocol(gallery: str, distance: str, map_root: Path | None, crs: str | None, radii: str | None, areas: str | None,
             decide: str | None, intervals: str, seed: int) -> Protocol:
    """Return the protocol that the options ask for.

    Raises:
        ConfigError: If a choice is unknown or a number is wrong.
        LayoutError: If the map cannot be opened.
    """
    from justzoomin.errors import ConfigError
    from justzoomin.scoring import DEFAULT_RADII_M, Protocol, check_decision

    for option, value, choices in (("--gallery", gallery, ("all", "occupied")),
                                   ("--distance", distance, ("sphere", "projection")),
                                   ("--intervals", intervals, ("auto", "photo", "drive"))):
        if value not in choices:
            raise ConfigError(f"{option} {value}", "unknown choice", f"Choose one of: {', '.join(choices)}.")
    if map_root is not None:
        from justzoomin.maps import Map

        crs = crs or Map.open(map_root).layout.crs
    if decide is not None:
        check_decision(decide)
    return Protocol("occupied" if gallery == "occupied" else "all", "projection" if distance == "projection" else "sphere", crs,
                    decide, _numbers(radii, "--radii") or DEFAULT_RADII_M, _numbers(areas, "--areas"),
                    "photo" if intervals == "photo" else "drive" if intervals == "drive" else "auto", seed)


def _numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """Return numbers above 0, separated by commas, in ascending order without repeats; None if the option is not given.

    Raises:
        ConfigError: If it is not such a list.
    """
    from justzoomin.errors import ConfigError

    if text is None:
        return None
    try:
        values = {float(part) for part in text.split(",")}
    except ValueError:
        values = set()
    if not values or not all(0 < value < math.inf for value in values):
        raise ConfigError(f"{option} {text[:80]}", "it is not a list of numbers above 0", "Write for example 10,20,40.")
    return tuple(sorted(values))
