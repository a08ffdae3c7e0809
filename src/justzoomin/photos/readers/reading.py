"""Read located photos from a user's file or folder: find its kind, then call its reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from justzoomin.data import is_photo, walk
from justzoomin.errors import ConfigError, DataError
from justzoomin.photos.readers.gpx import read_gpx_folder
from justzoomin.photos.readers.json_input import LINE_ENDINGS, json_values
from justzoomin.photos.readers.located_tables import is_table, read_table
from justzoomin.photos.readers.mapillary import ATTRIBUTION, JSON_ENDINGS, LICENSE, is_mapillary, read_mapillary
from justzoomin.photos.readers.options import Progress, SourceOptions
from justzoomin.photos.readers.photo_folder import read_exif_folder
from justzoomin.photos.readers.records import PhotoRecord, Skipped

KINDS = ("exif", "table", "gpx", "mapillary")
"""Folder of photos with EXIF; table of positions; GPX track and camera times; JSON of the Mapillary API v4."""
_LOOKED_AT = 5
_Reader = Callable[[Path, SourceOptions, Progress | None], tuple[list[PhotoRecord], list[Skipped]]]
_READERS: dict[str, _Reader] = {"exif": read_exif_folder, "table": read_table, "gpx": read_gpx_folder,
                                "mapillary": read_mapillary}
_GIVE = "Give a folder of photos, a table (CSV, Parquet, GeoJSON), a GPX track or Mapillary JSON."
_CHOOSE = "Give the file with the positions, or choose with --kind " + ", ".join(KINDS) + "."


@dataclass(frozen=True)
class Source:
    """The result of reading a source.

    Attributes:
        path: The file or folder.
        kind: One of `KINDS`.
        records: Located photos, in a stable order, with unique ids.
        skipped: What was found but not used.
        attribution: Whom to credit for everything; None if the source does not say.
        license: The licence of everything; None if the source does not say.
        notes: Facts for the reader of a report, as sentences.
    """

    path: Path
    kind: str
    records: tuple[PhotoRecord, ...]
    skipped: tuple[Skipped, ...]
    attribution: str | None = None
    license: str | None = None
    notes: tuple[str, ...] = ()


def read_source(source: Path, *, kind: str | None = None, options: SourceOptions | None = None,
                progress: Progress | None = None) -> Source:
    """Read the located photos of a source.

    Args:
        source: A folder of photos, a table (CSV, Parquet, GeoJSON), a GPX track or a folder with one, or JSON of the
            Mapillary API v4 (a file, or a folder with a file per photo).
        kind: One of `KINDS`; None to detect it.
        options: What the source does not say.
        progress: Called with counts while files are read.

    Raises:
        ConfigError: If an option is wrong.
        DataError: If the source is missing, unreadable, ambiguous or without photos.
        MissingExtraError: If a package of the extra `own` is needed and missing.
    """
    options = options or SourceOptions()
    if kind is not None and kind not in KINDS:
        raise ConfigError("--kind", f"unknown kind of source {kind!r}", "Choose one of " + ", ".join(KINDS) + ".")
    if not source.exists():
        raise DataError(source, "the file or folder does not exist", _GIVE)
    kind, path = _chosen(source, kind) if kind else detect(source, options)
    _check_options(kind, options)
    records, skipped = _READERS[kind](path, options, progress)
    if not records and not skipped:
        raise DataError(source, "the source contains no photos",
                        "Give a folder with JPEG, PNG, TIFF, WebP or HEIC photos, or give one with --images.")
    mapillary = kind == "mapillary"
    return Source(source, kind, tuple(_filled(r, options) for r in records), tuple(skipped),
                  ATTRIBUTION if mapillary else options.attribution, LICENSE if mapillary else options.license,
                  tuple(_notes(records)))


def _check_options(kind: str, options: SourceOptions) -> None:
    """Raise an error for options that the kind does not use, instead of ignoring them."""
    idle = (("--images", options.images is not None and kind == "exif", "it is for tables, tracks and JSON"),
            ("--columns", bool(options.columns) and kind != "table", "it is for tables"),
            ("--folder-sequences", options.folder_sequences and kind != "exif", "it is for folders of photos with EXIF"))
    for option, given, use in idle:
        if given:
            raise ConfigError(option, f"the option has no effect: the source is read as {kind}, and {use}",
                              "Leave it out, or choose a different --kind.")


def _filled(record: PhotoRecord, options: SourceOptions) -> PhotoRecord:
    """Return a record with the user's values where its source says nothing."""
    return replace(record, camera=record.camera or options.camera, attribution=record.attribution or options.attribution,
                   license=record.license or options.license)


def _notes(records: list[PhotoRecord]) -> list[str]:
    counts = (("magnetic_heading_deg", "have a magnetic heading, which is kept as magnetic_heading_deg and not used"),
              ("heading_of_unknown_north_deg", "do not say which north their heading refers to; it is kept and not used"),
              ("bearing_stated", "state an invalid heading (-1 means none); it is kept as bearing_stated"),
              ("camera_clock_stated", "have a clock that cannot be read; it is kept as camera_clock_stated"),
              ("clock_offset_stated", "state an offset from UTC that cannot be used; it is kept as clock_offset_stated"),
              ("gps_time_stated", "have a GPS time that stands still while the clock runs, or is too far from it; "
                                  "it is kept as gps_time_stated and not used"),
              ("mapillary_time_stated", "have a Mapillary time too far from their clock; it is kept as mapillary_time_stated"),
              ("camera_clock", "have a time without a zone, which is kept as camera_clock; --time-zone gives the zone"),
              ("captured_at_stated", "state a time that cannot be read, could be two, or has no zone; "
                                     "it is kept as captured_at_stated, and --time-zone gives the zone"))
    found = [(sum(key in r.extra and (key != "camera_clock" or r.captured_at is None) for r in records), what)
             for key, what in counts]
    early = sum(r.captured_at is not None and r.captured_at.year < 1980 for r in records)
    found.append((early, "have a time before 1980: perhaps the clock of the camera was not set"))
    return [f"{n} of {len(records)} photos {what}" for n, what in found if n]


@dataclass
class _Found:
    """The contents of a folder."""

    images: int = 0
    gpx: int = 0
    tables: tuple[Path, ...] = ()
    json: tuple[Path, ...] = ()

    def __str__(self) -> str:
        parts = [f"{self.images} photos" if self.images else "", f"{self.gpx} GPX tracks" if self.gpx else "",
                 *(p.name for p in self.tables[:4]), f"{len(self.json)} JSON files of Mapillary" if self.json else ""]
        return ", ".join(p for p in parts if p)


def _look(folder: Path) -> _Found:
    found, tables, jsons = _Found(), [], []
    for path in walk(folder):
        ending = path.suffix.lower()
        if is_photo(path):
            found.images += 1
        elif ending == ".gpx":
            found.gpx += 1
        elif ending in JSON_ENDINGS:
            jsons.append(path)
        elif is_table(path) and ending != ".txt":
            tables.append(path)
    looked = [(p, _kind_of_json(p)) for p in jsons[:_LOOKED_AT]]
    if any(kind == "mapillary" for _, kind in looked):
        found.json = tuple(jsons)
    found.tables = (*tables, *(p for p, kind in looked if kind == "table"))
    return found


def _kind_of_json(path: Path) -> str | None:
    """Return `mapillary`, `table` (GeoJSON) or None; an unreadable file is neither."""
    try:
        value = next((v for _, v in islice(json_values(path), 1)), None)
    except DataError:
        return None
    if isinstance(value, dict) and value.get("type") in {"FeatureCollection", "Feature"}:
        return "table"
    return "mapillary" if is_mapillary(value) else None


def detect(source: Path, options: SourceOptions) -> tuple[str, Path]:
    """Return the kind of a source, and the file or folder to read.

    Raises:
        DataError: If it is of no known kind, or of several kinds.
    """
    if source.is_file():
        return _kind_of_file(source), source
    found = _look(source)
    kinds = [kind for kind, there in (("gpx", found.gpx), ("table", found.tables), ("mapillary", found.json)) if there]
    if not kinds and found.images:
        return "exif", source
    if not kinds:
        raise DataError(source, "the source contains neither photos nor positions of photos",
                        _GIVE)
    if len(kinds) == 1 and (kinds != ["table"] or (len(found.tables) == 1 and (not found.images or options.images))):
        return kinds[0], found.tables[0] if kinds == ["table"] else source
    raise DataError(source, f"the source contains {found}, so it could be read in several ways", _CHOOSE)


def _kind_of_file(path: Path) -> str:
    ending = path.suffix.lower()
    if ending == ".gpx":
        return "gpx"
    if is_table(path):
        return "table"
    if is_photo(path):
        return "exif"
    if ending in JSON_ENDINGS | LINE_ENDINGS:
        value = next((v for _, v in islice(json_values(path), 1)), None)
        if isinstance(value, dict) and value.get("type") in {"FeatureCollection", "Feature"}:
            return "table"
        return "mapillary"
    raise DataError(path, f"unsupported file extension {ending!r}",
                    _GIVE)


def _chosen(source: Path, kind: str) -> tuple[str, Path]:
    """Return a chosen kind and the file or folder to read."""
    if kind == "table" and source.is_dir():
        tables = _look(source).tables
        if len(tables) != 1:
            raise DataError(source, f"the folder contains {len(tables)} tables", "Give the table's file.")
        return kind, tables[0]
    endings = {"gpx": frozenset({".gpx"}), "mapillary": JSON_ENDINGS}
    if source.is_file() and kind in endings and source.suffix.lower() not in endings[kind]:
        raise DataError(source, f"the file does not have the extension of a {kind} file",
                        f"Give one that ends in {', '.join(sorted(endings[kind]))}.")
    if source.is_file() and kind == "exif" and not is_photo(source):
        raise DataError(source, "the file does not have the extension of a photo", "Give a folder of photos, or omit --kind.")
    return kind, source
