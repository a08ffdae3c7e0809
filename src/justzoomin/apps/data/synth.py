"""`jzi data synth`: build a synthetic town in the dataset card's layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from justzoomin.apps.shared.console import out, stage_bars
from justzoomin.apps.shared.settings_options import Change, from_settings

if TYPE_CHECKING:
    from justzoomin.city import CityConfig

_LABELS = {"town": "building the town", "overhead": "overhead image", "photos": "street photos"}


@from_settings(
    "justzoomin.city:CityConfig",
    {None: "seed size_m districts photos val_photos held_out split gsd_m depth grid photo_width photo_height workers"},
    dict.fromkeys(("seed", "photos", "val_photos", "held_out", "workers"), Change(usage=True)))
def synth(
    dest: Annotated[Path, typer.Argument(help="Folder to make. It must be missing or empty.")],
    config: CityConfig,
    labels: Annotated[bool, typer.Option("--labels", help="Also write labels.npz: kinds of surface, heights and distances, to "
                                                          "supervise a training (matching.supervision).")] = False,
) -> None:
    """Build a synthetic town: an overhead image and street photos in the layout of the published dataset.

    The same options give the same bytes. The town does not exist, so nobody has rights in the images (CC0).
    """
    from justzoomin.city import LABELS_FILE, build_city, is_town

    there = is_town(dest, config)
    labelled = (dest / LABELS_FILE).is_file()
    with stage_bars("synthetic town") as advance:
        path = build_city(dest, config, lambda stage, done, total: advance(_LABELS.get(stage, stage), done, total),
                          labels=labels)
    if there and labels and not labelled:
        out().print(f"{dest / LABELS_FILE}: the labels of this town, which already existed", markup=False)
        return
    if there:
        out().print(f"{path}: this town already exists; nothing was done", markup=False)
        return
    out().print(f"{path}: {config.photos:,} training and {config.val_photos:,} validation photos, town {config.seed}")
