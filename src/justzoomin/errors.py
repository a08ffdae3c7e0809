"""Errors of the package: each names the file, field or position that is wrong and says what to do."""

from __future__ import annotations

import errno
from pathlib import Path


class JustZoomInError(Exception):
    """Base of every error that the package raises on purpose.

    Args:
        where: The file, field, position or option that is wrong.
        what: What is wrong with it: a sentence without a full stop at the end.
        remedy: What the user can do about it: a sentence.
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
    """A region, grid, sequence or position is impossible."""


class OffRegionError(GeometryError):
    """A position is outside the region."""


class LayoutError(JustZoomInError):
    """A `layout.yaml` or `region.yaml` is missing or cannot be understood."""


class TileError(JustZoomInError):
    """A tile, level or shard of a map is missing, broken or of the wrong size."""


class DataError(JustZoomInError):
    """A dataset, split table or record is missing, broken or contradictory."""


_AGAIN = "and run the same command again."
_DISK = {
    errno.ENOSPC: ("the disk is full", f"Free some room {_AGAIN}"),
    errno.EDQUOT: ("your disk quota is used up", f"Free some room {_AGAIN}"),
    errno.EFBIG: ("files cannot become this large here", f"Write to another disk, or raise the limit (ulimit -f), {_AGAIN}"),
    errno.EIO: ("the disk reports an error", f"Check the disk {_AGAIN}"),
}


class DiskError(DataError, OSError):
    """A file cannot be written because the disk is full or reports an error. It is also an `OSError`.

    Args:
        where: The file.
        error: The error of the operating system.
    """

    def __init__(self, where: str | Path, error: OSError) -> None:
        words = " ".join(str(error.strerror or error).split())
        super().__init__(where, *_DISK.get(error.errno or 0, (
            words, "Check that it exists, that you may read or write it, and that the disk has room.")))
        self.errno, self.strerror, self.filename = error.errno, error.strerror, str(where)

    def __reduce__(self) -> tuple[type[DiskError], tuple[str, OSError]]:
        """Pickle the error with the arguments of its constructor."""
        return DiskError, (self.where, OSError(self.errno, self.strerror))


class PhotoError(JustZoomInError):
    """A photo is missing, is not an image, is broken, or has an impossible size."""


class ModelError(JustZoomInError):
    """A model, checkpoint or its configuration is missing, broken or does not fit."""


class TrainingError(JustZoomInError):
    """A training run cannot start, continue or resume."""


class ClusterError(JustZoomInError):
    """A cluster cannot be joined, has no free resources, or its workers end repeatedly."""


class MissingExtraError(JustZoomInError):
    """An optional dependency is needed and not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, "this optional package is not installed",
                         f"Install it with: pip install 'justzoomin[{extra}]'.")
