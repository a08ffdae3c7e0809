"""The folder of a model, on this machine or fetched from the hub: the files that belong to it, and whether they are whole."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from justzoomin.archives import MANIFEST_FILE, FileStamp, Manifest
from justzoomin.errors import DataError, ModelError
from justzoomin.posterior import CALIBRATION_FILE

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
GRID_FILE = "region.yaml"
PROVENANCE_FILE = "provenance.json"
ONNX_FILE = "encoder.onnx"
"""Name of the exported encoder in its model's folder."""
MATCHER_ONNX_FILE = "encoder.matcher.onnx"
"""Name of the exported encoder of the ray matcher, if it has a separate one."""

SAVED_FILES = (WEIGHTS_FILE, GRID_FILE, PROVENANCE_FILE, CONFIG_FILE)
"""What `save_pretrained` writes, in the order of writing."""
BOUND_FILES = (*SAVED_FILES, CALIBRATION_FILE, ONNX_FILE, MATCHER_ONNX_FILE)
"""The files that answers depend on. They are listed with their hashes in `hashes.json` of a folder that was pushed."""
CARD_FILE = "README.md"
ABOUT_FILES = (CARD_FILE, "LICENSE", "ATTRIBUTION")
"""What people read. It travels too, but may be edited on the hub without new hashes."""

_BLOB = {64: "sha256", 40: "git-sha1"}


class PartialModelWarning(UserWarning):
    """A model comes from the hub's cache, and the cached copy may lack files that the repository has."""


def find_folder(source: str | Path, revision: str | None) -> Path:
    """Return the local folder of a model; a name that is not a folder is fetched from the hub, with all that belongs to it.

    A fetched file is compared with the hash that the hub's cache knows it by. A file in the folder's `hashes.json` is compared
    with that, wherever the folder is.

    Args:
        source: Folder, or `owner/name` on the hub.
        revision: Branch, tag or commit of the hub's repository; None for its main branch.

    Raises:
        ModelError: If the folder does not exist and the hub does not have it either, or a file differs from its hash.
    """
    path = Path(source)
    if path.is_dir():
        _check_listed(path)
        return path
    if path.is_file():
        raise ModelError(path, "this is a file, not a model folder",
                         "Name the folder that holds it; a .pth file is imported with: jzi model import FILE.pth DEST.")
    name = str(source)
    if isinstance(source, Path) or name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ModelError(name, "there is no such model folder",
                         "Check the path, or name a hub repository as owner/name.")
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, revision=revision,
                                        allow_patterns=[*BOUND_FILES, MANIFEST_FILE, *ABOUT_FILES]))
    except (OSError, ValueError, RuntimeError) as error:  # the hub's own errors derive from these
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(name, f"there is no folder of this name, and no repository could be fetched from the hub ({reason})",
                         "Check the name and revision, connect to the network for its first use, or name a folder.",
                         ) from error
    _check_fetched(name, folder)
    return folder


def model_files(folder: Path) -> list[str]:
    """Return the names of the files of a model folder that belong to the model, cards included."""
    return [name for name in (*BOUND_FILES, *ABOUT_FILES) if (folder / name).is_file()]


def unbind(folder: Path) -> None:
    """Remove the list of hashes of a model folder whose files are about to change; `jzi model push` makes it again.

    Raises:
        OSError: If it cannot be removed.
    """
    (folder / MANIFEST_FILE).unlink(missing_ok=True)


def _check_listed(folder: Path) -> Manifest | None:
    """Compare a folder's files with its own list of hashes, if it has one.

    Raises:
        ModelError: If a file is missing, differs, or is not in the list.
    """
    try:
        listed = Manifest.load(folder)
    except DataError as error:
        raise ModelError(error.where, error.what, error.remedy) from error
    if listed is None:
        return None
    remedy = f"Download the model again. If you changed the folder yourself, delete {MANIFEST_FILE}."
    for name, detail in listed.problems(folder):
        raise ModelError(folder / name, f"{detail}, by {MANIFEST_FILE} of the folder", remedy)
    for name in BOUND_FILES:
        if name not in listed.files and (folder / name).exists():
            raise ModelError(folder / name, f"{MANIFEST_FILE} of the folder does not list this file", remedy)
    return listed


def _check_fetched(name: str, folder: Path) -> None:
    """Check a repository in the hub's cache, where a file is a link to a blob that is named by its hash.

    Raises:
        ModelError: If a file differs from its hash.
    """
    listed = _check_listed(folder)
    for file in (*BOUND_FILES, *ABOUT_FILES):
        place = folder / file
        digest = place.resolve().name if place.is_symlink() else ""
        algorithm: Any = _BLOB.get(len(digest)) if re.fullmatch("[0-9a-f]+", digest) else None
        if algorithm is None or (listed is not None and file in listed.files):
            continue
        try:
            problem = FileStamp(place.stat().st_size, algorithm, digest).problem(place, content=True)
        except OSError as error:
            problem = f"it cannot be read ({error.strerror})"
        if problem is not None:
            raise ModelError(place, f"the copy of {name} in the hub's cache is damaged: {problem}",
                             f"Delete {place.resolve()} and run the same command again.")
    if listed is None and not (folder / CARD_FILE).exists() and not (folder / CALIBRATION_FILE).exists() and _offline():
        warnings.warn(PartialModelWarning(
            f"{name}: the hub cannot be reached, and the copy in its cache has no card and no calibration. An earlier version "
            "fetched fewer files. Open the model once with the network, so that everything that belongs to it is here"),
            stacklevel=4)


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)
