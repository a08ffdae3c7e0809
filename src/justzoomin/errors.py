"""One family of errors: each names the file, field or position, and says what to do about it."""

from __future__ import annotations

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
