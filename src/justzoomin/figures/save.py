"""Write pictures to disk: atomically, under safe names whatever a photo is called."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

from matplotlib.figure import Figure

from justzoomin import files
from justzoomin.errors import ConfigError
from justzoomin.figures.look import DPI

FORMATS = ("png", "pdf", "svg", "jpg", "webp")
_MAX_STEM = 80


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure in the format that its file extension selects; return the path.

    Raises:
        ConfigError: If the extension is unknown, or the file cannot be written.
    """
    kind = check_format(path)
    buffer = io.BytesIO()
    undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)  # the same picture, the same bytes
    figure.savefig(buffer, format=kind, dpi=DPI, metadata=undated)
    return write_picture(path, buffer.getvalue())


def check_format(path: Path) -> str:
    """Return the format that a figure's file extension selects.

    Raises:
        ConfigError: If the format is unknown.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise ConfigError(path, f"unsupported file extension {path.suffix!r}",
                          f"End the name in one of: {', '.join('.' + f for f in FORMATS)}.")
    return kind


def write_picture(path: Path, data: bytes) -> Path:
    """Write a file atomically, and make its folder; return the path.

    Raises:
        ConfigError: If the file cannot be written.
    """
    try:
        return files.write_bytes(path, data)
    except OSError as error:
        raise ConfigError(path, f"the picture cannot be written ({error.strerror})",
                          "Choose a folder that you can write to.") from error


def safe_stem(name: str) -> str:
    """Make a file name's stem from any text: the text itself if it is plain, else its plain characters and a short hash.

    Distinct names keep distinct stems, also on file systems that ignore case.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9_.-]*[a-z0-9]|[a-z0-9]", name) and len(name) <= _MAX_STEM:
        return name
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:40].strip("-") or "photo"
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"
