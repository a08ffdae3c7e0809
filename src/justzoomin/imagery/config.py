"""Settings of building a map."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(ge=1)]


def default_workers() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class TileOptions(BaseModel):
    """How tile servers and packages are read, where they are among the sources.

    Args:
        layer: Layer of a WMTSCapabilities.xml, where it has several.
        matrix_set: Tile matrix set of the layer; without it web mercator, else the first that can be used.
        min_zoom: Coarsest level of a server.
        max_zoom: Finest level of a server, or to use of a package.
        max_tiles: Most tiles to fetch from a server.
        requests_per_second: Requests a second and host.
        tile_seconds: Seconds for one tile of a server, all tries together.
        max_hours: Hours in which one run may fetch from a server.
        scheme: Whether a server counts y from the north (`xyz`) or from the south (`tms`).
        source_tile_px: Edge of a server's tiles.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: str | None = None
    matrix_set: str | None = None
    min_zoom: int | None = None
    max_zoom: int | None = None
    max_tiles: Count = 50_000
    requests_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    tile_seconds: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = 60.0
    max_hours: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] = 24.0
    scheme: Literal["xyz", "tms"] = "xyz"
    source_tile_px: Count = 256


class MapBuildConfig(BaseModel):
    """How a map is built from imagery.

    Args:
        crs: Projection of the map; without it the sources' own where all share one that measures true metres on the
            ground there, else the UTM zone; "there" is the middle of the area, of the region or of the sources.
        gsd_m: Metres on the ground per pixel of the finest level; without it the finest source's own.
        format: Tiles as files (`folder`) or in the card's TAR shards (`tar`).
        stretch: Whether colours are stretched to 8 bits: the 2nd to 98th percentile of each band over all sources.
        bands: The bands that are red, green and blue, from 1; without it what the file says, else the first three.
        nodata: A value that means no data where all three colours have it, besides what the files state.
        area: South, west, north, east in degrees: only tiles that touch it are built. West is above east across 180 degrees.
        tile_px: Edge of a tile.
        quality: JPEG quality of the tiles.
        shard_bytes: Bytes of content after which a TAR shard ends.
        max_gigapixels: Refuse a larger map (10^9 pixels of the finest level).
        attribution: Whom to name; joined with what the sources state.
        region: A preset's name or a `region.yaml`, to be put beside the map.
        workers: Threads that build.
        tiles: How tile servers and packages are read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    crs: str | None = None
    gsd_m: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] | None = None
    format: Literal["folder", "tar"] = "folder"
    stretch: bool = False
    bands: tuple[Count, Count, Count] | None = None
    nodata: float | None = None
    area: tuple[float, float, float, float] | None = None
    tile_px: Annotated[int, Field(ge=32, le=1024, multiple_of=2)] = 256
    quality: Annotated[int, Field(ge=1, le=100)] = 90
    shard_bytes: Annotated[int, Field(ge=1)] = 1 << 30
    max_gigapixels: Annotated[float, Field(gt=0)] = 25.0
    attribution: str = ""
    region: str | None = None
    workers: Annotated[int, Field(ge=1, le=1024)] = Field(default_factory=default_workers)
    tiles: TileOptions = TileOptions()

    @model_validator(mode="after")
    def _area_is_one(self) -> MapBuildConfig:
        if self.area is not None:
            south, west, north, east = self.area
            if not (-90 <= south < north <= 90 and -180 <= west <= 180 and -180 <= east <= 180 and west != east):
                raise ValueError("area must be south, west, north, east in degrees, south below north")
        return self

    def identity(self) -> dict[str, object]:
        """The settings that decide the pixels and files: a build can only go on with the same."""
        aside: Any = {"attribution": True, "region": True, "workers": True, "max_gigapixels": True,
                      "tiles": {"max_tiles", "requests_per_second", "tile_seconds", "max_hours"}}
        values = self.model_dump(mode="json", exclude=aside)
        if self.tiles.matrix_set is None:  # records from before there was a choice do not have it
            del values["tiles"]["matrix_set"]
        return values if self.nodata is None else {**values, "nodata": str(self.nodata)}  # not a number is a value too
