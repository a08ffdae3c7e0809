"""The fields of a request that say what is known of a photo, and how to search: the options of `jzi localize`."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from fastapi import Form, UploadFile
from starlette.concurrency import run_in_threadpool

from justzoomin.apps.server.problems import ProblemError
from justzoomin.apps.shared.camera_options import cameras_from_option
from justzoomin.apps.shared.heading_options import heading_source
from justzoomin.apps.shared.prior_options import circle_from_text
from justzoomin.errors import ConfigError, JustZoomInError
from justzoomin.geometry import ZoomGrid
from justzoomin.posterior import Both, Prior, polygons_from_geojson, weights_from_npy
from justzoomin.service import Asked

MAX_RASTER_BYTES = 64 << 20


class AskedFields:
    """The form fields of a request, unread.

    Args:
        prior_circle: `LAT,LON,RADIUS`.
        prior_polygon: GeoJSON text.
        prior_raster: GeoTIFF, or `.npy` of the cells.
        heading: Degrees clockwise from true north.
        heading_sigma: Uncertainty in degrees.
        heading_from: `exif`.
        declination: Degrees from true to magnetic north.
        fov: Horizontal field of view in degrees.
        decision: Rule that picks the answer.
        search: The search.
    """

    def __init__(
        self,
        prior_circle: Annotated[str | None, Form(max_length=200, examples=["54.5,3.0,250"], description=(
            "LAT,LON,RADIUS: the photo was taken within RADIUS metres."))] = None,
        prior_polygon: Annotated[str | None, Form(max_length=1 << 22, description=(
            "GeoJSON: the photo was taken inside these polygons."))] = None,
        prior_raster: Annotated[UploadFile | None, Form(description=(
            "GeoTIFF in any projection, or .npy array of the cells: a weight for every place."))] = None,
        heading: Annotated[float | None, Form(description="Direction that the photo faces, degrees from true north.")] = None,
        heading_sigma: Annotated[float | None, Form(description="Uncertainty of the heading in degrees; default 20.")] = None,
        heading_from: Annotated[str | None, Form(max_length=20, description="exif: use GPSImgDirection.")] = None,
        declination: Annotated[float | None, Form(description="With heading_from: true to magnetic north, degrees.")] = None,
        fov: Annotated[float | None, Form(description="Horizontal field of view in degrees; 360 for a panorama.")] = None,
        decision: Annotated[str | None, Form(max_length=40, examples=["within:40"], description=(
            "How the answer is chosen: within:METRES, distance or top."))] = None,
        search: Annotated[str, Form(max_length=40, description="greedy, beam:K, posterior or auto.")] = "auto",
    ) -> None:
        self.circle, self.polygon, self.raster = prior_circle, prior_polygon, prior_raster
        self.heading, self.sigma, self.source, self.declination = heading, heading_sigma, heading_from, declination
        self.fov, self.decision, self.search = fov, decision, search

    async def read(self, grid: ZoomGrid) -> Asked:
        """Return what is asked for; a thread works on priors, so that other requests are answered meanwhile.

        Args:
            grid: The grid that is searched.

        Raises:
            ConfigError: If a field is wrong.
        """
        raster = b"" if self.raster is None else await self.raster.read(MAX_RASTER_BYTES + 1)
        return await run_in_threadpool(self.asked, raster, grid)

    def asked(self, raster: bytes, grid: ZoomGrid) -> Asked:
        """Return what is asked for, with the bytes of the raster (empty for none); see `read`."""
        if len(raster) > MAX_RASTER_BYTES:
            raise ProblemError(413, "prior_raster", f"it has more than {MAX_RASTER_BYTES:,} bytes", "Send a coarser raster.")
        words = (self.circle, self.polygon, self.heading, self.sigma, self.source, self.declination, self.fov, self.decision,
                 None if self.search == "auto" else self.search, hashlib.sha256(raster).hexdigest() if raster else None)
        if not any(word is not None for word in words):
            return Asked()
        try:
            headings = heading_source(self.heading, self.sigma, self.source, self.declination, {}, ("exif",))
            cameras = cameras_from_option(self.fov)
        except ConfigError as error:  # the command's options and the fields have the same names
            where = error.where.removeprefix("--").replace("-", "_", 1)
            raise ConfigError(where, error.what, error.remedy.replace("--", "")) from error
        return Asked(hashlib.sha256(repr(words).encode("utf-8", "surrogatepass")).hexdigest(), self.search, self.decision,
                     self._prior(grid, raster), headings, cameras)

    def _prior(self, grid: ZoomGrid, raster: bytes) -> Prior | None:
        priors: list[Prior] = []
        if self.circle is not None:
            priors.append(circle_from_text(self.circle, "prior_circle"))
        if self.polygon is not None:
            priors.append(polygons_from_geojson(self.polygon.encode("utf-8", "replace"), "prior_polygon"))
        if raster:
            priors.append(_weights(raster, grid))
        return None if not priors else priors[0] if len(priors) == 1 else Both(tuple(priors))


def _weights(raster: bytes, grid: ZoomGrid) -> Prior:
    """Return the weights of an uploaded raster; what it is, its first bytes say."""
    array = raster.startswith(b"\x93NUMPY")
    with tempfile.NamedTemporaryFile(prefix="prior-", suffix=".npy" if array else ".tif") as file:
        file.write(raster)
        file.flush()
        try:
            if array:
                found = weights_from_npy(Path(file.name), grid)
            else:
                from justzoomin.posterior.rasters import weights_from_raster

                found = weights_from_raster(Path(file.name), grid)
        except JustZoomInError as error:  # whatever is wrong, the client has sent it
            what, remedy = (text.replace(file.name, "prior_raster").replace(Path(file.name).name, "prior_raster")
                            for text in (error.what, error.remedy))
            raise ConfigError("prior_raster", what, remedy) from error
    return replace(found, name="prior_raster")  # answers tell it
