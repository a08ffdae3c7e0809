"""One answer for a report, as one picture: the photo and its zoom path above, what is believed about its place below."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from justzoomin.figures.case import Pixels
from justzoomin.figures.heat import heat_map
from justzoomin.figures.look import DPI, metres
from justzoomin.figures.panel import path_panel
from justzoomin.figures.pictures import ViewPictures, build_case
from justzoomin.figures.stage import OVERVIEW_PIXELS, facing_of, fix_words
from justzoomin.posterior import Posterior
from justzoomin.search import Fix, Localizer

_SHORT = 28
"""Most characters of a prior in words that fit into the title above the map."""
_COMPRESSION = 3
"""Higher levels take twice as long for files that are hardly smaller."""


def answer_png(fix: Fix, posterior: Posterior, localizer: Localizer, photo: Pixels) -> bytes:
    """Draw an answer as PNG: the photo with its zoom path, and the map with the posterior, regions, answer and heading.

    Args:
        fix: The answer.
        posterior: The posterior that it comes from.
        localizer: The localizer that made them.
        photo: The photo, uint8 (H, W, 3).

    Raises:
        TileError: If the map cannot provide a view.
    """
    pictures, name = ViewPictures(localizer.views), fix.photo or "photo"
    panel = path_panel(build_case(name, photo, pictures, fix.sequence, fix.probabilities, facing=facing_of(fix)))
    sure = "" if fix.radius_90_m is None else f"90 % within {metres(fix.radius_90_m)}"
    known = "the place was known in part" if fix.prior is not None and len(fix.prior) > _SHORT else fix.prior
    words = " · ".join(filter(None, (sure, fix_words(fix), known)))
    heat = heat_map(pictures.get((), sizes=OVERVIEW_PIXELS), posterior, fix.position, words=words,
                    attribution=localizer.map.attribution, facing=facing_of(fix))
    parts = [_drawn(panel), _drawn(heat)]
    whole = Image.new("RGB", (max(part.width for part in parts), sum(part.height for part in parts)), "white")
    top = 0
    for part in parts:
        whole.paste(part, ((whole.width - part.width) // 2, top))
        top += part.height
    buffer = io.BytesIO()
    whole.save(buffer, "PNG", compress_level=_COMPRESSION, dpi=(DPI, DPI))
    return buffer.getvalue()


def _drawn(figure: Figure) -> Image.Image:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # type: ignore[no-untyped-call]
