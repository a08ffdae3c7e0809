"""`jzi data synth`: build a synthetic town in the dataset card's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from justzoomin.apps.shared.console import out, stage_bars

_LABELS = {"town": "building the town", "overhead": "overhead image", "photos": "street photos"}


def synth(
    dest: Annotated[Path, typer.Argument(help="Folder to make; it must not exist or be empty.")],
    seed: Annotated[int, typer.Option(help="Number of the town.", min=0)] = 0,
    size_m: Annotated[float, typer.Option("--size-m", help="Side of the square town, metres.")] = 320.0,
    photos: Annotated[int, typer.Option(help="Training photos.", min=0)] = 2000,
    val_photos: Annotated[int | None, typer.Option("--val-photos", help="Validation photos (default: a 20th).", min=0)] = None,
    held_out: Annotated[int, typer.Option("--held-out", help="Further photos like the training photos, to calibrate on: split "
                                                             "held_out.", min=0)] = 0,
    split: Annotated[str, typer.Option(help="How the splits differ: by drive, or by place too: block.")] = "drive",
    gsd_m: Annotated[float, typer.Option("--gsd-m", help="Overhead image, metres per pixel.")] = 0.125,
    depth: Annotated[int, typer.Option(help="Zoom steps; the last cell is size / grid^depth wide.")] = 3,
    grid: Annotated[int, typer.Option(help="Cells per side at every zoom step.")] = 4,
    photo_width: Annotated[int, typer.Option("--photo-width", help="Photo width, pixels.")] = 256,
    photo_height: Annotated[int, typer.Option("--photo-height", help="Photo height, pixels.")] = 144,
    workers: Annotated[int | None, typer.Option(help="Processes that render. Default: all cores.", min=1)] = None,
) -> None:
    """Build a synthetic town: overhead image and street photos in the dataset's own layout.

    The same numbers give the same bytes. Nothing of it exists: it is free of anyone's rights (CC0).
    """
    from pydantic import ValidationError

    from justzoomin.city import CityConfig, build_city, is_town
    from justzoomin.errors import ConfigError

    values = {"seed": seed, "size_m": size_m, "photos": photos, "val_photos": val_photos, "held_out": held_out, "split": split,
              "gsd_m": gsd_m, "depth": depth, "grid": grid, "photo_width": photo_width, "photo_height": photo_height}
    if workers is not None:
        values["workers"] = workers
    try:
        config = CityConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + "-".join(str(part) for part in first["loc"]).replace("_", "-")
        raise ConfigError(option, first["msg"], f"It was {first['input']!r}; see `jzi data synth --help`.") from error
    there = is_town(dest, config)
    with stage_bars("synthetic town") as advance:
        path = build_city(dest, config, lambda stage, done, total: advance(_LABELS.get(stage, stage), done, total))
    if there:
        out().print(f"{path}: this town is there already; nothing was done", markup=False)
        return
    out().print(f"{path}: {config.photos:,} training and {config.val_photos:,} validation photos, town {config.seed}")
