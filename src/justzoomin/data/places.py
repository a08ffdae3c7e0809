"""Locations of a dataset's parts: below one folder, or at the three paths of the dataset card's loader."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from justzoomin.data.photos import FolderPhotos, PhotoStore, open_photos
from justzoomin.errors import DataError
from justzoomin.untrusted import files_in

_CARD_NAME = re.compile(r"large_area_(?P<name>.+)_map")


@dataclass(frozen=True)
class Places:
    """Locations of the tables, photos and map of a dataset.

    Attributes:
        root: The repository's folder, which also holds the attribution and the tables of photos.
        metadata_csv: Table of one split, if the dataset was given by the card's three paths; None for a complete repository.
        ground_root: Folder of the photos `<image_id>_undistorted.jpg`; None to look below `root`.
        tile_layout: The map's layout.yaml; None to look below `root`.
    """

    root: Path
    metadata_csv: Path | None = None
    ground_root: Path | None = None
    tile_layout: Path | None = None

    @classmethod
    def of_card(cls, metadata_csv: str | Path, ground_root: str | Path, tile_layout: str | Path) -> Places:
        """Build the locations from the three paths that the dataset card names; their folders may be anywhere.

        Raises:
            DataError: If a path is missing or of the wrong kind. It names the path.
        """
        table, photos, layout = Path(metadata_csv), Path(ground_root), Path(tile_layout)
        for path, there, option, what in (
                (table, table.is_file(), "metadata_csv", "the table of a split, such as metadata/large_area_train_map.csv"),
                (photos, photos.is_dir(), "ground_root", "the folder of the photos, such as streetview/images"),
                (layout, layout.is_file(), "tile_layout", "the map's layout file, such as satellite/layout.yaml")):
            if not there:
                kind = "folder" if path is photos else "file"
                raise DataError(f"{option} {path}", f"there is no such {kind}", f"Give {what}.")
        root = table.absolute().parent
        return cls(root.parent if root.name == "metadata" else root, table, photos, layout)

    @property
    def map(self) -> Path:
        """Path for `Map.open`."""
        return self.tile_layout or self.root

    @property
    def split(self) -> str | None:
        """Name of the split that `metadata_csv` holds; None for a complete repository."""
        return None if self.metadata_csv is None else split_name(self.metadata_csv.stem)

    def splits(self) -> dict[str, Path]:
        """Return names and files of the splits: the repository's, or the given table and those beside it with card names.

        Raises:
            DataError: If two tables of one format have the same split name.
        """
        if self.metadata_csv is None:
            return find_splits(self.root)
        beside = {split_name(p.stem): p for p in files_in(self.metadata_csv.parent, f"[!.]*{self.metadata_csv.suffix}")
                  if _CARD_NAME.fullmatch(p.stem)}
        return beside | {split_name(self.metadata_csv.stem): self.metadata_csv}

    def photos(self, without: Collection[Path] = ()) -> PhotoStore:
        """Open the photos.

        Args:
            without: Shards that are not opened.

        Raises:
            DataError: If there are no photos.
        """
        return open_photos(self.root, without) if self.ground_root is None else FolderPhotos(self.ground_root)


def split_name(stem: str) -> str:
    """Return the name of the split in a table of `metadata/`, from the file name without its suffix."""
    match = _CARD_NAME.fullmatch(stem)
    return match["name"] if match else stem


def find_splits(root: Path) -> dict[str, Path]:
    """Return names and files of the splits in `metadata/`.

    Raises:
        DataError: If two tables of one format have the same split name, or the folder cannot be read.
    """
    found: dict[str, Path] = {}
    for suffix in (".csv", ".parquet"):  # Parquet comes last, so it is preferred
        for path in files_in(root / "metadata", "[!.]*" + suffix):
            name = split_name(path.stem)
            if name in found and found[name].suffix == suffix:
                raise DataError(path, f"this table and {found[name].name} both hold the split {name!r}",
                                "Rename or remove one of them.")
            found[name] = path
    return found
