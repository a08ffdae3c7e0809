"""A panorama as several views of one pose: its views in a model's frame, and their scores combined."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from justzoomin.data import Frame, declared_panorama, decode_photo, reduced
from justzoomin.errors import ConfigError, ModelError, PhotoError
from justzoomin.search.cell_scorer import PoseScores

YAWS_DEG = (0.0, 90.0, 180.0, 270.0)
"""How far the views of a panorama are turned right from its middle."""


def panorama_views(data: bytes, where: str, pixels: int, frame: Frame,
                   yaws_deg: Sequence[float] = YAWS_DEG) -> list[npt.NDArray[np.uint8]]:
    """Return views of a whole equirectangular panorama, each what the model's own camera would show, uint8 (n, 2 n, 3).

    They are level whatever the tilt that the panorama's XMP states.

    Args:
        data: The file's bytes.
        where: Name of the file, for error texts.
        pixels: Height of a view; its width is twice that.
        frame: The model's frame.
        yaws_deg: How far each view is turned right from the panorama's middle.

    Raises:
        PhotoError: If it cannot be read, or does not show all directions.
    """
    from justzoomin.photos import Crop, check_panorama, cut, stated_pose
    from justzoomin.photos.readers import Header, photo_camera

    focal = pixels / frame.half_width
    need = math.ceil(math.pi * focal)
    panorama, stated = decode_photo(data, where, (need, 2 * need)), declared_panorama(data)
    height, width = panorama.shape[:2]
    try:
        check_panorama(width, height)
    except PhotoError as error:
        raise PhotoError(where, f"{error.where}: {error.what}", error.remedy) from error
    partial = photo_camera(Header(width, height), stated)[1] if stated else ""
    if partial:
        raise PhotoError(where, partial, "Give a photo of about 90 degrees cut from it.")
    panorama, pose = reduced(panorama, width / (2.0 * math.pi * focal)), stated_pose(stated, where)
    return [cut(panorama, Crop(yaw, 2 * pixels, pixels, focal), pose) for yaw in yaws_deg]


def combined(views: PoseScores, yaws_deg: Sequence[float] = YAWS_DEG) -> PoseScores:
    """Return the scores of one pose from the scores of its views, as if the views were independent.

    A view turned right by some yaw faces the pose's bearing plus that yaw. So the log-scores of place and bearing are added
    with the bearings turned back.

    Args:
        views: Scores of V views: cells (V, N), bearings (V, N, K).
        yaws_deg: How far each view is turned right, in degrees: multiples of 360 / K.

    Returns:
        Scores with cells (1, N) and bearings (1, N, K).

    Raises:
        ModelError: If there are no bearings.
        ConfigError: If a yaw lies between two bearings.
    """
    if views.bearings is None:
        raise ModelError("panorama", "this model does not say which way a photo faces, so views cannot be combined",
                         "Use a model with a ray matcher, or give a photo of about 90 degrees cut from the panorama.")
    count = views.bearings.shape[2]
    total = np.zeros(views.bearings.shape[1:], np.float64)
    for cells, bearings, yaw in zip(views.cells, views.bearings, yaws_deg, strict=True):
        steps = yaw * count / 360.0
        if abs(steps - round(steps)) > 1e-6:
            raise ConfigError(f"yaw {yaw:g}", f"it is not a multiple of {360 / count:g} degrees",
                              f"Turn views by multiples of {360 / count:g} degrees.")
        total += cells[:, None] + np.roll(bearings, -round(steps), axis=1)
    top = total.max(1, keepdims=True)
    sums = np.log(np.exp(total - top).sum(1, keepdims=True)) + top
    return PoseScores(sums[:, 0][None], (total - sums).astype(np.float32)[None])
