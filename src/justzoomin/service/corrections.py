"""What a person says about a photo: a value for each kind of correction, from JSON and as prior knowledge.

A correction is hard: "not here" leaves no mass there. Its positions are kept to 1e-7 degrees, which is one centimetre.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from justzoomin.data import PANORAMA_DEG
from justzoomin.errors import ConfigError, GeometryError
from justzoomin.geometry import ZoomGrid, format_sequence
from justzoomin.posterior import DEFAULT_SIGMA_DEG, Circle, HeadingPrior, InCell, Not, Polygons, Prior, polygons_from_geojson

MAX_CORNERS = 5_000
"""Most corners of a drawing."""
MAX_CORRECTIONS = 100
"""Most corrections of one photo."""
MAX_RINGS = 20
"""Most outlines and holes of a drawing: each takes as long as the whole map has cells."""
_DIGITS = 7
_REMEDY = "Give corrections as the service lists them, such as {\"kind\": \"circle\", \"lat\": 54.5, \"lon\": 3.0, " \
          "\"radius_m\": 50, \"here\": false}."


def _rounded(value: float) -> float:
    return round(value, _DIGITS)


Lat = Annotated[float, Field(ge=-90, le=90, description="Latitude in degrees."), AfterValidator(_rounded)]
Lon = Annotated[float, Field(ge=-360, le=360, description="Longitude in degrees."), AfterValidator(_rounded)]
Here = Annotated[bool, Field(description="True: the photo was taken here. False: it was not.")]


class _Correction(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_words(cls, values: Any) -> Any:
        """Accept a correction as a session lists it, with its words."""
        return {key: value for key, value in values.items() if key != "words"} if isinstance(values, dict) else values

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, from which the same correction can be made."""
        return self.model_dump(mode="json", exclude_none=True)


class CellCorrection(_Correction):
    """The photo was taken in a cell, or not: the cell of a sequence, or the one of a level that holds a position."""

    kind: Literal["cell"] = "cell"
    sequence: Annotated[tuple[int, ...], Field(min_length=1, max_length=31)] | None = None
    lat: Lat | None = None
    lon: Lon | None = None
    level: int | None = Field(None, ge=1, le=31)
    here: Here

    @model_validator(mode="after")
    def _one_cell(self) -> Self:
        place = (self.lat, self.lon, self.level)
        if (None in place) == (self.sequence is None) or (self.sequence is not None and place != (None, None, None)):
            raise ValueError("give either sequence, or lat, lon and level")
        return self

    def on(self, grid: ZoomGrid) -> CellCorrection:
        """Return the correction of the same cell by its sequence.

        Raises:
            GeometryError: If the grid has no such cell.
        """
        sequence = self.sequence
        if sequence is None:
            assert self.lat is not None and self.lon is not None and self.level is not None
            if self.level > grid.depth:
                raise GeometryError("level", f"the grid has no level {self.level}", f"Give a level from 1 to {grid.depth}.")
            sequence = tuple(grid.encode(self.lat, self.lon)[0, :self.level].tolist())
        return CellCorrection(sequence=grid.cell(sequence).sequence, here=self.here)

    def prior(self) -> Prior:
        """Return what it says about the place; `on` comes first."""
        assert self.sequence is not None
        return _said(InCell(self.sequence), self.here)

    def words(self) -> str:
        """Return it in words."""
        return f"{_where(self.here)} cell {format_sequence(self.sequence or ())}"


class CircleCorrection(_Correction):
    """The photo was taken within a distance of a position, or not."""

    kind: Literal["circle"] = "circle"
    lat: Lat
    lon: Lon
    radius_m: Annotated[float, Field(gt=0, le=1e7)]
    here: Here

    def prior(self) -> Prior:
        """Return what it says about the place."""
        return _said(Circle(self.lat, self.lon, self.radius_m), self.here)

    def words(self) -> str:
        """Return it in words."""
        return f"{'' if self.here else 'not '}within {self.radius_m:.4g} m of {self.lat:.6f}, {self.lon:.6f}"


class PolygonCorrection(_Correction):
    """The photo was taken inside polygons, or not."""

    kind: Literal["polygon"] = "polygon"
    geometry: Annotated[dict[str, Any], Field(description="GeoJSON: a Polygon or MultiPolygon, longitude first.")]
    here: Here

    @model_validator(mode="after")
    def _plain(self) -> Self:
        """Keep the polygons alone, with rounded corners."""
        polygons = self._polygons().polygons
        every = [ring for rings in polygons for ring in rings]
        corners, rings = sum(map(len, every)), len(every)
        if corners > MAX_CORNERS or rings > MAX_RINGS:
            raise ConfigError("geometry", f"the drawing has {rings:,} rings with {corners:,} corners",
                              f"Draw at most {MAX_RINGS} rings with {MAX_CORNERS:,} corners.")
        rounded = [[ring.round(_DIGITS).tolist() for ring in rings] for rings in polygons]
        plain = {"type": "Polygon", "coordinates": rounded[0]} if len(rounded) == 1 else \
            {"type": "MultiPolygon", "coordinates": rounded}
        object.__setattr__(self, "geometry", plain)
        return self

    def _polygons(self) -> Polygons:
        try:
            text = json.dumps(self.geometry).encode()
        except (ValueError, TypeError, RecursionError) as error:
            raise ConfigError("geometry", "it is nested too deeply", "Give a GeoJSON Polygon or MultiPolygon.") from error
        return polygons_from_geojson(text, "a drawing")

    def prior(self) -> Prior:
        """Return what it says about the place."""
        return _said(self._polygons(), self.here)

    def words(self) -> str:
        """Return it in words."""
        rings = self.geometry["coordinates"] if self.geometry["type"] == "MultiPolygon" else [self.geometry["coordinates"]]
        corners = sum(len(ring) - 1 for polygon in rings for ring in polygon)
        return f"{_where(self.here)} area of {corners} corners"


class HeadingCorrection(_Correction):
    """Which way the photo faces. It replaces what was known of the heading before."""

    kind: Literal["heading"] = "heading"
    deg: Annotated[float, Field(ge=-180, le=360, description="Degrees clockwise from true north.")]
    sigma_deg: Annotated[float, Field(ge=1, le=180, description="Circular spread in degrees.")] = DEFAULT_SIGMA_DEG

    def prior(self) -> HeadingPrior:
        """Return what it says about the heading."""
        return HeadingPrior(self.deg % 360.0, self.sigma_deg, origin="corrected")

    def words(self) -> str:
        """Return it in words."""
        return f"facing {self.deg % 360.0:.4g} degrees, plus or minus {self.sigma_deg:.4g}"


class CameraCorrection(_Correction):
    """The photo's horizontal field of view. It replaces what was known of the camera before."""

    kind: Literal["camera"] = "camera"
    fov_deg: Annotated[float, Field(gt=0, le=PANORAMA_DEG, description="Degrees; 360 for a whole panorama.")]

    @model_validator(mode="after")
    def _a_camera(self) -> Self:
        if 180.0 <= self.fov_deg < PANORAMA_DEG:
            raise ValueError("a field of view is below 180 degrees, or 360 for a whole panorama")
        return self

    def words(self) -> str:
        """Return it in words."""
        return "a whole panorama" if self.fov_deg == PANORAMA_DEG else f"field of view {self.fov_deg:.4g} degrees"


PlaceCorrection = CellCorrection | CircleCorrection | PolygonCorrection
Correction = Annotated[PlaceCorrection | HeadingCorrection | CameraCorrection, Field(discriminator="kind")]
AnyCorrection = CellCorrection | CircleCorrection | PolygonCorrection | HeadingCorrection | CameraCorrection
_LIST: TypeAdapter[list[AnyCorrection]] = TypeAdapter(Annotated[list[Correction], Field(max_length=MAX_CORRECTIONS)])


def corrections_from_json(value: Any) -> list[AnyCorrection]:
    """Return the corrections of a list of plain values.

    Raises:
        ConfigError: If it is not a list of corrections, or too long.
    """
    try:
        return _LIST.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in ("corrections", *first["loc"]))
        raise ConfigError(where, str(first["msg"]).removeprefix("Value error, "), _REMEDY) from error


def _said(prior: Prior, here: bool) -> Prior:
    return prior if here else Not(prior)


def _where(here: bool) -> str:
    return "in the" if here else "not in the"
