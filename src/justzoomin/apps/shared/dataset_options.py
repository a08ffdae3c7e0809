"""Options that name a dataset by three paths, as the loader of the dataset card does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from justzoomin.data import Places

MetadataOption = Annotated[Path | None, typer.Option(
    "--metadata-csv", help="Instead of the dataset's folder: table of a split (metadata_csv of the dataset card).")]
GroundOption = Annotated[Path | None, typer.Option(
    "--ground-root", help="With --metadata-csv: folder of the photos (ground_root of the dataset card).")]
LayoutOption = Annotated[Path | None, typer.Option(
    "--tile-layout", help="With --metadata-csv: layout.yaml of the map (tile_layout of the dataset card).")]


def places(root: Path | None, metadata_csv: Path | None, ground_root: Path | None, tile_layout: Path | None) -> Places:
    """Return where the parts of the named dataset are.

    Raises:
        ConfigError: If no dataset is named, or one is named in two ways.
        DataError: If a path is missing.
    """
    from justzoomin.data import find_places
    from justzoomin.errors import ConfigError

    card = {"--metadata-csv": metadata_csv, "--ground-root": ground_root, "--tile-layout": tile_layout}
    given = [option for option, path in card.items() if path is not None]
    if (root is not None) == bool(given) or 0 < len(given) < len(card):
        what = "no dataset is named"
        if given:
            words = ", ".join(given)
            what = f"only {words} is given" if root is None else f"the folder {root} and {words} are given"
        raise ConfigError("dataset", what, f"Give the dataset's folder, or {', '.join(card)} together.")
    return find_places(root, metadata_csv, ground_root, tile_layout)
