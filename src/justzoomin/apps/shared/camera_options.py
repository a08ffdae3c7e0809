"""The option for what is known about the camera of photos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from justzoomin.data import CameraSource
    from justzoomin.photos.readers import ListedPhoto

FovOption = Annotated[float | None, typer.Option(
    "--fov", help="Horizontal field of view of the photos in degrees, 360 for whole panoramas. For models that use cameras "
    "(model.photo_fit). Default: the focal length in each photo's EXIF.")]


def cameras_from_option(fov: float | None, listed: Mapping[str, ListedPhoto] | None = None, *,
                        panoramas: bool = True) -> CameraSource | None:
    """Return the cameras that the option and lists of photos state; None if they state none.

    Args:
        fov: Value of the option.
        listed: Photos of lists, by path.
        panoramas: Whether the photos may be panoramas.

    Raises:
        ConfigError: If it is not a field of view.
    """
    from justzoomin.data import CameraSource, stated_camera
    from justzoomin.errors import ConfigError

    stated = {path: stated_camera(row.fov_deg, "column fov") for path, row in (listed or {}).items() if row.fov_deg is not None}
    if fov is None:
        return CameraSource(stated=stated) if stated else None
    camera = stated_camera(fov)
    if camera.kind == "equirectangular" and not panoramas:
        raise ConfigError("--fov 360", "the photos of a dataset are ordinary photos, not panoramas",
                          "Give their horizontal field of view, or leave it out.")
    return CameraSource(camera, stated)
