"""`jzi data ready`: resize the photos of splits to a model's size, once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from justzoomin.apps.shared.console import out as console
from justzoomin.apps.shared.console import stage_bars


def ready(
    root: Annotated[Path, typer.Argument(help="Folder of the dataset, as downloaded or extracted.")],
    pixels: Annotated[int, typer.Option(help="Height of the photos in pixels: image_pixels of the model.", min=8, max=4096)],
    split: Annotated[list[str] | None, typer.Option(help="Name of a split; may be repeated. Default: all splits.")] = None,
    decode: Annotated[str, typer.Option(
        help="How photos are decoded, as the model's photo_decode: full, scaled or quick.")] = "scaled",
    least_crop: Annotated[float | None, typer.Option(
        "--least-crop", help="Smallest share of a photo that a random crop keeps (lower end of augment.crop_scale). Default: "
        "no crops.", min=0.05, max=1.0)] = None,
    photo_fit: Annotated[str, typer.Option(
        "--photo-fit", help="How photos become 2:1, as the model's photo_fit: squeeze, crop or fit.")] = "squeeze",
    frame_fov: Annotated[float, typer.Option(
        "--frame-fov", help="With --photo-fit: the model's matcher.assumed_fov_deg.", min=1.0, max=170.0)] = 75.0,
    encoding: Annotated[str, typer.Option(help="Format of the photos: raw (exact) or jpeg (smaller, not exact).")] = "raw",
    dest: Annotated[Path | None, typer.Option(
        "--out", help="Folder to write into. Default: ready/ in the dataset's folder.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only print how much space it takes.")] = False,
    workers: Annotated[int | None, typer.Option(help="Number of threads that decode. Default: one per core.", min=1)] = None,
) -> None:
    """Resize photos once, for faster training with jzi train --set ready_photos=DIR.

    See docs/photo-cache.md.
    """
    from justzoomin.data import Frame, ReadyKind, make_ready, open_dataset, ready_plan
    from justzoomin.errors import ConfigError
    from justzoomin.files import refuse_links

    for option, value, known in (("--decode", decode, ("full", "scaled", "quick")), ("--encoding", encoding, ("raw", "jpeg")),
                                 ("--photo-fit", photo_fit, ("squeeze", "crop", "fit"))):
        if value not in known:
            raise ConfigError(option, f"unknown value {value!r}", f"Choose from: {', '.join(known)}.")
    frame = Frame(photo_fit, frame_fov)  # type: ignore[arg-type]
    if frame.uses_cameras and least_crop is not None:
        raise ConfigError("--least-crop", f"photos of --photo-fit {photo_fit} are not cropped at random", "Leave it out.")
    dataset = open_dataset(root)
    folder = dest or refuse_links(root, root / "ready")
    for name in split or sorted(dataset.split_paths):
        ids = dataset.split(name).image_ids
        cameras = dataset.cameras(ids) if frame.uses_cameras else {}
        kind = ReadyKind(name, pixels, decode, least_crop, encoding, frame, cameras)  # type: ignore[arg-type]
        needs = ready_plan(dataset.photos, ids, kind, folder)
        console().print(f"{needs.folder}: {needs.photos:,} photos, about {needs.bytes / 1e6:,.1f} MB; "
                        f"{needs.free / 1e9:,.1f} GB are free")
        if plan:
            continue
        with stage_bars("ready photos") as advance:
            path = make_ready(dataset.photos, ids, kind, folder, workers=workers,
                              progress=partial(advance, name))
        console().print(f"{path}: {sum(p.stat().st_size for p in path.iterdir()) / 1e6:,.1f} MB")
