"""The option for what is known about the camera of photos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from justzoomin.data import CameraSource

FovOption = Annotated[float | None, typer.Option(
    "--fov", help="Horizontal field of view of the photos in degrees, 360 for whole panoramas. For models that use cameras "
    "(model.photo_fit). Default: the focal length in each photo's EXIF.")]


def cameras_from_option(fov: float | None, *, panoramas: bool = True) -> CameraSource | None:
    """Return the camera that the option states for all photos; None without the option.

    Args:
        fov: Value of the option.
        panoramas: Whether the photos may be panoramas.

    Raises:
        ConfigError: If it is not a field of view.
    """
    from justzoomin.data import CameraSource, stated_camera
    from justzoomin.errors import ConfigError

    if fov is None:
        return None
    camera = stated_camera(fov)
    if camera.kind == "equirectangular" and not panoramas:
        raise ConfigError("--fov 360", "the photos of a dataset are ordinary photos, not panoramas",
                          "Give their horizontal field of view, or leave it out.")
    return CameraSource(camera)
