"""Uploads of models and packs. Nothing is uploaded while something is unsettled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from justzoomin.archives import MANIFEST_FILE, Manifest
from justzoomin.checks import PublishItem, conditions
from justzoomin.errors import ConfigError
from justzoomin.hub import Pushed, push_files
from justzoomin.models import BOUND_FILES, model_files, open_model
from justzoomin.packs import PACK_FILE, Pack
from justzoomin.publishing.front_matter import CARD
from justzoomin.publishing.model_card import PICTURES
from justzoomin.publishing.model_rights import model_items
from justzoomin.untrusted import files_in

_MORE = (("evaluation-*.json", ""), ("*.yaml", ".eval_results/"), ("*.gif", f"{PICTURES}/"), ("*.png", f"{PICTURES}/"),
         ("*.jpg", f"{PICTURES}/"))


def model_push_items(folder: Path) -> tuple[PublishItem, ...]:
    """List what must be settled before a model is uploaded.

    Raises:
        ModelError: If the model cannot be opened.
        DataError: If its card cannot be read.
    """
    model = open_model(folder)
    return model_items(folder, model.provenance, model.config.encoder.source)


def files_to_push(folder: Path) -> dict[str, Path | bytes]:
    """Return the files of a model's repository by path: the model, its card, its figures, and the list of its hashes.

    Raises:
        ConfigError: If a file is a link.
    """
    files: dict[str, Path | bytes] = {name: folder / name for name in model_files(folder)}
    for pattern, below in _MORE:
        files.update({f"{below}{path.name}": path for path in files_in(folder / below, pattern)})
    for name, path in files.items():
        if isinstance(path, Path) and path.is_symlink():
            raise ConfigError(name, "it is a link, and what it leads to may not be meant for the public",
                              "Replace it by the file.")
    files[MANIFEST_FILE] = Manifest.of(folder, [name for name in BOUND_FILES if name in files]).to_bytes()
    return files


def push_model(folder: Path, repo_id: str, *, private: bool = False, decided: bool = False) -> Pushed:
    """Upload a model: one commit with all files that belong to it, and with their hashes.

    Args:
        folder: The model's folder, with its card.
        repo_id: `owner/name`.
        private: Whether a new repository is private.
        decided: Whether a person has decided what only a person can decide.

    Raises:
        ConfigError: If something is unsettled, or undecided.
        ModelError: If the model cannot be opened.
        DataError: If the hub does not take the upload.
    """
    require_settled(repo_id, model_push_items(folder), decided=decided)
    return push_files(repo_id, "model", files_to_push(folder), "Upload the model", private=private, replaces=_of_a_model)


def _of_a_model(path: str) -> bool:
    """Return whether a file of a repository belongs to a model, so that it goes when the model is replaced."""
    return path in BOUND_FILES or (path.startswith("evaluation-") and path.endswith(".json")) \
        or (path.startswith(".eval_results/") and path.endswith(".yaml"))


def pack_items(pack: Pack) -> tuple[PublishItem, ...]:
    """List what must be settled before a pack is uploaded: the rules of its model, and the rights to its map.

    Raises:
        ModelError: If its model cannot be opened.
    """
    items: list[PublishItem] = list(model_push_items(pack.model))
    for part, held in pack.rights.items():
        found = conditions(held.licence)
        refusing = [kind for kind in ("unknown", "all rights reserved", "no derivatives") if kind in found]
        if refusing:
            items.append(PublishItem(f"{part}_licence", "unsettled",
                                     f"the {part} is under {held.licence}: {', '.join(refusing)}",
                                     "Get permission, or make the pack with other data."))
        else:
            items.append(PublishItem(f"{part}_licence", "settled", f"the {part} is shared under {held.licence}"))
        if part == "map" and not held.attribution.strip():
            items.append(PublishItem("map_attribution", "unsettled", "the pack does not say whom to credit for the map",
                                     "Make the pack with a file ATTRIBUTION in the map's folder."))
    return tuple(items)


def push_pack(pack: Pack, repo_id: str, *, private: bool = False, decided: bool = False) -> Pushed:
    """Upload a pack that `open_pack` has checked, in one commit.

    Args:
        pack: The pack.
        repo_id: `owner/name`.
        private: Whether a new repository is private.
        decided: Whether a person has decided what only a person can decide.

    Raises:
        ConfigError: If something is unsettled, or undecided.
        DataError: If the hub does not take the upload.
    """
    require_settled(repo_id, pack_items(pack), decided=decided)
    listed = Manifest.load(pack.folder)
    assert listed is not None, "the pack was checked"
    files: dict[str, Path | bytes] = {name: pack.folder / name for name in (*listed.files, MANIFEST_FILE)}
    if (pack.folder / CARD).is_file():
        files[CARD] = pack.folder / CARD
    return push_files(repo_id, "model", files, "Upload the pack", private=private,
                      replaces=lambda path: path.partition("/")[0] in {"model", "map", "index"} or path == PACK_FILE)


def require_settled(where: str, items: Sequence[PublishItem], *, decided: bool) -> None:
    """Refuse an upload while something is unsettled, or while a person has not decided what only a person can decide.

    Raises:
        ConfigError: Naming what is left.
    """
    for state in ("unsettled", *(() if decided else ("person must decide",))):
        left = [item for item in items if item.state == state]
        if left:
            more = "" if len(left) == 1 else f" (and {', '.join(item.name for item in left[1:])})"
            how = left[0].remedy if state == "unsettled" else f"{left[0].remedy} Then say so: --decided.".strip()
            raise ConfigError(where, f"nothing was uploaded; {state}: {left[0].finding}{more}", how)
