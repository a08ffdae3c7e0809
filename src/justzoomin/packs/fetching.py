"""A pack from the hub: its list first, then exactly the listed files, into the hub's cache."""

from __future__ import annotations

from pathlib import Path

from justzoomin.archives import MANIFEST_FILE
from justzoomin.errors import DataError
from justzoomin.packs.contents import PACK_FILE, PARTS, listed_files

_CARD = "README.md"


def fetch_pack(source: str | Path, revision: str | None) -> Path:
    """Fetch a pack into the hub's cache, or find it there without the network; return its folder.

    The hub's list of files is compared with the pack's own before the files are fetched: names and sizes must be equal.

    Raises:
        DataError: If there is no such folder and no such repository, or the two lists differ.
    """
    name = str(source)
    if isinstance(source, Path) or name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise DataError(name, "there is no such folder", "Check the path, or name a repository of the hub as owner/name.")
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import OfflineModeIsEnabled

    try:
        first = Path(snapshot_download(name, revision=revision, allow_patterns=[PACK_FILE, MANIFEST_FILE]))
        wanted = {path: stamp.size for path, stamp in listed_files(first, fetched=True).files.items()}
        try:
            there = {entry.path: entry.size for entry in HfApi().list_repo_tree(name, recursive=True, revision=first.name)
                     if hasattr(entry, "size") and (entry.path.partition("/")[0] in PARTS or entry.path == PACK_FILE)}
        except (OfflineModeIsEnabled, ConnectionError):
            there = wanted  # the cached copy is checked file by file when it is opened
        for path in sorted(wanted.keys() | there.keys()):
            if wanted.get(path) != there.get(path):
                raise DataError(f"{name}: {path}", f"{MANIFEST_FILE} of the pack lists {wanted.get(path, 'no')} bytes, but the "
                                f"hub lists {there.get(path, 'no')}", "Nothing more was fetched. Tell the repository's owners.")
        return Path(snapshot_download(name, revision=first.name,
                                      allow_patterns=[PACK_FILE, MANIFEST_FILE, _CARD, *(f"{part}/*" for part in PARTS)]))
    except (OSError, ValueError, RuntimeError) as error:  # the hub's own errors derive from these
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(name, f"there is no folder of this name, and no pack could be fetched from the hub ({reason})",
                        "Check the name and revision, connect to the network for its first use, or name a folder.") from error
