"""Decides which kind of source a name means: an address, a server's description, a package or another path."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from justzoomin.tiles.packages import is_package

SourceKind = Literal["address", "description", "package", "path"]
"""The address template of a tile server; a WMTSCapabilities.xml; a tile package; any other file or folder."""


def source_kind(named: str | Path) -> SourceKind:
    """Return which kind of source a name means."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.\-]*://", address_text(named)):
        return "address"
    path = Path(named)
    if path.suffix.lower() == ".xml" and not path.is_dir():
        return "description"
    return "package" if is_package(path) else "path"


def address_text(named: str | Path) -> str:
    """Return the text of a name that may be an address: a Path has reduced its two slashes to one."""
    return re.sub(r"^(https?):/(?!/)", r"\1://", str(named)) if isinstance(named, Path) else named
