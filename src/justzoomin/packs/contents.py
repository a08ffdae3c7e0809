"""What a pack says of itself: its list of files, whose paths are checked, and `pack.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from justzoomin.archives import MANIFEST_FILE, Manifest
from justzoomin.errors import DataError
from justzoomin.untrusted import printable, read_limited

PACK_FILE = "pack.json"
FORMAT = "justzoomin-pack/1"
MODEL, MAP, INDEX = "model", "map", "index"
PARTS = (MODEL, MAP, INDEX)
MAX_FILES = 100_000
OWN_FOLDERS = (".jzi-index",)
"""Folders that reading shards makes beside them. What is in them when a pack is opened is compared with the shards."""
_MAX_BYTES = 1 << 20
_MAX_TEXT = 10_000
AGAIN = "Get the pack again, or tell its owners."


@dataclass(frozen=True)
class Rights:
    """Under which licence a part of a pack is shared, and whom to credit.

    Args:
        licence: Name of the licence.
        attribution: Whom to credit; empty if nobody must be.
    """

    licence: str
    attribution: str


def listed_files(folder: Path, *, fetched: bool = False) -> Manifest:
    """Return the list of a pack's files, after a check of its paths.

    Args:
        folder: The pack.
        fetched: Whether its files are links into the hub's cache, which are followed.

    Raises:
        DataError: If there is no list, or a path leads out of the pack or is not one of a pack.
    """
    listed = Manifest.load(folder)
    where = folder / MANIFEST_FILE
    if listed is None:
        raise DataError(where, "this is not a pack: the list of its files is missing",
                        "Name a folder that jzi pack make wrote, or owner/name on the hub.")
    if len(listed.files) > MAX_FILES:
        raise DataError(where, f"it lists more than {MAX_FILES} files", AGAIN)
    for name in listed.files:
        if name.partition("/")[0] not in PARTS and name != PACK_FILE:
            raise DataError(where, f"it lists {printable(name, 80)!r}, which is not in a folder of a pack", AGAIN)
        if set(name.split("/")) & set(OWN_FOLDERS):
            raise DataError(where, f"it lists {printable(name, 80)!r}, a path for files of this machine", AGAIN)
        place = folder
        for part in name.split("/"):
            place = place / part
            if place.is_symlink() and not (fetched and place == folder / name):
                raise DataError(place, "it is a link, which may lead out of the pack", f"Copy the pack as files. {AGAIN}")
    if PACK_FILE not in listed.files:
        raise DataError(where, f"it does not list {PACK_FILE}", AGAIN)
    return listed


def read_description(folder: Path) -> tuple[str, str, dict[str, Rights]]:
    """Return title, path of the map and rights, from `pack.json`."""
    path = folder / PACK_FILE
    try:
        content: Any = json.loads(read_limited(path, _MAX_BYTES))
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f'its "format" is not "{FORMAT}"')
        title, map_path = _text(content["title"]), _text(content["map"])
        rights = {part: Rights(_text(content["rights"][part]["licence"]), _text(content["rights"][part]["attribution"]))
                  for part in (MODEL, MAP)}
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(path, f"this is not a pack ({printable(reason)})",
                        "Name a folder that jzi pack make wrote, or owner/name on the hub.") from error
    if map_path != MAP and (map_path.count("/") != 1 or not map_path.startswith(f"{MAP}/") or ".." in map_path
                            or not map_path.endswith((".mbtiles", ".pmtiles"))):
        raise DataError(path, f"the map is at {printable(map_path, 80)!r}, not in the folder {MAP}", AGAIN)
    return title, map_path, rights


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise ValueError("a text is missing, too long, or not a text")
    return "".join(letter for letter in value if letter == "\n" or letter.isprintable())
