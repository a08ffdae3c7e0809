"""A Fix: where a photo was taken, how the search got there, and from which map and model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from justzoomin.geometry import Cell, LatLon, ZoomGrid

CREDIBLE_PROBABILITY = 0.5
"""Probability of `credible_radius_m`."""

HIGH_PROBABILITY = 0.9
"""Probability of `radius_90_m`."""

Covariance = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Fix:
    """A position with the path that led to it.

    The fields from `top_cells` on are None if the search followed a single path, and some of them if it followed a beam.

    Attributes:
        lat: Latitude of the answer in degrees: the point that the decision picked, or the centre of the terminal cell if the
            search followed paths.
        lon: Longitude of the answer in degrees.
        sequence: Actions from the whole region to the terminal cell that holds the answer.
        probabilities: Probability of each action, given those before it.
        cell_size_m: Edge of the terminal cell in metres.
        credible_radius_m: Radius around the answer that holds half of the posterior. For a single path it is half the diagonal
            of the smallest cell on the path whose probability (the product of its actions' probabilities) is at least one
            half, or of the whole region if even the first action is less likely.
        no_data: Share of each view on the path for which the map has no data.
        seconds: Search time for this photo, decoding included; in a batch, its share of the batch's time.
        photo: Name of the photo, if it has one.
        map_hash: Fingerprint of the map.
        model_hash: Fingerprint of the model.
        grid: The zoom grid that was searched.
        searched: The search: `greedy`, `beam:K` or `posterior`.
        decision: The rule that picked the answer: `top`, `within:40`, `distance`.
        calibrated: Whether the probabilities were calibrated for photos of this map.
        prior: The prior knowledge about the place in words; None if there was none.
        on_map: Whether the photo looks like a photo of this map; None without a calibration for this map.
        expected: Expected value of the decision: the probability that the place is within its metres of the answer, the mean
            distance in metres, or the probability of the cell.
        top_cells: Sequences of the ten most probable cells with their probabilities, best first.
        regions: Area in square metres of the smallest region for 50, 90 and 95 % of the posterior, by per cent.
        region_90: Cells of the region for 90 %, as in `CredibleRegion.runs`.
        covariance_m2: Covariance of the place in square metres: ((east east, east north), (north east, north north)).
        entropy_bits: Entropy of the posterior in bits.
        radius_90_m: Like `credible_radius_m`, for nine tenths; None in fixes of older versions.
        not_calibrated: Why the probabilities are not calibrated, in words; None if they are.
        heading_deg: Which way the photo faces: circular mean, in degrees clockwise from true north, of the posterior within the
            decision's radius of the answer (`Posterior.heading`). None if the model says nothing about headings.
        heading_sigma_deg: Circular spread of the heading in degrees.
        heading_probs: Probabilities of K headings at the answer; number k is centred on 360 k / K degrees.
        heading_prior: What was known of the heading before, in words, or why it was not used; None if nothing was given.
        camera: The photo's camera as it was used, in words; None if the model squeezes the photos of all cameras.
        other_regions: Cells of the regions for 50 and 95 %, like `region_90`, by per cent. They are not part of `to_dict`.
    """

    lat: float
    lon: float
    sequence: tuple[int, ...]
    probabilities: tuple[float, ...]
    cell_size_m: float
    credible_radius_m: float
    no_data: tuple[float, ...]
    seconds: float
    photo: str | None
    map_hash: str
    model_hash: str
    grid: ZoomGrid
    searched: str = "greedy"
    decision: str = "top"
    calibrated: bool = False
    prior: str | None = None
    on_map: bool | None = None
    expected: float | None = None
    top_cells: tuple[tuple[tuple[int, ...], float], ...] | None = None
    regions: dict[int, float] | None = field(default=None, hash=False)
    region_90: tuple[int, ...] | None = None
    covariance_m2: Covariance | None = None
    entropy_bits: float | None = None
    radius_90_m: float | None = None
    not_calibrated: str | None = None
    heading_deg: float | None = None
    heading_sigma_deg: float | None = None
    heading_probs: tuple[float, ...] | None = None
    heading_prior: str | None = None
    camera: str | None = None
    other_regions: dict[int, tuple[int, ...]] | None = field(default=None, compare=False, repr=False)

    @property
    def position(self) -> LatLon:
        """Latitude and longitude together."""
        return LatLon(self.lat, self.lon)

    @property
    def cell(self) -> Cell:
        """The terminal cell that holds the answer."""
        return self.grid.cell(self.sequence)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, lat before lon."""
        top = None if self.top_cells is None else [{"sequence": list(s), "probability": p} for s, p in self.top_cells]
        return {
            "photo": self.photo, "lat": self.lat, "lon": self.lon, "sequence": list(self.sequence),
            "probabilities": list(self.probabilities), "cell_size_m": self.cell_size_m,
            "credible_radius_m": self.credible_radius_m, "radius_90_m": self.radius_90_m,
            "no_data": list(self.no_data), "seconds": self.seconds,
            "map": self.map_hash, "model": self.model_hash, "searched": self.searched, "decision": self.decision,
            "calibrated": self.calibrated, "not_calibrated": self.not_calibrated,
            "prior": self.prior, "on_map": self.on_map, "expected": self.expected,
            "top_cells": top,
            "regions": None if self.regions is None else {str(level): area for level, area in self.regions.items()},
            "region_90": None if self.region_90 is None else list(self.region_90),
            "covariance_m2": None if self.covariance_m2 is None else [list(row) for row in self.covariance_m2],
            "entropy_bits": self.entropy_bits,
            "heading_deg": self.heading_deg, "heading_sigma_deg": self.heading_sigma_deg,
            "heading_probs": None if self.heading_probs is None else list(self.heading_probs),
            "heading_prior": self.heading_prior, "camera": self.camera,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], grid: ZoomGrid) -> Fix:
        """Return the fix from the values of its `to_dict` and the grid on which it was found.

        Values of older versions without a search are those of a greedy search; those without a heading have none.
        """
        top, regions, runs, covariance, facing, others = (
            values.get(k) for k in ("top_cells", "regions", "region_90", "covariance_m2", "heading_probs", "other_regions"))
        return cls(
            lat=values["lat"], lon=values["lon"], sequence=tuple(values["sequence"]),
            probabilities=tuple(values["probabilities"]), cell_size_m=values["cell_size_m"],
            credible_radius_m=values["credible_radius_m"], no_data=tuple(values["no_data"]), seconds=values["seconds"],
            photo=values["photo"], map_hash=values["map"], model_hash=values["model"], grid=grid,
            searched=values.get("searched", "greedy"), decision=values.get("decision", "top"),
            calibrated=values.get("calibrated", False), prior=values.get("prior"), on_map=values.get("on_map"),
            expected=values.get("expected"),
            top_cells=None if top is None else tuple((tuple(c["sequence"]), c["probability"]) for c in top),
            regions=None if regions is None else {int(level): area for level, area in regions.items()},
            region_90=None if runs is None else tuple(runs),
            covariance_m2=None if covariance is None else _square(covariance), entropy_bits=values.get("entropy_bits"),
            radius_90_m=values.get("radius_90_m"), not_calibrated=values.get("not_calibrated"),
            heading_deg=values.get("heading_deg"), heading_sigma_deg=values.get("heading_sigma_deg"),
            heading_probs=None if facing is None else tuple(facing), heading_prior=values.get("heading_prior"),
            camera=values.get("camera"),
            other_regions=None if others is None else {int(level): tuple(cells) for level, cells in others.items()})

    def to_geojson(self, percents: Sequence[int] = (90,)) -> list[dict[str, Any]]:
        """Return GeoJSON features (lon, lat): the point, the terminal cell's square, regions and heading if they are known.

        The heading is a wedge from the position, as wide as one spread on either side.

        Args:
            percents: Which regions, in per cent: some of 50, 90 and 95. The largest comes first.
        """
        properties = {k: v for k, v in self.to_dict().items() if k not in {"lat", "lon", "region_90"}}
        features: list[dict[str, Any]] = [
            {"type": "Feature", "properties": {**properties, "kind": "position"},
             "geometry": {"type": "Point", "coordinates": [self.lon, self.lat]}},
            {"type": "Feature", "properties": {"photo": self.photo, "kind": "cell"},
             "geometry": _outline(self.cell)},
        ]
        runs = {**(self.other_regions or {}), **({} if self.region_90 is None else {90: self.region_90})}
        for percent in sorted(runs.keys() & set(percents), reverse=True):
            from justzoomin.posterior import CredibleRegion

            region = CredibleRegion.from_runs(self.grid, runs[percent])
            features.append({"type": "Feature", "geometry": region.geojson(),
                             "properties": {"photo": self.photo, "kind": f"region_{percent}", "area_m2": region.area_m2}})
        if self.heading_deg is not None and self.heading_sigma_deg is not None:
            from justzoomin.search.heading_wedge import wedge

            facing = {"photo": self.photo, "kind": "heading", "heading_deg": self.heading_deg,
                      "heading_sigma_deg": self.heading_sigma_deg}
            features.append({"type": "Feature", "properties": facing,
                             "geometry": wedge(self.lat, self.lon, self.heading_deg, self.heading_sigma_deg)})
        return features


def _square(rows: list[list[float]]) -> Covariance:
    (a, b), (c, d) = rows
    return (a, b), (c, d)


def _outline(cell: Cell) -> dict[str, Any]:
    """Return a cell's square in GeoJSON, counter-clockwise, cut in two if it crosses the antimeridian.

    Source: RFC 7946, sections 3.1.6 and 3.1.9.
    """
    ring = [[c.lon, c.lat] for c in (*cell.corners, cell.corners[0])][::-1]
    lons = [lon for lon, _ in ring]
    if max(lons) - min(lons) <= 180.0:
        return {"type": "Polygon", "coordinates": [ring]}
    west = [[min(lon % 360.0, 180.0), lat] for lon, lat in ring]
    east = [[max(lon % 360.0, 180.0) - 360.0, lat] for lon, lat in ring]
    return {"type": "MultiPolygon", "coordinates": [[west], [east]]}


def credible_radius_m(grid: ZoomGrid, probabilities: tuple[float, ...], least: float = CREDIBLE_PROBABILITY) -> float:
    """Return half the diagonal of the smallest cell on a path whose probability is still `least` or more."""
    level, mass = 0, 1.0
    for probability in probabilities:
        mass *= probability
        if mass < least:
            break
        level += 1
    return grid.cell_size_m(level) * math.sqrt(0.5)
