"""The list of a folder's files with their sizes and SHA-256 hashes: `hashes.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from justzoomin.archives.filestamps import FileProblem, FileStamp, compare_files, plain_path
from justzoomin.errors import DataError
from justzoomin.files import write_bytes
from justzoomin.untrusted import printable, read_limited

MANIFEST_FILE = "hashes.json"
FORMAT = "justzoomin-files/1"
_MAX_BYTES = 64 << 20
_MAX_FILES = 1_000_000
_REMEDY = "Download the folder again."


@dataclass(frozen=True)
class Manifest:
    """What the files of a folder must be.

    Args:
        files: Size and SHA-256 of each file, by its path below the folder.
    """

    files: dict[str, FileStamp]

    @classmethod
    def of(cls, folder: Path, names: Iterable[str]) -> Manifest:
        """Hash files of a folder.

        Args:
            folder: The folder.
            names: Paths below it.

        Raises:
            OSError: If a file cannot be read.
        """
        empty = FileStamp(0, "sha256", "0" * 64)
        return cls({name: FileStamp((folder / name).stat().st_size, "sha256", empty.digest_of(folder / name))
                    for name in sorted(names)})

    @classmethod
    def load(cls, folder: Path) -> Manifest | None:
        """Read the list of a folder; None if the folder has none.

        Raises:
            DataError: If it cannot be read, or names a file outside the folder.
        """
        path = folder / MANIFEST_FILE
        return cls.read(path) if path.exists() else None

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a list.

        Raises:
            DataError: If it cannot be read, or names a file outside its folder.
        """
        try:
            content = json.loads(read_limited(path, _MAX_BYTES))
            rows = content["files"] if isinstance(content, dict) and content.get("format") == FORMAT else None
            if not isinstance(rows, dict) or len(rows) > _MAX_FILES:
                raise ValueError(f'its "format" is not "{FORMAT}", or it has no list of files')
            found = cls({name: FileStamp(row["bytes"], "sha256", row["sha256"]) for name, row in rows.items()})
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise DataError(path, f"the list of files cannot be read ({printable(reason)})", _REMEDY) from error
        for name in found.files:
            if not plain_path(name):
                raise DataError(path, f"it lists {printable(name, 80)!r}, a path that leads out of its folder", _REMEDY)
        return found

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        rows = {name: {"bytes": stamp.size, "sha256": stamp.digest} for name, stamp in sorted(self.files.items())}
        return (json.dumps({"format": FORMAT, "files": rows}, indent=1) + "\n").encode()

    def save(self, folder: Path) -> Path:
        """Write the list into its folder and return the path.

        Raises:
            OSError: If it cannot be written.
        """
        return write_bytes(folder / MANIFEST_FILE, self.to_bytes())

    def problems(self, folder: Path) -> list[FileProblem]:
        """Return the listed files that are missing or differ; sizes are compared first, then hashes."""
        wrong = [FileProblem(name, detail) for name, stamp in self.files.items()
                 if (detail := stamp.problem(folder / name)) is not None]
        return wrong or compare_files(folder, self.files.items())
