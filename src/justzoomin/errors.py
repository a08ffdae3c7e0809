"""One family of errors: each names the file, field or position, and says what to do about it."""

from __future__ import annotations

import errno
from pathlib import Path


class JustZoomInError(Exception):
    """Base of every error this package raises on purpose.

    Args:
        where: The file, field, position or option that is wrong.
        what: What is wrong with it, in one sentence without a final stop.
        remedy: What the reader can do about it, as a sentence.
    """

    def __init__(self, where: str | Path, what: str, remedy: str) -> None:
        self.where = str(where)
        self.what = what
        self.remedy = remedy
        super().__init__(self.where, what, remedy)

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.remedy}"


class ConfigError(JustZoomInError):
    """A setting, option or configuration file is wrong."""


class GeometryError(JustZoomInError):
    """A region, grid, sequence or position cannot be right."""


class OffRegionError(GeometryError):
    """A position lies outside the region that was asked about."""


class LayoutError(JustZoomInError):
    """A `layout.yaml` or `region.yaml` is missing or cannot be understood."""


class TileError(JustZoomInError):
    """A tile, level or shard of a map is missing, broken or of the wrong size."""


class DataError(JustZoomInError):
    """A dataset, split table or record is missing, broken or contradicts itself."""


_AGAIN = "and run the same command again."
_DISK = {
    errno.ENOSPC: ("the disk is full", f"Free some room {_AGAIN}"),
    errno.EDQUOT: ("your share of the disk is used up", f"Free some room {_AGAIN}"),
    errno.EFBIG: ("a file cannot become this large here", f"Write to another disk, or raise the limit (ulimit -f), {_AGAIN}"),
    errno.EIO: ("the disk reports an error", f"Check the disk {_AGAIN}"),
}


class DiskError(DataError, OSError):
    """A file cannot be written, because the disk is full or reports an error. It is an `OSError` too.

    Args:
        where: The file.
        error: What the system said.
    """

    def __init__(self, where: str | Path, error: OSError) -> None:
        words = " ".join(str(error.strerror or error).split())
        super().__init__(where, *_DISK.get(error.errno or 0, (
            words, "Check that it is there, that you may read or write it, and that the disk has room.")))
        self.errno, self.strerror, self.filename = error.errno, error.strerror, str(where)

    def __reduce__(self) -> tuple[type[DiskError], tuple[str, OSError]]:
        """Pickle it as it was made."""
        return DiskError, (self.where, OSError(self.errno, self.strerror))


class PhotoError(JustZoomInError):
    """A photo is missing, is no image, is broken, or has an impossible size."""


class ModelError(JustZoomInError):
    """A model, checkpoint or its configuration is missing, broken or does not fit."""


class TrainingError(JustZoomInError):
    """A training run cannot start, continue or resume."""


class ClusterError(JustZoomInError):
    """A cluster cannot be joined, has no room, or its workers end again and again."""


class MissingExtraError(JustZoomInError):
    """An optional dependency is needed and not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, "this optional package is not installed",
                         f"Install it with: pip install 'justzoomin[{extra}]'.")
