"""Where the parts of a dataset are: below one folder, or at the three paths of the dataset card's loader."""

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
    """Where tables, photos and map of a dataset are.

    Attributes:
        root: The repository's folder; what stands beside the tables (attribution, tables of photos) is looked for there.
        metadata_csv: Table of one split, where the dataset was named by the card's three paths; None for a whole repository.
        ground_root: Folder of the photos `<image_id>_undistorted.jpg`; None to look below `root`.
        tile_layout: The map's layout.yaml; None to look below `root`.
    """

    root: Path
    metadata_csv: Path | None = None
    ground_root: Path | None = None
    tile_layout: Path | None = None

    @classmethod
    def of_card(cls, metadata_csv: str | Path, ground_root: str | Path, tile_layout: str | Path) -> Places:
        """The three paths that the dataset card names, in whatever folders they are.

        Raises:
            DataError: If one of them is missing or of the wrong kind; it is named.
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
        """What `Map.open` opens."""
        return self.tile_layout or self.root

    @property
    def split(self) -> str | None:
        """Name of the split that `metadata_csv` holds; None where a whole repository is meant."""
        return None if self.metadata_csv is None else split_name(self.metadata_csv.stem)

    def splits(self) -> dict[str, Path]:
        """Names and files of the splits: the repository's, or the named table and those beside it with the card's names.

        Raises:
            DataError: If two tables of one kind would go by the same name.
        """
        if self.metadata_csv is None:
            return find_splits(self.root)
        beside = {split_name(p.stem): p for p in files_in(self.metadata_csv.parent, f"[!.]*{self.metadata_csv.suffix}")
                  if _CARD_NAME.fullmatch(p.stem)}
        return beside | {split_name(self.metadata_csv.stem): self.metadata_csv}

    def photos(self, without: Collection[Path] = ()) -> PhotoStore:
        """The photos.

        Args:
            without: Shards that are left closed.

        Raises:
            DataError: If there are none.
        """
        return open_photos(self.root, without) if self.ground_root is None else FolderPhotos(self.ground_root)


def split_name(stem: str) -> str:
    """The split that a table in `metadata/` holds, by its file's name without the suffix."""
    match = _CARD_NAME.fullmatch(stem)
    return match["name"] if match else stem


def find_splits(root: Path) -> dict[str, Path]:
    """Names and files of the splits in `metadata/`.

    Raises:
        DataError: If two tables of one kind would go by the same name, or the folder cannot be read.
    """
    found: dict[str, Path] = {}
    for suffix in (".csv", ".parquet"):  # Parquet last: it wins
        for path in files_in(root / "metadata", "[!.]*" + suffix):
            name = split_name(path.stem)
            if name in found and found[name].suffix == suffix:
                raise DataError(path, f"it and {found[name].name} are both the split {name!r}", "Rename or remove one.")
            found[name] = path
    return found
