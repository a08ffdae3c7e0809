"""Whether a downloaded or extracted folder is complete: its record files, and the check whenever a folder is opened.

`ROOT/.jzi-download.json` lists every file of a download with size and hash. It is written before the first file arrives and
says `complete` only after all files were checked. `DEST/.jzi-extract.json` does the same for the shards being unpacked.
A folder without either was made by hand: nothing is known about it, and nothing is required of it.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from justzoomin.archives.filestamps import FileProblem, FileStamp, Progress, compare_files, plain_path
from justzoomin.errors import DataError
from justzoomin.files import sync_folder, write_json

DOWNLOAD_RECORD = ".jzi-download.json"
EXTRACT_RECORD = ".jzi-extract.json"
BUILD_RECORD = ".jzi-map-build.json"
"""Written by `jzi map build`, which defines all of its fields except `format` and `complete`."""
FORMAT = 1
_MAX_BYTES = 1 << 28

@dataclass(frozen=True)
class DownloadRecord:
    """What a folder was downloaded from, and the files that it must contain.

    Args:
        repo_id: The repository on the hub, `owner/name`.
        revision: The requested branch, tag or commit.
        commit: The commit it was resolved to.
        endpoint: The hub, if it is not the default one.
        asked: The selection as requested, to recognize it later.
        licence: What the card states.
        attribution: Whom to credit.
        levels: Selected levels of the map.
        splits: Selected splits.
        files: Every file by its path below the folder.
        complete: Whether all files were present and checked.
        extracted: Shards that `jzi data extract --delete-archives` removed.
    """

    repo_id: str
    revision: str
    commit: str
    endpoint: str | None
    asked: dict[str, Any]
    licence: str
    attribution: str
    levels: tuple[int, ...]
    splits: tuple[str, ...]
    files: dict[str, FileStamp]
    complete: bool = False
    extracted: dict[str, FileStamp] = field(default_factory=dict)

    def problems(self, root: Path) -> list[FileProblem]:
        """Return the files that are missing or have another size, without reading their content."""
        found = ((name, stamp.problem(root / name)) for name, stamp in self.files.items())
        return [FileProblem(name, detail) for name, detail in found if detail]

    def save(self, root: Path) -> None:
        """Write the record into a folder, atomically.

        Raises:
            OSError: If the record cannot be written.
        """
        _save(self, root / DOWNLOAD_RECORD)

    @classmethod
    def load(cls, root: Path) -> Self | None:
        """Return the record of a folder, or None if it has none.

        Raises:
            DataError: If the record cannot be read.
        """
        path = root / DOWNLOAD_RECORD
        values = _load(path, f"Move the file away and run again: jzi data download {shlex.quote(str(root))}. "
                             "Correct files are kept.")
        if values is None:
            return None
        try:
            for name in ("files", "extracted"):
                values[name] = {_checked(key): FileStamp(**stamp) for key, stamp in values[name].items()}
            values["levels"], values["splits"] = tuple(values["levels"]), tuple(values["splits"])
            record = cls(**values)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(path, f"the record of the download is invalid ({str(error)[:200]})",
                            f"Move the file away and run `jzi data download {shlex.quote(str(root))}` again. "
                            "Correct files are kept.") from error
        texts = (record.repo_id, record.revision, record.commit, record.licence, record.attribution, *record.splits)
        if not (all(isinstance(text, str) for text in texts) and all(type(level) is int for level in record.levels)
                and isinstance(record.complete, bool) and isinstance(record.asked, dict)):
            raise DataError(path, "some fields have the wrong type", "Move the file away and download again.")
        return record


@dataclass(frozen=True)
class ExtractRecord:
    """What was unpacked into a folder, and what is still missing.

    Args:
        source: The folder that holds the archives.
        shards: All shards by name, with their bytes.
        begun: Shards of which some members may already be written.
        done: Shards that were unpacked and compared.
        complete: Whether all shards are done, and the other files are copied.
        origin: Repository and commit that the source was downloaded from, if known.
    """

    source: str
    shards: dict[str, int]
    begun: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    complete: bool = False
    origin: str = ""

    def save(self, root: Path) -> None:
        """Write the record into a folder, atomically.

        Raises:
            OSError: If the record cannot be written.
        """
        _save(self, root / EXTRACT_RECORD)

    @classmethod
    def load(cls, root: Path) -> Self | None:
        """Return the record of a folder, or None if it has none.

        Raises:
            DataError: If the record cannot be read.
        """
        remedy = "Extract into an empty folder."
        path = root / EXTRACT_RECORD
        values = _load(path, remedy)
        if values is None:
            return None
        try:
            record = cls(**{**values, "begun": tuple(values["begun"]), "done": tuple(values["done"])})
        except (KeyError, TypeError) as error:
            raise DataError(path, f"the record of the extraction is invalid ({str(error)[:200]})", remedy) from error
        names = [*record.begun, *record.done]
        if not (isinstance(record.source, str) and isinstance(record.complete, bool) and isinstance(record.shards, dict)
                and all(isinstance(name, str) and name in record.shards for name in names)):
            raise DataError(path, "some fields have the wrong type", remedy)
        return record


def _save(record: DownloadRecord | ExtractRecord, path: Path) -> None:
    write_json({"format": FORMAT, **asdict(record)}, path)
    sync_folder(path.parent)


def _load(path: Path, remedy: str) -> dict[str, Any] | None:
    """Return the values of a record file, after checking and removing its format."""
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise DataError(path, f"the record is too large ({size} bytes)", remedy)
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(path, f"the record cannot be read ({str(error)[:200]})", remedy) from error
    if not isinstance(values, dict) or (found := values.pop("format", None)) != FORMAT:
        stated = found if isinstance(values, dict) else None
        raise DataError(path, f"the record must have format {FORMAT} (got {str(stated)[:40]!r})", remedy)
    return values


def _checked(name: str) -> str:
    if not plain_path(name):
        raise ValueError(f"the path {name[:200]!r} leads out of the folder")
    return name


def _places(root: Path) -> list[Path]:
    """Return the folders whose records matter if `root` is opened: a repository, its satellite folder or a layout.yaml."""
    folder = root.parent if root.name == "layout.yaml" else root
    named = folder.resolve() if folder.name in {"", ".."} else folder
    return [folder, named.parent] if named.name == "satellite" else [folder]


def require_complete(root: Path | str, *, extraction: bool = True) -> None:
    """Raise an error if a download or extraction is unfinished, or if a downloaded file has disappeared since.

    Checks names and sizes only. A folder without a record passes.

    Args:
        root: The opened path: a repository, its `satellite` folder or a layout.yaml.
        extraction: Whether to check for an unfinished extraction too.

    Raises:
        DataError: Naming the first file, the number of such files, and the command that continues.
    """
    for place in _places(Path(root)):
        unpacked = ExtractRecord.load(place) if extraction else None
        if unpacked is not None and not unpacked.complete:
            raise DataError(place, f"only {len(unpacked.done)} of {len(unpacked.shards)} archives are extracted here",
                            f"Continue with: {extract_command(unpacked.source, place)}.")
        build = _load(place / BUILD_RECORD, "Run the same `jzi map build` again.")
        if build is not None and build.get("complete") is not True:
            raise DataError(place, "the map is only partly built", "To continue, run the same `jzi map build` again.")
        record = DownloadRecord.load(place)
        if record is None:
            continue
        problems = record.problems(place)
        remedy = f"Continue with: jzi data download {shlex.quote(str(place))}."
        if problems:
            first, count = problems[0], len(problems)
            rest = f" ({count} of {len(record.files)} files of the download are missing or of the wrong size)"
            raise DataError(place / first.path, f"the download is not complete: {first.detail}{rest}", remedy)
        if not record.complete:
            raise DataError(place, "the download was not finished", remedy)


def extract_command(source: str | Path, dest: Path) -> str:
    """Return the command that continues an extraction."""
    return f"jzi data extract {shlex.quote(str(source))} {shlex.quote(str(dest))}"


def check_hashes(root: Path | str, progress: Progress | None = None, workers: int = 4) -> list[FileProblem]:
    """Read every file of a download and compare its size and hash with the record.

    Args:
        root: The folder of the download.
        progress: Called with "hashes, MB", the megabytes read and all megabytes.
        workers: Number of threads that read.

    Returns:
        The problems, in the record's order; empty if there is no record.

    Raises:
        DataError: If the record cannot be read.
    """
    folder = Path(root)
    record = DownloadRecord.load(folder)
    if record is None:
        return []
    return compare_files(folder, record.files.items(), progress, workers)
