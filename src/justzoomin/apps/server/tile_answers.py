"""Answers with tiles: entity tags, 304, how long to keep them, and what stands for a tile without content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from fastapi import Request
from starlette.responses import Response

from justzoomin.maps import TileFile, palette_png

FOR_GOOD = "max-age=31536000, immutable"
"""For addresses that name the version of their content."""
FOR_A_WHILE = "max-age=300"
"""For others: another map may be served at the same address."""


def entity_tag(*parts: object) -> str:
    """Return the entity tag of what some parts, written as texts, determine."""
    return f'"{hashlib.sha256(repr([str(part) for part in parts]).encode()).hexdigest()[:32]}"'


def tagged(request: Request, tag: str | None, make: Callable[[], TileFile | None], *, keep: str = FOR_A_WHILE) -> Response:
    """Answer with a file, or with 304 if the client has it.

    Args:
        request: The request.
        tag: The entity tag; None for one of the content, so that it is made even if the client has it.
        make: Makes the file; None becomes 204, a tile without content.
        keep: How long it may be kept, as `Cache-Control` says it.
    """
    if tag is not None and _has(request, tag):
        return Response(status_code=304, headers={"ETag": tag, "Cache-Control": keep})
    file = make()
    tag = tag or entity_tag("" if file is None else hashlib.sha256(file.content).hexdigest())
    headers = {"ETag": tag, "Cache-Control": keep}
    if _has(request, tag):
        return Response(status_code=304, headers=headers)
    if file is None:
        return Response(status_code=204, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


def empty_tile(pixels: int) -> TileFile:
    """Return a tile without any colour.

    All clients draw it. After 204 or 404, OpenLayers stretches a tile of a coarser zoom level, and browsers report each 404.
    """
    return TileFile(palette_png(np.zeros((pixels, pixels), np.uint8), np.zeros((256, 4), np.uint8)), "image/png")


def _has(request: Request, tag: str) -> bool:
    """Return whether the client has a version with this tag. Source: RFC 9110, 13.1.2."""
    known = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    return tag in known or known == ["*"]
