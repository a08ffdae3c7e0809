"""Photos of a request: their names and bytes, within the limits."""

from __future__ import annotations

import io
from typing import NamedTuple

from fastapi import UploadFile
from PIL import Image

from justzoomin.apps.server.problems import ProblemError
from justzoomin.apps.server.settings import ServeSettings
from justzoomin.filekind import PICTURE_FORMATS
from justzoomin.service import client_name


class Upload(NamedTuple):
    """A photo of a request.

    Attributes:
        name: The client's name of the file, without folders.
        data: The bytes of the file.
    """

    name: str
    data: bytes


def name_of(upload: UploadFile) -> str:
    """Return the client's name of a file; see `client_name`."""
    return client_name(upload.filename, "photo")


async def read_photos(uploads: list[UploadFile], settings: ServeSettings) -> list[Upload]:
    """Read the photos of a request.

    Raises:
        ProblemError: If there are too many, or a file has too many bytes or pixels.
    """
    if len(uploads) > settings.max_photos:
        raise ProblemError(413, "photos", f"the request has {len(uploads)} photos, more than {settings.max_photos}",
                           "Send fewer at once, or make a job of them (/v1/jobs).")
    return [await _read(upload, settings) for upload in uploads]


async def _read(upload: UploadFile, settings: ServeSettings) -> Upload:
    name, most = name_of(upload), int(1e6 * settings.max_photo_mb)
    data = await upload.read(most + 1)
    if len(data) > most:
        raise ProblemError(413, name, f"the file has more than {most:,} bytes", "Send a smaller picture of it.")
    check_pixels(name, data, settings.max_megapixels)
    return Upload(name, data)


def check_pixels(name: str, data: bytes, most_megapixels: float) -> None:
    """Refuse a photo with too many pixels, by its header. Files of other kinds pass; decoding says what is wrong.

    Raises:
        ProblemError: If it has too many.
    """
    try:
        with Image.open(io.BytesIO(data), formats=PICTURE_FORMATS) as image:
            width, height = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return
    if width * height > 1e6 * most_megapixels:
        raise ProblemError(413, name, f"it has {width} x {height} pixels, more than {most_megapixels:g} megapixels",
                           "Send a smaller picture of it.")
