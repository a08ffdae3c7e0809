"""Settings of building a map."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Count = Annotated[int, Field(ge=1)]


def default_workers() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class TileOptions(BaseModel):
    """How tile servers and tile packages are read, if they are among the sources."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: str | None = Field(None, description="Layer to read from a WMTSCapabilities.xml that has several.")
    matrix_set: str | None = Field(None, description="Tile matrix set of that layer. Default: web mercator, else the first "
                                                     "that can be used.")
    min_zoom: int | None = Field(None, description="Coarsest level of a tile server.")
    max_zoom: int | None = Field(None, description="Finest level to use of a tile server or tile package.")
    max_tiles: Count = Field(50_000, description="Largest number of tiles to fetch from a tile server.")
    requests_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="Largest number of requests per second to one host.")
    tile_seconds: float = Field(60.0, gt=0, le=86_400, allow_inf_nan=False, description="Seconds to spend on one tile of a "
                                                                                        "server, with all retries.")
    max_hours: float = Field(24.0, gt=0, le=10_000, allow_inf_nan=False, description="Hours that one run may fetch tiles.")
    scheme: Literal["xyz", "tms"] = Field("xyz", description="How a tile server counts rows: from the north (xyz) or, with "
                                                             "--tms, from the south.")
    source_tile_px: Count = Field(256, description="Side of a server's tiles in pixels.")


class MapBuildConfig(BaseModel):
    """How a map is built from imagery.

    The default projection is that of the sources if all share one that measures true metres there, otherwise the UTM zone.
    "There" is the middle of the area, of the region or of the sources. If an area crosses 180 degrees, its west is greater than
    its east.
    A pixel has no data if all three colours have the value `nodata`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    crs: str | None = Field(None, description="Projection of the map, such as EPSG:32633. Default: that of the sources if it "
                                              "measures true metres, otherwise UTM.")
    gsd_m: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] | None = Field(
        None, description="Metres on the ground per pixel of level 0, the finest. Default: that of the finest source.")
    format: Literal["folder", "tar"] = Field("folder", description="Store tiles as files (folder) or in TAR shards (tar).")
    stretch: bool = Field(False, description="Stretch colours to 8 bits: the 2nd to 98th percentile of each band over all "
                                             "sources.")
    bands: tuple[Count, Count, Count] | None = Field(None, description="Numbers of the red, green and blue bands, counted from "
                                                     "1: 1,2,3. Default: what the file says, otherwise the first three.")
    nodata: float | None = Field(None, description="Pixel value that means no data, in addition to what the files state.")
    area: tuple[float, float, float, float] | None = Field(None, description="Build only tiles that touch this rectangle in "
                                                           "degrees: south,west,north,east.")
    tile_px: int = Field(256, ge=32, le=1024, multiple_of=2, description="Side of a tile in pixels.")
    quality: int = Field(90, ge=1, le=100, description="JPEG quality of the tiles (1 to 100).")
    shard_bytes: int = Field(1 << 30, ge=1, description="Start a new TAR shard after this many bytes of content.")
    max_gigapixels: float = Field(25.0, gt=0, description="Refuse to build a map with more than this many gigapixels "
                                                          "(10^9 pixels) at level 0.")
    attribution: str = Field("", description="Name to credit, in addition to what the sources state.")
    region: str | None = Field(None, description="Zoom grid to store with the map: a region.yaml or the name of a preset (dc). "
                                                 "Default: one that fits is proposed.")
    workers: Annotated[int, Field(ge=1, le=1024)] = Field(default_factory=default_workers, description="Number of threads that "
                                                          "build. Default: one per core.")
    tiles: TileOptions = TileOptions()

    @field_validator("area")
    @classmethod
    def _area_is_possible(cls, area: tuple[float, float, float, float] | None) -> tuple[float, float, float, float] | None:
        if area is not None:
            south, west, north, east = area
            if not (-90 <= south < north <= 90 and -180 <= west <= 180 and -180 <= east <= 180 and west != east):
                raise ValueError("area must be south, west, north, east in degrees, south below north")
        return area

    def identity(self) -> dict[str, object]:
        """Return the settings that decide pixels and files: an interrupted build can only continue with the same ones."""
        aside: Any = {"attribution": True, "region": True, "workers": True, "max_gigapixels": True,
                      "tiles": {"max_tiles", "requests_per_second", "tile_seconds", "max_hours"}}
        values = self.model_dump(mode="json", exclude=aside)
        if self.tiles.matrix_set is None:  # records of earlier versions do not have it
            del values["tiles"]["matrix_set"]
        return values if self.nodata is None else {**values, "nodata": str(self.nodata)}  # NaN is a value too
