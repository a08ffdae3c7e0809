"""Options that `jzi score` and `jzi compare` share: how stored predictions are scored."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

if TYPE_CHECKING:
    from justzoomin.scoring import Protocol

GalleryOption = Annotated[str, typer.Option(
    "--gallery", help="Cells that answers are chosen from: all, or those occupied by photos of the evaluated split (leaks).")]
DistanceOption = Annotated[str, typer.Option("--distance", help="sphere, or projection: metres in the plane of the map.")]
MapOption = Annotated[Path | None, typer.Option("--map", help="With --distance projection: the map that says the projection.")]
CrsOption = Annotated[str | None, typer.Option("--crs", help="With --distance projection: its name, such as epsg:26918.")]
RadiiOption = Annotated[str | None, typer.Option("--radii", help="Radii X of R@Xm in metres: 10,20,40. Default: 40,50,100.")]
AreasOption = Annotated[str | None, typer.Option("--areas", help="Areas of recall against area in m2. Default: 100,400,1600 "
                                                                "and so on, and the region's.")]
DecideOption = Annotated[str | None, typer.Option(
    "--decide", help="Answers: stored, or made anew from the listed cells: top. Default: stored; top for --gallery occupied.")]
IntervalsOption = Annotated[str, typer.Option(
    "--intervals", help="Draw photos singly (photo) or whole drives (drive); auto: drives where they are known.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of the bootstrap.")]


def protocol(gallery: str, distance: str, map_root: Path | None, crs: str | None, radii: str | None, areas: str | None,
             decide: str | None, intervals: str, seed: int) -> Protocol:
    """The protocol that the options ask for.

    Raises:
        ConfigError: If a word is none of the choices, or a number is none.
        LayoutError: If the map cannot be opened.
    """
    from justzoomin.errors import ConfigError
    from justzoomin.scoring import DEFAULT_RADII_M, Protocol, parse_decision

    fields = Protocol.__annotations__
    for option, field, value in (("--gallery", "gallery", gallery), ("--distance", "distance", distance),
                                 ("--intervals", "intervals", intervals)):
        choices = get_args(_literal(Protocol, field))
        if value not in choices:
            raise ConfigError(f"{option} {value}", "there is no such choice", f"Choose one of: {', '.join(choices)}.")
    assert fields
    if map_root is not None:
        from justzoomin.maps import Map

        crs = crs or Map.open(map_root).layout.crs
    return Protocol(gallery, distance, crs, None if decide is None else parse_decision(decide),  # type: ignore[arg-type]
                    numbers(radii, "--radii") or DEFAULT_RADII_M, numbers(areas, "--areas"), intervals, seed)  # type: ignore[arg-type]
