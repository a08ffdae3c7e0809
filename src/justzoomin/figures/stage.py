"""The stage behind `jzi visualize`, and the figure of `jzi localize`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from justzoomin.data import Dataset, decode_photo
from justzoomin.errors import ConfigError
from justzoomin.figures.case import Case, Facing, Pixels
from justzoomin.figures.cases import sheet
from justzoomin.figures.gif import zoom_gif
from justzoomin.figures.heat import heat_map
from justzoomin.figures.panel import path_panel
from justzoomin.figures.pictures import PHOTO_PIXELS, ViewPictures, build_case
from justzoomin.figures.region import overview
from justzoomin.figures.save import check_format, safe_stem, save_figure, write_picture
from justzoomin.geometry import LatLon
from justzoomin.models import MapModel, open_model
from justzoomin.posterior import Posterior, find_calibration
from justzoomin.search import Fix, Localizer, read_photo

Progress = Callable[[int, int], None]

OVERVIEW_PIXELS = (1024, 768, 512, 384, 192)
MAX_ON_SHEET = 40


def visualize(model: str | Path | MapModel, dataset: Dataset, out: Path, *, split: str = "val", count: int = 10,
              seed: int = 0, attribution: str | None = None, device: str = "auto",
              progress: Progress | None = None) -> list[Path]:
    """Localize some photos of a split and draw the results.

    Writes `panel_ID.png` and `zoom_ID.gif` for each photo, `overview.png` and `sheet.png`.

    Args:
        model: A model, its folder or its hub id. With a folder or hub id, its calibration is used if it has one.
        dataset: The dataset.
        out: Folder to write to; made if missing.
        split: Name of the split.
        count: Number of photos, spread evenly over the split; all if it has fewer.
        seed: Seed of the choice.
        attribution: Whom to credit at the foot of every picture; default: what the dataset says.
        device: Where a model opened here runs.
        progress: Called with the photos done and all photos.

    Returns:
        The files written.

    Raises:
        ConfigError: If the count is not positive or the folder cannot be written.
        DataError: If the split does not exist.
        ModelError: If the model cannot be opened or does not fit the dataset's grid.
        PhotoError: If a chosen photo is missing or broken.
        TileError: If the map cannot provide a view.
    """
    if count < 1:
        raise ConfigError("count", f"the count must be positive (got {count})", "Ask for at least one photo.")
    records, true = dataset.split(split), dataset.sequences(split)
    opened = open_model(model, device=device) if isinstance(model, str | Path) else model
    was_training = opened.training
    # For a ray matcher take the path to its most probable cell, because it does not answer with its zoomer's steps.
    zooms = opened.decodes_paths and opened.matcher is None
    calibration = None if model is opened else find_calibration(opened.folder, opened.fingerprint, dataset.grid.depth)
    localizer = Localizer(opened, dataset.map, dataset.grid, search="greedy" if zooms else "posterior",
                          decision="top", calibration=calibration)
    pictures = ViewPictures(localizer.views)
    credit = dataset.attribution() if attribution is None else attribution
    chosen = spread(len(records), count, seed)
    written, cases = [], []
    for done, index in enumerate(chosen, 1):
        image_id = records.image_ids[index]
        data = dataset.photos.read(image_id)
        photo = decode_photo(data, dataset.photos.where(image_id), (PHOTO_PIXELS, PHOTO_PIXELS))
        fix = localizer.localize(data)
        position = LatLon(float(records.lat[index]), float(records.lon[index]))
        case = build_case(image_id, photo, pictures, fix.sequence, fix.probabilities,
                          tuple(int(a) for a in true[index]), position, facing_of(fix))
        stem = safe_stem(image_id)
        written.append(save_figure(path_panel(case, credit), out / f"panel_{stem}.png"))
        written.append(write_picture(out / f"zoom_{stem}.gif", zoom_gif(case, credit)))
        cases.append(case)
        if progress:
            progress(done, len(chosen))
    opened.train(was_training)
    whole = pictures.get((), OVERVIEW_PIXELS)
    true_positions = [c.true_position for c in cases if c.true_position is not None]
    written.append(save_figure(overview(whole, dataset.grid, [c.position for c in cases], true_positions, credit,
                                        facing=[c.facing for c in cases]),
                               out / "overview.png"))
    written.append(save_figure(_sheet(cases, credit), out / "sheet.png"))
    return written


def localize_figure(fixes: Fix | Sequence[Fix], localizer: Localizer, path: Path, photos: Sequence[Pixels] | None = None,
                    attribution: str | None = None) -> Path:
    """Draw the zoom paths of fixes without known truth: a panel for one, one sheet for several.

    Args:
        fixes: One fix or several.
        localizer: The localizer that made them.
        path: File to write; its extension selects the format (png, pdf, svg, jpg, webp).
        photos: The photos, uint8 (H, W, 3); default: read again from the fixes' files.
        attribution: Whom to credit at the foot; default: what ATTRIBUTION in the map's folder says, or the published dataset's
            aerial imagery if it is that map.

    Raises:
        ConfigError: If there are no fixes, the format is unknown, or a fix of unnamed bytes comes without its photo.
        PhotoError: If a photo can no longer be read.
    """
    path, several = Path(path), [fixes] if isinstance(fixes, Fix) else list(fixes)
    check_format(path)
    if not several:
        raise ConfigError(path, "there are no fixes to draw", "Give at least one.")
    if photos is not None and len(photos) != len(several):
        raise ConfigError(path, f"{len(photos)} photos for {len(several)} fixes", "Give one photo for each fix.")
    shown = several[:MAX_ON_SHEET]
    pictures = ViewPictures(localizer.views)
    cases = [build_case(Path(f.photo).name if f.photo else f"photo {i + 1}", photos[i] if photos else _photo_of(f, path),
                        pictures, f.sequence, f.probabilities, facing=facing_of(f)) for i, f in enumerate(shown)]
    credit = localizer.map.attribution if attribution is None else attribution
    if len(cases) == 1:
        return save_figure(path_panel(cases[0], credit), path)
    title = f"the first {len(shown)} of {len(several)} photos" if len(several) > len(shown) else None
    return save_figure(sheet(cases, credit, title), path)


def heat_figure(fix: Fix, posterior: Posterior, localizer: Localizer, path: Path, attribution: str | None = None) -> Path:
    """Draw where a photo may have been taken, over the map.

    Args:
        fix: The photo's fix.
        posterior: Its posterior.
        localizer: The localizer that made them.
        path: File to write; its extension selects the format (png, pdf, svg, jpg, webp).
        attribution: Whom to credit at the foot; default: whom the map names.

    Raises:
        ConfigError: If the format is unknown.
        TileError: If the map cannot provide the view of the region.
    """
    check_format(path)
    return save_figure(heat_map(
        ViewPictures(localizer.views).get((), sizes=OVERVIEW_PIXELS), posterior, fix.position,
        name=Path(fix.photo).name if fix.photo else "", words=fix_words(fix),
        attribution=localizer.map.attribution if attribution is None else attribution, facing=facing_of(fix)), path)


def fix_words(fix: Fix) -> str:
    """Return in words how a fix was made."""
    return f"{fix.decision}, {fix.searched}" + (", calibrated" if fix.calibrated else "")


def facing_of(fix: Fix) -> Facing | None:
    """Return which way a photo faces according to its fix; None if that is unknown."""
    if fix.heading_deg is None or fix.heading_sigma_deg is None:
        return None
    return Facing(fix.heading_deg, fix.heading_sigma_deg)


def spread(total: int, count: int, seed: int) -> list[int]:
    """Return indices of `count` of `total` items: one drawn from each of `count` equal stretches."""
    count = min(count, total)
    rng = np.random.default_rng(seed)
    edges = np.linspace(0, total, count + 1).astype(int)
    return [int(rng.integers(low, high)) for low, high in pairwise(edges)]


def _sheet(cases: list[Case], credit: str) -> Figure:
    shown = [cases[i] for i in spread(len(cases), MAX_ON_SHEET, 0)]
    title = f"{len(shown)} of {len(cases)} photos" if len(cases) > len(shown) else None
    return sheet(shown, credit, title)


def _photo_of(fix: Fix, path: Path) -> Pixels:
    if fix.photo is None:
        raise ConfigError(path, "a fix of unnamed bytes has no photo file to draw", "Give the photos together with the fixes.")
    return decode_photo(read_photo(Path(fix.photo)), fix.photo, (PHOTO_PIXELS, PHOTO_PIXELS))
