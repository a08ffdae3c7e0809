"""The zoom as an animation: look, pick, dive, and again, until a pin is on the map."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from justzoomin.figures.case import NO_DATA_WORTH_SAYING, Case, Pixels, closeup_window, share_of
from justzoomin.figures.gif_art import ACCENTS, FrameArt, Overlay
from justzoomin.figures.look import percent

MAX_BYTES = 3_000_000
STEPS_IN_DIVE = 7
_LOOK_MS, _PICK_MS, _DIVE_MS, _PIN_MS, _END_MS = 550, 140, 80, 90, 2600
_TRIES = ((128, 1.0), (64, 1.0), (64, 0.8), (32, 0.65), (32, 0.5), (16, 0.35))
"""Colours and scale of the frames, tried in this order until the file is small enough."""

Window = tuple[float, float, float]
"""Left, top and edge of a square part of a view, as shares of the view."""


@dataclass(frozen=True)
class Frame:
    """One picture of the animation, its duration, and the scene whose palette it shares."""

    image: Image.Image
    duration_ms: int
    scene: int


def zoom_gif(case: Case, attribution: str | None = None, pixels: int = 320, max_bytes: int = MAX_BYTES) -> bytes:
    """Animate the zoom of one photo.

    Each view appears with its grid, the chosen cell lights up, and the camera dives into it while the sharper next view fades
    in; at the end a pin drops on the predicted position, beside the true one if that is known and in sight.

    Args:
        case: What to show.
        attribution: Whom to credit at the foot.
        pixels: Edge of the map in the frames.
        max_bytes: Largest file; to keep it, first colours, then size are reduced.

    Returns:
        The GIF's bytes.
    """
    frames = zoom_frames(case, attribution, pixels)
    data = b""
    for colours, scale in _TRIES:
        data = _encode(frames, colours, scale)
        if len(data) <= max_bytes:
            break
    return data


def zoom_frames(case: Case, attribution: str | None = None, pixels: int = 320) -> list[Frame]:
    """Return the frames of the animation, in full colour."""
    art, grid, depth = FrameArt(case, attribution, pixels), case.grid.grid, len(case.sequence)
    right = case.right
    frames = []
    for level, (action, view) in enumerate(zip(case.sequence, case.views, strict=True)):
        last = level == depth - 1
        row, col = divmod(action, grid)
        target: Window = closeup_window(action, grid) if last else (col / grid, row / grid, 1 / grid)
        # The next view, and the part of this one that it shows, over which it fades in.
        sharper = case.closeup if last else case.views[level + 1]
        kind = "chosen" if right is None else "right" if right[level] else "wrong"
        whole = crop(view.pixels, (0.0, 0.0, 1.0), pixels)
        size_m = case.grid.cell_size_m(level)
        chance = case.probabilities[level] if case.probabilities else None
        words = f"step {level + 1} of {depth}"
        lacking = f" · {percent(view.no_data)} no data" if view.no_data > NO_DATA_WORTH_SAYING else ""
        frames.append(Frame(art.frame(whole, words + lacking, size_m, Overlay(grid=1.0)), _LOOK_MS, level))
        picked = f"{words} · p = {chance:.2f}" if chance is not None else words
        for fill, wait in ((0.5, _PICK_MS), (0.15, _PICK_MS), (0.4, _PICK_MS), (0.12, _LOOK_MS)):
            overlay = Overlay(grid=1.0, cell=(col / grid, row / grid, 1 / grid), kind=kind, fill=fill)
            frames.append(Frame(art.frame(whole, picked, size_m, overlay), wait, level))
        for step in range(1, STEPS_IN_DIVE + 1):
            t = ease(step / STEPS_IN_DIVE)
            window = dive(target, t)
            image = crop(view.pixels, window, pixels)
            if sharper is not None:
                image = fade_in(image, sharper.pixels, target, window, ease(min(1.0, max(0.0, (t - 0.3) / 0.6))))
            overlay = Overlay(cell=within((col / grid, row / grid, 1 / grid), window), kind=kind, fill=0.12 * (1 - t))
            frames.append(Frame(art.frame(image, picked, size_m * window[2], overlay), _DIVE_MS, level))
        if last:
            frames += _ending(case, art, image, target, size_m, level)
    return frames


def _ending(case: Case, art: FrameArt, image: Pixels, window: Window, size_m: float, scene: int) -> list[Frame]:
    """Drop the pin on the predicted position, and show the true position if it is in sight."""
    cell = case.grid.cell(case.sequence[:-1])
    col, row, _ = within((*_share(case, *case.position), 0.0), window)
    dot = share_of(cell, *case.true_position) if case.true_position is not None else None
    true = None if dot is None else within((*dot, 0.0), window)[:2]
    in_sight = true is not None and all(0 <= v <= 1 for v in true)
    picked = within((*divmod_share(case.sequence[-1], case.grid.grid), 1 / case.grid.grid), window)
    right = case.right
    kind = "chosen" if right is None else "right" if right[-1] else "wrong"
    words = art.verdict()
    frames = []
    for lift, wait in ((0.5, _PIN_MS), (0.2, _PIN_MS), (0.0, _END_MS)):
        overlay = Overlay(cell=picked, kind=kind, pin=(col, row - lift), true=true if in_sight else None)
        frames.append(Frame(art.frame(image, words, size_m * window[2], overlay), wait, scene))
    return frames


def _share(case: Case, lat: float, lon: float) -> tuple[float, float]:
    col, row = divmod_share(case.sequence[-1], case.grid.grid)
    found = share_of(case.grid.cell(case.sequence[:-1]), lat, lon)
    return found if found is not None else (col + 0.5 / case.grid.grid, row + 0.5 / case.grid.grid)


def divmod_share(action: int, grid: int) -> tuple[float, float]:
    """Return the west and north edge of an action's cell, as shares of its view."""
    row, col = divmod(action, grid)
    return col / grid, row / grid


def ease(t: float) -> float:
    """Map 0..1 to 0..1 with a smooth start and stop."""
    return t * t * (3.0 - 2.0 * t)


def dive(target: Window, t: float) -> Window:
    """Return the camera's window at time t in [0, 1] on its way from the whole view to a target.

    Its edge shrinks by the same factor in equal times, and its position follows the edge, so that one point of the view does
    not move, as in a real zoom.
    """
    left, top, edge = target
    if edge >= 1.0:
        return (0.0, 0.0, 1.0)
    now = edge**t
    progress = (1.0 - now) / (1.0 - edge)
    return left * progress, top * progress, now


def within(part: Window, window: Window) -> Window:
    """Return a part of a view, as shares of a window of that view."""
    return (part[0] - window[0]) / window[2], (part[1] - window[1]) / window[2], part[2] / window[2]


def crop(view: Pixels, window: Window, pixels: int) -> Pixels:
    """Return a window of a view, resampled to an edge in pixels with subpixel precision."""
    n = len(view)
    left, top, edge = window
    box = _inside((left, top, left + edge, top + edge), n)
    return np.asarray(Image.fromarray(view).resize((pixels, pixels), Image.Resampling.BICUBIC, box=box))


def _inside(box: tuple[float, float, float, float], n: int) -> tuple[float, float, float, float]:
    """Return a box of shares in pixels of an image n wide, with rounding errors at the borders removed."""
    x0, y0, x1, y1 = (min(max(v * n, 0.0), float(n)) for v in box)
    return x0, y0, x1, y1


def fade_in(image: Pixels, sharper: Pixels, place: Window, window: Window, share: float) -> Pixels:
    """Blend a sharper picture over the place that it shows, in a picture of a window."""
    if share <= 0.0:
        return image
    n = len(image)
    left, top, edge = within(place, window)
    x0, y0 = (max(0, round(v * n)) for v in (left, top))
    x1, y1 = (min(n, round((v + edge) * n)) for v in (left, top))
    if x1 <= x0 or y1 <= y0:
        return image
    shares = ((x0 / n - left) / edge, (y0 / n - top) / edge, (x1 / n - left) / edge, (y1 / n - top) / edge)
    box = _inside(shares, len(sharper))
    patch = np.asarray(Image.fromarray(sharper).resize((x1 - x0, y1 - y0), Image.Resampling.BICUBIC, box=box))
    result = image.copy()
    result[y0:y1, x0:x1] = np.rint((1 - share) * image[y0:y1, x0:x1] + share * patch).astype(np.uint8)
    return result


def _encode(frames: Sequence[Frame], colours: int, scale: float) -> bytes:
    """Encode a GIF with one palette per scene, chosen from all of the scene's frames."""
    images = [_scaled(f.image, scale) for f in frames]
    palettes: dict[int, Image.Image] = {}
    for scene in {f.scene for f in frames}:
        of_scene = [image for image, f in zip(images, frames, strict=True) if f.scene == scene]
        sample = np.concatenate([np.asarray(image)[::2, ::2] for image in of_scene])
        strip = Image.fromarray(sample)
        palettes[scene] = _with_accents(strip.quantize(colours - len(ACCENTS), Image.Quantize.MEDIANCUT))
    flat = [image.quantize(palette=palettes[f.scene], dither=Image.Dither.NONE)
            for image, f in zip(images, frames, strict=True)]
    buffer = io.BytesIO()
    flat[0].save(buffer, "GIF", save_all=True, append_images=flat[1:], duration=[f.duration_ms for f in frames], loop=0,
                 optimize=False, disposal=1)
    return buffer.getvalue()


def _with_accents(quantized: Image.Image) -> Image.Image:
    """Return an image's palette with the marks' own colours added, as the few pixels of marks would not be counted."""
    common = (quantized.getpalette() or [])[:3 * (int(np.asarray(quantized).max()) + 1)]
    palette = Image.new("P", (1, 1))
    palette.putpalette(common + [value for colour in ACCENTS for value in colour])
    return palette


def _scaled(image: Image.Image, scale: float) -> Image.Image:
    if scale == 1.0:
        return image
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
